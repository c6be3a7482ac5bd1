"""What a candidate is: decided by similarity at the threshold, and on pixels below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.looking import Candidates
from memaudit.errors import MissingDependencyError, UsageError
from memaudit.records import Coverage, Int64, Kind, Matches, Misses, Progress
from memaudit.similarity.exact import require_threshold
from memaudit.store import Store
from memaudit.verification.engine import Checks, Files, check_pairs
from memaudit.verification.pictures import import_cv2

VERIFY = ("auto", "pixels", "none")
MISSES = 50
FLOORS = {"sscd": 0.3}
"""Similarity from which training images are candidates, by encoder; measured, docs/protocols.md. For others it is the
threshold: pixels then tell what kind of copy a match is."""


@dataclass(frozen=True)
class PixelPlan:
    """floor: similarity from which training images are candidates. on_pixels: whether those are looked at; if not,
    `why_not` says why."""

    floor: float
    on_pixels: bool
    why_not: str = ""


def plan_pixels(verify: str, floor: float | None, encoder: str, threshold: float) -> PixelPlan:
    """Settle whether candidates are decided on pixels, from `floor` on (None: the encoder's own).

    Raises UsageError for another choice than VERIFY's, MissingDependencyError where pixels were asked for without
    OpenCV.
    """
    if verify not in VERIFY:
        raise UsageError(f"unknown --verify {verify!r}: expected one of {', '.join(VERIFY)}")
    if floor is not None:
        require_threshold(floor)
    if verify == "none":
        return PixelPlan(threshold, False, "--verify none")
    try:
        import_cv2()
    except MissingDependencyError as error:
        if verify == "pixels":
            raise
        return PixelPlan(threshold, False, str(error))
    return PixelPlan(min(threshold, FLOORS.get(encoder, threshold) if floor is None else floor), True)


class Decided(NamedTuple):
    """matches, without their near_duplicates; misses: candidates of queries without a match; compared: how many of the
    candidates could be looked at, None where pixels were not compared."""

    matches: Matches
    misses: Misses
    compared: Coverage | None


def decide(
    candidates: Candidates,
    queries: Store,
    references: Store,
    threshold: float,
    plan: PixelPlan,
    progress: Progress,
) -> Decided:
    """Hold each candidate against its generation. At or above the threshold it is a match whatever the pixels say: they
    name its kind, or do not confirm it. Below, it is one if they confirm it.

    Memory: the candidates, and a bounded number of pictures.
    """
    near = candidates.similarity >= np.float32(threshold)
    kind, verified = np.full(len(near), Kind.NEAR, dtype=object), np.zeros(len(near), bool)
    compared = np.zeros(len(near), bool)
    if plan.on_pixels:
        checks = _checked(candidates, queries, references, progress)
        verified, compared = checks.copies, checks.read
        kind[verified] = checks.kind[verified]
    matches = _ranked(candidates, near | verified, kind, verified, compared)
    return Decided(
        matches,
        _misses(candidates, matches),
        Coverage(int(compared.sum()), len(compared)) if plan.on_pixels else None,
    )


def _checked(candidates: Candidates, queries: Store, references: Store, progress: Progress) -> Checks:
    own, left = np.unique(candidates.query, return_inverse=True)
    others, right = np.unique(candidates.reference, return_inverse=True)
    return check_pairs(_files(queries, own), _files(references, others), left, right, progress)


def _files(store: Store, rows: Int64) -> Files:
    columns = store.columns(rows)
    return Files(columns.uri, columns.sha256)


def _ranked(
    candidates: Candidates,
    chosen: NDArray[np.bool_],
    kind: NDArray[np.object_],
    verified: NDArray[np.bool_],
    compared: NDArray[np.bool_],
) -> Matches:
    picked = np.flatnonzero(chosen)
    order = np.lexsort((-candidates.similarity[picked], ~verified[picked], candidates.query[picked]))
    picked = picked[order]
    query = candidates.query[picked]
    rank = np.arange(len(picked)) - np.searchsorted(query, query) + 1
    return Matches(
        candidates.query[picked],
        candidates.reference[picked],
        candidates.similarity[picked],
        candidates.view[picked],
        rank,
        kind[picked],
        verified[picked],
        compared[picked],
        np.zeros(len(picked), np.int64),
    )


def _misses(candidates: Candidates, matches: Matches) -> Misses:
    """One for each query, the most similar first: whoever doubts the threshold looks at these."""
    first = np.flatnonzero(np.diff(candidates.query, prepend=-1) != 0)
    first = first[~np.isin(candidates.query[first], matches.query)]
    first = first[np.argsort(-candidates.similarity[first], kind="stable")[:MISSES]]
    return Misses(
        candidates.query[first], candidates.reference[first], candidates.similarity[first], candidates.view[first]
    )
