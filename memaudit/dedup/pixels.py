"""Pairs below the threshold, decided on pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from memaudit.dedup.candidates import Candidates
from memaudit.dedup.pairs import Found
from memaudit.dedup.results import PixelChecks
from memaudit.errors import MissingDependencyError, UsageError
from memaudit.matching.compare import Files, check_pairs
from memaudit.matching.pictures import import_cv2
from memaudit.matching.plan import PAIR_FLOORS, require_choice
from memaudit.similarity import Pairs
from memaudit.similarity.exact import require_threshold
from memaudit.store import Columns
from memaudit.types import Coverage, Int64, Progress

AUTO_IMAGES = 20_000  # beyond, reading the files anew takes hours: who wants that says so
CANDIDATES = 8  # pairs of each image that are checked: so the cost grows with the set, and not with its families
_REASONS = 3


@dataclass(frozen=True)
class PixelPlan:
    """floor: similarity from which pairs are checked; None: none are, and `why_not` says why. asked: somebody asked for
    the checks, by name or by their floor: what they cannot see then leaves the run inconclusive."""

    floor: float | None
    why_not: str = ""
    asked: bool = False


def require_verify(verify: str, floor: float | None) -> None:
    """Raise UsageError for what cannot be."""
    require_choice(verify)
    if floor is not None:
        require_threshold(floor)
        if verify == "none":
            raise UsageError("--verify none checks nothing: leave out --verify-from")


def plan_pixels(verify: str, floor: float | None, encoder: str, threshold: float, images: int) -> PixelPlan:
    """Whether pairs below the threshold are checked on pixels, and from which similarity on.

    Where that was asked for it raises UsageError if the encoder has no floor or the threshold is below it, and
    MissingDependencyError without OpenCV.
    """
    if verify == "none":
        return PixelPlan(None, "--verify none")
    asked = verify == "pixels" or floor is not None
    floor = PAIR_FLOORS.get(encoder) if floor is None else floor
    if floor is None:
        if asked:
            raise UsageError(f"encoder {encoder} has no measured floor for pixel checks: name one with --verify-from")
        return PixelPlan(None, f"encoder {encoder} has no measured floor for them")
    if not asked and images > AUTO_IMAGES:
        return PixelPlan(None, f"more than {AUTO_IMAGES:,} images; --verify pixels checks them all the same")
    if floor >= threshold:
        why = f"the threshold {threshold:g} is not above {floor:g}, from where on they are checked"
        if asked:
            raise UsageError(f"no pair is left to check on pixels: {why}; lower --verify-from")
        return PixelPlan(None, why)
    try:
        import_cv2()
    except MissingDependencyError as error:
        if asked:
            raise
        return PixelPlan(None, str(error))
    return PixelPlan(floor, asked=asked)


def candidates_of(floor: float, columns: Columns, rows: Int64, apart: Int64) -> Candidates:
    """What to hold of the pairs of `rows` below the threshold; apart (n, 2): positions in them that were ruled out."""
    by_id = np.argsort(columns.image_id[rows], kind="stable")
    return Candidates(floor, CANDIDATES, by_id.argsort(kind="stable"), apart)


def confirm(
    found: Found, columns: Columns, rows: Int64, threshold: float, candidates: Candidates, progress: Progress
) -> tuple[Pairs, PixelChecks]:
    """The pairs of positions in `rows` that reach the threshold, or that pixels confirm; in the order given.

    Whoever is near the threshold has the similarity that a search without candidates gives it. A check may hang on
    which of two pictures is laid on the other, and ties on the order of the images: by image_id neither hangs on the
    order of the rows.
    """
    pairs = found.pairs
    below = np.flatnonzero(pairs.similarity < np.float32(threshold))
    band, images, by_id = pairs.where(below), columns.at(rows), np.argsort(candidates.place)
    left, right = candidates.ends(band)
    picked = candidates.chosen(band)
    chosen = below[picked]
    files = Files(images.uri[by_id], images.sha256[by_id])
    checks = check_pairs(files, files, left[picked], right[picked], progress)
    keep = pairs.similarity >= np.float32(threshold)
    keep[chosen[checks.copies]] = True
    unread = Counter(checks.why[~checks.read])
    return pairs.where(keep), PixelChecks(
        floor=candidates.floor,
        candidates=len(below) + found.left_out,
        checked=int(checks.read.sum()),
        confirmed=int(checks.copies.sum()),
        left_out=len(below) - len(chosen) + found.left_out,
        unread=int((~checks.read).sum()),
        why=tuple(f"{reason}: {count:,}" for reason, count in unread.most_common(_REASONS)),
    )


def shortfall(checks: PixelChecks | None, asked: bool, allowed: float) -> str:
    """Why checks that were asked for do not speak of the whole set: a larger share than `allowed` was unreadable."""
    if not asked or checks is None or not checks.unread:
        return ""
    pairs = Coverage(checks.checked, checks.checked + checks.unread)
    if not pairs.falls_short(allowed):
        return ""
    why = "; ".join(checks.why)
    return f"pixels of only {pairs.measured:,} of {pairs.total:,} pairs below the threshold could be compared ({why})"
