"""How an audit alters the training images that it plants, by name, and how many. Light: gate and plan read it."""

import math

PLANTED = ("re-encoded", "recoloured", "mirrored", "cropped", "captioned")
MOST_COPIES = 10_000  # their names, and files, are all there at once
_FEWEST, _MOST = 100, 300  # copies, where nobody says how many


def copies_for(generations: int) -> int:
    """With m copies of K kinds, all found, a bound is higher by a share of K ÷ m, and takes so many more generations to
    show the same: together with the m these are fewest for m = √(K × generations)."""
    kinds = len(PLANTED)
    wanted = min(max(math.sqrt(kinds * generations), _FEWEST), _MOST)
    return math.ceil(wanted / kinds) * kinds
