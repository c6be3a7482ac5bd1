"""What is compared on pixels, from which similarity on, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from memaudit.encoders.catalog import is_known
from memaudit.encoders.encoder import Regions
from memaudit.encoders.specs import families
from memaudit.encoders.sscd import load_regions
from memaudit.errors import InputError, MissingDependencyError, UsageError
from memaudit.matching.pictures import import_cv2
from memaudit.similarity.exact import require_threshold

CHOICES = ("auto", "pixels", "none")
PAIR_FLOORS = {n: each.pair_floor for n, each in families().items() if each.pair_floor is not None}
"""From which pairs of one set are compared, by encoder (docs/protocols/pixel-matching.md). Others have none."""
SEARCH_FLOORS = {n: each.search_floor for n, each in families().items() if each.search_floor is not None}
"""From which training images are candidates for a picture that is searched, by encoder; measured,
docs/protocols/pixel-matching.md. For others it is the threshold: pixels then tell what kind of copy a match is."""
NEAREST_FLOORS = {n: each.nearest_floor for n, each in families().items() if each.nearest_floor is not None}
"""From which the nearest training images are candidates though they lie below that floor, by encoder."""
REDRAWN_FLOORS = {n: each.redrawn_floor for n, each in families().items() if each.redrawn_floor is not None}
"""From which whole images are looked at for one that is the other drawn anew, by encoder; by others it is not told."""
_EVERY = -1.0  # the least similarity there is


@dataclass(frozen=True)
class MatchPlan:
    """floor: similarity from which there are candidates, to be decided on pixels below the threshold; prompts_floor:
    from which the images of prompts are some. Both are the threshold where pixels are not compared (not `on_pixels`),
    and `why_not` says why. nearest_from: similarity from which the nearest are candidates of a search, below the floor
    too; None: they are not. cut: least probability of a copy by pixels; None: the model's own. labelled: threshold
    and cut are by labels that somebody gave to pairs of whole pictures, and are for these alone: pixels do not doubt a
    pair that reaches the threshold as a whole."""

    floor: float
    prompts_floor: float
    on_pixels: bool
    why_not: str = ""
    cut: float | None = None
    nearest_from: float | None = None
    labelled: bool = False


class RedrawnPlan(NamedTuple):
    """floor: similarity of whole images from which one may be the other drawn anew; None: that is not looked for, and
    `why_not` says why. regions: of the encoder, which tell."""

    floor: float | None
    why_not: str = ""
    regions: Regions | None = None


NOT_LOOKED_FOR = RedrawnPlan(None)


def require_match(match: str, floor: float | None) -> None:
    """Raise UsageError for another choice than `CHOICES`', and for a floor that is none or contradicts it."""
    if match not in CHOICES:
        raise UsageError(f"unknown --match {match!r}: expected one of {', '.join(CHOICES)}")
    if floor is not None:
        require_threshold(floor, "--match-from")
        if match == "none":
            raise UsageError("--match none compares no pixels: leave out --match-from")


def plan_matching(
    match: str,
    floor: float | None,
    encoder: str,
    threshold: float,
    images: int | None = None,
    *,
    files: bool = True,
    cut: float | None = None,
) -> MatchPlan:
    """Settle whether pixels decide below the threshold, from `floor` on (None: the encoder's own).

    images: how many of one set are compared with each other; None where pictures are searched in another set. files:
    whether it is known where any of them lies, which it is not of imported embeddings. cut: as the plan's.
    Where pixels were asked for it raises UsageError if nothing could be compared, and MissingDependencyError without
    OpenCV; else the plan goes without them. Raises UsageError as `require_match` does.
    """
    require_match(match, floor)
    if match == "none":
        return _without_pixels(threshold, "--match none")
    asked = match == "pixels" or floor is not None
    try:
        least = _search_floor(floor, encoder, threshold) if images is None else _pair_floor(floor, encoder, threshold)
        import_cv2()
    except (UsageError, MissingDependencyError) as error:
        if asked:
            raise
        return _without_pixels(threshold, str(error))
    if not asked and not files:
        return _without_pixels(threshold, "the store does not say where its images are; --match pixels insists")
    # Embeddings that were imported mostly come without files, of which below the threshold all would be missing
    nearest = NEAREST_FLOORS.get(encoder) if floor is None and images is None else None
    prompts_floor = _EVERY if floor is not None or is_known(encoder) else least
    return MatchPlan(least, prompts_floor, True, cut=cut, nearest_from=nearest)


def plan_redrawn(plan: MatchPlan, encoder: str) -> RedrawnPlan:
    """Settle from where on pictures are looked at that may be others drawn anew. Their pixels have to be there, and the
    weights of the encoder."""
    if not plan.on_pixels:
        return RedrawnPlan(None, f"no pixels were compared: {plan.why_not}")
    if encoder not in REDRAWN_FLOORS:
        return RedrawnPlan(None, f"encoder {encoder} has no measured floor for it")
    try:
        return RedrawnPlan(REDRAWN_FLOORS[encoder], regions=load_regions())
    except (MissingDependencyError, InputError) as error:
        return RedrawnPlan(None, str(error))


def _without_pixels(threshold: float, why: str) -> MatchPlan:
    return MatchPlan(threshold, threshold, False, why)


def _search_floor(floor: float | None, encoder: str, threshold: float) -> float:
    return min(threshold, SEARCH_FLOORS.get(encoder, threshold) if floor is None else floor)


def _pair_floor(floor: float | None, encoder: str, threshold: float) -> float:
    """Raises UsageError where no pair below the threshold is left to be compared."""
    floor = PAIR_FLOORS.get(encoder) if floor is None else floor
    if floor is None:
        raise UsageError(f"encoder {encoder} has no measured floor for pixels: name one with --match-from")
    if floor >= threshold:
        raise UsageError(
            f"the threshold {threshold:g} is not above {floor:g}, from where on pixels are compared: no pair is left "
            "for them; lower --match-from"
        )
    return floor
