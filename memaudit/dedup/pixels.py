"""Pairs below the threshold, decided on pixels."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.pairs import Found
from memaudit.dedup.results import PixelChecks
from memaudit.matching.compare import Files, check_pairs
from memaudit.matching.overlap import Overlaps
from memaudit.similarity import Pairs
from memaudit.store import Columns
from memaudit.types import Coverage, Float32, Int64, Progress

CANDIDATES = 8  # pairs of each image that are checked: so the cost grows with the set, and not with its families
_REASONS = 3


class Confirmed(NamedTuple):
    """The pairs that reach the threshold, or that pixels confirm. overlaps, probability: of the latter,
    in their order, left as the query."""

    pairs: Pairs
    overlaps: Overlaps
    probability: Float32
    checks: PixelChecks


def rule_of(floor: float, columns: Columns, rows: Int64, apart: Int64) -> CandidateRule:
    """What to hold of the pairs of `rows` below the threshold; apart (n, 2): positions in them that were ruled out."""
    by_id = np.argsort(columns.image_id[rows], kind="stable")
    return CandidateRule(floor, CANDIDATES, by_id.argsort(kind="stable"), apart)


def confirm(
    found: Found, columns: Columns, rows: Int64, threshold: float, rule: CandidateRule, progress: Progress
) -> Confirmed:
    """Decide the pairs of positions in `rows` that lie below the threshold; in the order given.

    Whoever is near the threshold has the similarity that a search without candidates gives it. A check may hang on
    which of two pictures is laid on the other, and ties on the order of the images: by image_id neither hangs on the
    order of the rows.
    """
    pairs = found.pairs
    below = np.flatnonzero(pairs.similarity < np.float32(threshold))
    band, images, by_id = pairs.where(below), columns.at(rows), np.argsort(rule.place)
    left, right = rule.ends(band)
    picked = rule.chosen(band)
    chosen = below[picked]
    files = Files(images.uri[by_id], images.sha256[by_id])
    checks = check_pairs(files, files, left[picked], right[picked], progress)
    keep = pairs.similarity >= np.float32(threshold)
    keep[chosen[checks.copies]] = True
    turned = (left != rule.place[band.left])[picked][checks.copies]
    unread = Counter(checks.why[~checks.read])
    return Confirmed(
        pairs.where(keep),
        checks.overlaps[checks.copies].swapped(turned),
        checks.probability[checks.copies],
        PixelChecks(
            floor=rule.floor,
            candidates=len(below) + found.left_out,
            checked=int(checks.read.sum()),
            confirmed=int(checks.copies.sum()),
            left_out=len(below) - len(chosen) + found.left_out,
            unread=int((~checks.read).sum()),
            why=tuple(f"{reason}: {count:,}" for reason, count in unread.most_common(_REASONS)),
        ),
    )


def shortfall(checks: PixelChecks | None, allowed: float) -> str:
    """Why checks do not speak of the whole set: a larger share than `allowed` was unreadable."""
    if checks is None or not checks.unread:
        return ""
    pairs = Coverage(checks.checked, checks.checked + checks.unread)
    if not pairs.falls_short(allowed):
        return ""
    why = "; ".join(checks.why)
    told = f"pixels of only {pairs.measured:,} of {pairs.total:,} pairs below the threshold could be compared ({why})"
    return f"{told}; --match none leaves them"
