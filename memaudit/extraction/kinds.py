"""What generations of a prompt share where their pixels differ: a template, a part, or a picture drawn anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders.encoder import Regions
from memaudit.extraction.cliques import Clique, largest_clique, pruned
from memaudit.extraction.patches import Pixels, image_of
from memaudit.extraction.results import Box
from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.layout import sketch_of, sketched_signals
from memaudit.matching.pictures import Picture, picture_of, pixels_of
from memaudit.matching.redrawn import Composition, probability, redrawn_model
from memaudit.matching.rule import Check, check
from memaudit.types import Float32, Float64

LOOKED_AT = 40  # generations of a prompt, the first: all pairs of them are compared
SIDE = 384  # pixels of the longer side that they are kept at
_ALIKE = 0.3  # light or edges: what is less alike is hopeless


class Common(NamedTuple):
    """A clique of generations, what it is, and the least probability of its pairs. boxes: of each member the part that
    it has in common with the first, and of that one with the second, as `Overlap` has them; None: not known."""

    clique: Clique
    kind: Kind
    probability: float
    boxes: tuple[Box | None, ...]


class _Pairs(NamedTuple):
    """Of all pairs (n, n), symmetric: how likely they are one picture, 0 where they were not compared; linked: which
    are, from some cut on."""

    probability: Float32
    linked: NDArray[np.bool_]

    @classmethod
    def none(cls, size: int) -> _Pairs:
        return cls(np.zeros((size, size), np.float32), np.eye(size, dtype=bool))

    def put(self, pair: tuple[int, int], probability: float, *, linked: bool) -> None:
        for place in (pair, pair[::-1]):
            self.probability[place], self.linked[place] = probability, linked

    def least(self, members: Sequence[int]) -> float:
        """Of the pairs of a clique."""
        return float(min(self.probability[pair] for pair in combinations(members, 2)))


def common_picture(images: Sequence[Image.Image], least: int, regions: Regions | None) -> Common | None:
    """The largest clique of at least `least` RGB images that are copies of each other, else of some that are one
    picture drawn anew; None where there is neither. regions: without them the second is not looked for.

    Memory: the pictures. Raises MissingDependencyError without OpenCV.
    """
    sketches = [sketch_of(pixels_of(image)) for image in images]
    signals = {pair: sketched_signals(*(sketches[i] for i in pair)) for pair in combinations(range(len(images)), 2)}
    hopeful = _linked(len(images), [pair for pair, told in signals.items() if max(told[0], told[2]) >= _ALIKE])
    kept = set(pruned(hopeful, least).tolist())
    pairs = [pair for pair in signals if hopeful[pair] and kept.issuperset(pair)]
    return _copies(images, pairs, least) or (_redrawn(images, pairs, least, regions) if regions else None)


def _linked(size: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    linked = np.eye(size, dtype=bool)
    for left, right in pairs:
        linked[left, right] = linked[right, left] = True
    return linked


def _copies(images: Sequence[Image.Image], pairs: Sequence[tuple[int, int]], least: int) -> Common | None:
    pictures: dict[int, Picture] = {}
    checks: dict[tuple[int, int], Check] = {}
    found = _Pairs.none(len(images))
    for left, right in pairs:
        own, other = (pictures.get(i) or pictures.setdefault(i, picture_of(images[i])) for i in (left, right))
        checks[left, right] = told = check(own, other)
        found.put((left, right), told.probability, linked=told.is_copy)
    clique = largest_clique(found.linked, least)
    if not clique.members:
        return None
    kinds = Counter(checks[pair].kind for pair in combinations(clique.members, 2))
    kind = max(kinds, key=lambda each: (kinds[each], -COPIES.index(each)))
    return Common(clique, kind, found.least(clique.members), _boxes(clique.members, checks))


def _boxes(members: Sequence[int], checks: dict[tuple[int, int], Check]) -> tuple[Box | None, ...]:
    first = members[0]
    overlaps = [checks[first, other].overlap for other in members[1:]]
    own = overlaps[0].query_box if overlaps[0] else None
    return tuple(_box(each) for each in (own, *(overlap.reference_box if overlap else None for overlap in overlaps)))


def _box(box: Float64 | None) -> Box | None:
    if box is None:
        return None
    left, top, right, bottom = (round(float(edge), 4) for edge in box)
    return left, top, right, bottom


def _redrawn(
    images: Sequence[Image.Image], pairs: Sequence[tuple[int, int]], least: int, regions: Regions
) -> Common | None:
    seen, cut = [Composition(pixels_of(image), regions) for image in images], redrawn_model().cut
    found = _Pairs.none(len(images))
    for pair in pairs:
        likely = probability(seen[pair[0]], seen[pair[1]])
        found.put(pair, likely, linked=likely >= cut)
    clique = largest_clique(found.linked, least)
    if not clique.members:
        return None
    return Common(clique, Kind.REDRAWN, found.least(clique.members), (None,) * len(clique.members))


def kept_small(image: Image.Image) -> Image.Image:
    """An RGB image as it is kept for this."""
    small = image.copy()
    small.thumbnail((SIDE, SIDE))
    return small


def small_of(tiles: Pixels, size: tuple[int, int]) -> Image.Image:
    """Nearly `kept_small` of an image of this size, of its tiles: its file need not be read again."""
    shrunk = min(1.0, SIDE / max(size))
    width, height = (max(1, round(side * shrunk)) for side in size)
    return image_of(tiles).resize((width, height), Image.Resampling.BICUBIC)
