"""What a candidate is: decided by similarity at the threshold, and on pixels below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.looking import Candidates, Looked, decides, window_of
from memaudit.audit.results import Matches, Misses
from memaudit.encoders.catalog import is_known
from memaudit.errors import MissingDependencyError, UsageError
from memaudit.matching.compare import Checks, Files, Parts, check_pairs
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import import_cv2
from memaudit.matching.plan import SEARCH_FLOORS, require_choice
from memaudit.similarity.exact import require_threshold
from memaudit.store import Store
from memaudit.types import Coverage, Int64, Progress

MISSES = 50
_GRAVITY = {Kind.VERBATIM: 0, Kind.TEMPLATE: 1, Kind.NEAR: 2, Kind.PARTIAL: 3}
"""The gravest match comes first: a verbatim copy must not stand behind a detail that is more similar."""


@dataclass(frozen=True)
class PixelPlan:
    """floor: similarity from which training images are candidates; prompts_floor: from which those of the prompts are.
    on_pixels: whether they are looked at; if not, `why_not` says why."""

    floor: float
    prompts_floor: float
    on_pixels: bool
    why_not: str = ""


def plan_pixels(verify: str, floor: float | None, encoder: str, threshold: float) -> PixelPlan:
    """Settle whether candidates are decided on pixels, from `floor` on (None: the encoder's own).

    Raises UsageError for another choice than VERIFY's, MissingDependencyError where pixels were asked for without
    OpenCV.
    """
    require_choice(verify)
    if floor is not None:
        require_threshold(floor)
        if verify == "none":
            raise UsageError("--verify none compares no pixels: leave out --verify-from")
    if verify == "none":
        return PixelPlan(threshold, threshold, False, "--verify none")
    try:
        import_cv2()
    except MissingDependencyError as error:
        if verify == "pixels" or floor is not None:
            raise
        return PixelPlan(threshold, threshold, False, str(error))
    asked = min(threshold, SEARCH_FLOORS.get(encoder, threshold) if floor is None else floor)
    # Embeddings that were imported mostly come without files, of which below the threshold all would be missing
    return PixelPlan(asked, -1.0 if floor is not None or is_known(encoder) else asked, True)


class Decided(NamedTuple):
    """matches, without their near_duplicates; misses: candidates of queries without a match; compared: how many of the
    candidates could be looked at, and below, of those below the threshold; None where pixels were not compared."""

    matches: Matches
    misses: Misses
    compared: Coverage | None
    below: Coverage | None


def decide(
    looked: Looked,
    queries: Store,
    references: Store,
    threshold: float,
    plan: PixelPlan,
    progress: Progress,
) -> Decided:
    """Hold each candidate against its generation. At or above the threshold it is a match whatever the pixels say: they
    name its kind, or do not confirm it. Below, it is one if they confirm it. Where the whole images do not, the windows
    of the training image that led to it are looked at by themselves: one that agrees makes a partial copy. Of what only
    details led to, similarity decides nothing.

    Memory: the candidates, and a bounded number of pictures.
    """
    candidates = looked.candidates
    near = (candidates.similarity >= np.float32(threshold)) & decides(candidates.view)
    kind, verified = np.full(len(near), Kind.NEAR, dtype=object), np.zeros(len(near), bool)
    compared = np.zeros(len(near), bool)
    if plan.on_pixels:
        checks = _checked(candidates, queries, references, progress)
        verified, compared = checks.copies, checks.read
        kind[verified] = checks.kind[verified]
        within = _within(looked, compared & ~verified, queries, references, progress)
        kind[within.candidate], verified[within.candidate] = Kind.PARTIAL, True
        compared[within.unread] = False
        candidates = _seen_in(looked, within, near)
    matches = _ranked(candidates, near | verified, kind, verified, compared)
    misses = _misses(candidates, matches, compared)
    if not plan.on_pixels:
        return Decided(matches, misses, None, None)
    below = Coverage(int(compared[~near].sum()), int((~near).sum()))
    return Decided(matches, misses, Coverage(int(compared.sum()), len(compared)), below)


def _checked(
    pairs: Candidates, queries: Store, references: Store, progress: Progress, parts: Parts | None = None
) -> Checks:
    own, left = np.unique(pairs.query, return_inverse=True)
    others, right = np.unique(pairs.reference, return_inverse=True)
    return check_pairs(_files(queries, own), _files(references, others), left, right, progress, parts)


class _Within(NamedTuple):
    """Places of candidates that pixels confirm in a window, and of these windows among those looked at; and of
    candidates whose windows could no longer be read."""

    candidate: Int64
    window: Int64
    unread: Int64


def _within(
    looked: Looked, doubtful: NDArray[np.bool_], queries: Store, references: Store, progress: Progress
) -> _Within:
    """Hold the generations of doubtful candidates against windows of the training image: of each the most similar one
    that agrees."""
    numbers, asked = (part.numbers(references) for part in (looked.candidates, looked.windows))
    order = np.argsort(numbers)
    place = order[np.searchsorted(numbers, asked, sorter=order)]
    window = np.flatnonzero(doubtful[place])
    parts = looked.windows.picked(window)
    names = np.array([window_of(view) for view in parts.view], dtype=object)
    whole = np.full(len(names), "", dtype=object)
    checks = _checked(parts, queries, references, progress, Parts(whole, names))
    candidate, first = np.unique(place[window[checks.copies]], return_index=True)
    unread = np.setdiff1d(place[window[~checks.read]], candidate)
    return _Within(candidate, window[checks.copies][first], unread)


def _seen_in(looked: Looked, within: _Within, near: NDArray[np.bool_]) -> Candidates:
    """The candidates, those below the threshold that a window confirms with its view and similarity."""
    below = ~near[within.candidate]
    similarity, view = looked.candidates.similarity.copy(), looked.candidates.view.copy()
    for column, of_windows in ((similarity, looked.windows.similarity), (view, looked.windows.view)):
        column[within.candidate[below]] = of_windows[within.window[below]]
    return looked.candidates._replace(similarity=similarity, view=view)


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
    gravity = np.array([_GRAVITY[kind[i]] if verified[i] else len(_GRAVITY) for i in picked], dtype=np.int64)
    order = np.lexsort((-candidates.similarity[picked], gravity, candidates.query[picked]))
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


def _misses(candidates: Candidates, matches: Matches, compared: NDArray[np.bool_]) -> Misses:
    """One for each query, the most similar first: whoever doubts the threshold looks at these."""
    first = np.flatnonzero(np.diff(candidates.query, prepend=-1) != 0)
    first = first[~np.isin(candidates.query[first], matches.query)]
    first = first[np.argsort(-candidates.similarity[first], kind="stable")[:MISSES]]
    return Misses(
        candidates.query[first],
        candidates.reference[first],
        candidates.similarity[first],
        candidates.view[first],
        compared[first],
    )
