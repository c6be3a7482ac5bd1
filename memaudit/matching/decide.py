"""What a candidate is: decided by similarity at the threshold, and on pixels below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders.encoder import Regions
from memaudit.matching.candidates import Basis, Candidates, place_in_run
from memaudit.matching.compare import Checks, Parts, check_pairs, files_of
from memaudit.matching.kinds import ALL, COPIES, Kind
from memaudit.matching.model import copy_model
from memaudit.matching.plan import MatchPlan
from memaudit.matching.redrawn import LAID, redrawn_model, redrawn_pairs
from memaudit.matching.results import Matches, Misses, RedrawnPairs
from memaudit.matching.search import Queries, Searched
from memaudit.store import Store
from memaudit.types import Coverage, Int64, Progress

MISSES = 50


@dataclass(frozen=True)
class Decided:
    """What became of the candidates, an entry of each column for each.

    near: its similarity makes it a match, and pixels do not tell it apart. checks: what pixels say of it, or of the
    window that decided; read nowhere where they were not compared (not `on_pixels`). kinds: of matches that count.
    labelled: matches that a calibration speaks of, by the similarity or the pixels of whole pictures.
    """

    candidates: Candidates
    near: NDArray[np.bool_]
    checks: Checks
    on_pixels: bool
    kinds: tuple[Kind, ...] = ALL
    labelled: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))

    @property
    def beyond_labels(self) -> Coverage:
        """Of the queries with a match that counts, those of which it is by none that a calibration speaks of."""
        counts = self.counts
        found, spoken_of = (np.unique(self.candidates.query[which]) for which in (counts, counts & self.labelled))
        return Coverage(len(found) - len(spoken_of), len(found))

    @property
    def verified(self) -> NDArray[np.bool_]:
        """Which pixels confirm."""
        return self.checks.copies

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Which were looked at."""
        return self.checks.read

    @property
    def kind(self) -> NDArray[np.object_]:
        """Of `Kind`; empty for what is no match and was not compared."""
        kind = np.full(len(self.near), "", dtype=object)
        kind[self.compared] = Kind.SIMILAR
        kind[self.near] = Kind.NEAR
        kind[self.verified] = self.checks.kind[self.verified]
        return kind

    @property
    def coverage(self) -> Coverage | None:
        """How many of the candidates could be looked at; None where pixels were not compared."""
        return Coverage(int(self.compared.sum()), len(self.compared)) if self.on_pixels else None

    @property
    def below(self) -> Coverage | None:
        """The same of those below the threshold."""
        return Coverage(int(self.compared[~self.near].sum()), int((~self.near).sum())) if self.on_pixels else None

    @property
    def unread(self) -> NDArray[np.bool_]:
        """Those that only pixels could decide and that could not be looked at: they may be of any kind, or none."""
        return ~self.near & ~self.compared if self.on_pixels else np.zeros(len(self.near), bool)

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Which matches are of a kind that counts: what was not compared may be of any."""
        known = self.compared | self.verified
        return (self.near | self.verified) & (~known | np.isin(self.kind.astype(str), [str(k) for k in self.kinds]))

    def kinds_by_query(self) -> dict[int, tuple[str, ...]]:
        """Of each row of the queries that has matches their kinds, the gravest first: of one that was not compared all
        that it may be."""
        found: dict[int, set[str]] = {}
        matches, known, kind = np.flatnonzero(self.near | self.verified), self.compared | self.verified, self.kind
        for place in matches.tolist():
            kinds = found.setdefault(int(self.candidates.query[place]), set())
            kinds.update([kind[place]] if known[place] else COPIES)
        return {query: tuple(str(each) for each in COPIES if each in kinds) for query, kinds in found.items()}

    def matched(self) -> Int64:
        """Rows of the queries that have a match, whatever its kind."""
        return np.unique(self.candidates.query[self.near | self.verified])

    def counted(self) -> Int64:
        """Those that have one that counts."""
        return np.unique(self.candidates.query[self.counts])

    def undecided(self) -> Int64:
        """Those that have none, and a candidate that could not be looked at: nothing is known of them."""
        return np.setdiff1d(self.candidates.query[self.unread], self.counted())

    def places_of_matches(self) -> Int64:
        """Which are matches that count: of each query the graver kinds first, so that a verbatim copy does not stand
        behind a detail that is more similar, then those that pixels do not confirm; each by falling similarity."""
        return self._in_order(np.flatnonzero(self.counts))

    def _in_order(self, chosen: Int64) -> Int64:
        verified, kind = self.verified, self.checks.kind
        gravity = np.array([COPIES.index(kind[i]) if verified[i] else len(COPIES) for i in chosen], np.int64)
        order = np.lexsort((-self.candidates.similarity[chosen], gravity, self.candidates.query[chosen]))
        return np.asarray(chosen[order])

    def matches(self) -> Matches:
        """Those that are and count, without their near-duplicates."""
        return self._as_matches(self.places_of_matches())

    def not_counted(self) -> Matches:
        """The same of the kinds that do not count, of queries without a match that does."""
        counts = self.counts
        left = (self.near | self.verified) & ~counts
        left &= ~np.isin(self.candidates.query, self.candidates.query[counts])
        return self._as_matches(self._in_order(np.flatnonzero(left)))

    def _as_matches(self, places: Int64) -> Matches:
        pairs = self.candidates.picked(places)
        return Matches(
            pairs.query,
            pairs.reference,
            pairs.similarity,
            pairs.views,
            place_in_run(pairs.query) + 1,
            self.kind[places],
            self.verified[places],
            self.compared[places],
            self.checks.probability[places],
            np.zeros(len(places), np.int64),
            self.checks.overlaps[places],
        )

    def misses(self, others: Int64 | tuple[()] = ()) -> Misses:
        """Of queries without a match, one of each, the most similar first: whoever doubts the threshold looks at
        these. others: queries that are findings for another reason."""
        pairs = self.candidates
        first = np.flatnonzero(np.diff(pairs.query, prepend=-1) != 0)
        first = first[~np.isin(pairs.query[first], [*self.matched(), *others])]
        first = first[np.argsort(-pairs.similarity[first], kind="stable")[:MISSES]]
        return self._as_misses(first)

    def likeliest_misses(self) -> Misses:
        """Of queries without a match, one of each, the likeliest copies by pixels first; of those that were compared as
        whole pictures."""
        pairs, probability = self.candidates, self.checks.probability
        open_ = ~np.isin(pairs.query, pairs.query[self.near | self.verified]) & ~np.isnan(probability)
        order = np.flatnonzero(open_)
        order = order[np.lexsort((-probability[order], pairs.query[order]))]
        first = order[np.diff(pairs.query[order], prepend=-1) != 0]
        first = first[np.argsort(-probability[first], kind="stable")[:MISSES]]
        return self._as_misses(first)

    def _as_misses(self, places: Int64) -> Misses:
        missed = self.candidates.picked(places)
        return Misses(
            missed.query,
            missed.reference,
            missed.similarity,
            missed.views,
            self.compared[places],
            self.checks.probability[places],
        )


def decide(
    searched: Searched, queries: Queries, references: Store, threshold: float, plan: MatchPlan, progress: Progress
) -> Decided:
    """Hold each candidate against its query. Below the threshold it is a match if pixels confirm it. At or above, it is
    one unless they tell two simple drawings apart, as the cards of a deck are; else they name its kind, or do not
    confirm it. Where the whole images do not, the windows of the training image that led to it are looked at by
    themselves: one that agrees makes a partial copy. Of what only details led to, similarity decides nothing.

    A threshold and a cut by labels are for whole pictures alone: such a pair is a match from there on whatever pixels
    say. For all else, what parts of pictures led to and prompts below the floor, they make nothing easier.

    Memory: the candidates, and a bounded number of pictures.
    """
    candidates, windows = searched.candidates, searched.windows
    labels = _Labels.of(searched, references, threshold, plan)
    near = (candidates.similarity >= np.float32(labels.else_from)) & candidates.decides
    if not plan.on_pixels:
        return Decided(candidates, near | labels.near, Checks.of_nothing(len(near)), False, labelled=labels.near)
    checks = _checked(candidates, queries, references, plan.cut, progress)
    if len(weak := np.flatnonzero(labels.too_weak(checks))):
        checks.put(weak, _checked(candidates.picked(weak), queries, references, None, progress))
    near &= ~(checks.read & checks.apart)
    near |= labels.near
    labelled = labels.near | labels.covers & checks.copies
    place = windows.places_in(candidates)
    doubtful = (checks.read & ~checks.copies)[place]
    place, windows = place[doubtful], windows.picked(doubtful)
    parts = Parts(np.full(len(place), "", dtype=object), windows.window)
    of_windows = _checked(windows, queries, references, plan.cut, progress, parts)
    decisive = _decisive(place, of_windows)
    checks.put(place[decisive], of_windows.picked(decisive))
    below = decisive[of_windows.copies[decisive] & ~near[place[decisive]]]
    seen = _seen_in(candidates, place[below], windows.picked(below))
    return Decided(seen, near, checks, True, labelled=labelled)


class _Labels(NamedTuple):
    """What labels of pairs of whole pictures settle of the candidates (n,): of nothing, where a threshold is by none.

    covers: pairs as were labelled, as similar as a whole as the floor; near: that reach the threshold so. else_from:
    similarity that makes a match of the others: the encoder's own at least. own_cut: that they have to reach.
    """

    covers: NDArray[np.bool_]
    near: NDArray[np.bool_]
    else_from: float
    own_cut: float

    @classmethod
    def of(cls, searched: Searched, references: Store, threshold: float, plan: MatchPlan) -> _Labels:
        pairs = searched.candidates
        if not plan.labelled:
            nothing = np.zeros(len(pairs.query), bool)
            return cls(nothing, nothing, threshold, 0.0)
        whole = np.where(pairs.basis == Basis.WHOLE, pairs.similarity, np.float32(-np.inf))
        place = pairs.places_in(searched.as_whole)
        whole[place >= 0] = searched.as_whole.similarity[place[place >= 0]]
        covers, near = whole >= np.float32(plan.floor), whole >= np.float32(threshold)
        return cls(covers, near, max(threshold, references.encoder.threshold), copy_model().cut)

    def too_weak(self, checks: Checks) -> NDArray[np.bool_]:
        """Which of the others are copies by the labels' cut, and none by the model's own."""
        return np.asarray(~self.covers & checks.copies & (checks.probability < np.float32(self.own_cut)))


def decide_redrawn(
    searched: Searched,
    decided: Decided,
    queries: Queries,
    references: Store,
    regions: Regions | None,
    progress: Progress,
) -> RedrawnPairs:
    """Of queries without a match, look at the closest whole images, and at that of the prompt: is one drawn anew?

    Where pixels lay one on the other, and they are no copy, it is another one of a series. regions: those of the
    encoder; None: nothing is looked for. Memory: these pairs, and a bounded number of pictures.
    """
    pairs = searched.whole.picked(~np.isin(searched.whole.query, decided.matched()))
    place = pairs.places_in(decided.candidates)
    laid = np.zeros(len(place), bool)
    laid[place >= 0] = decided.checks.alike[place[place >= 0]] >= LAID
    if regions is None or not len(pairs.query):
        pairs = pairs.picked(np.empty(0, np.int64))
        return RedrawnPairs(*pairs[:3], np.empty(0, bool), np.empty(0, np.float32), np.empty(0, bool))
    own, left = np.unique(pairs.query, return_inverse=True)
    others, right = np.unique(pairs.reference, return_inverse=True)
    sides = queries.files(own), files_of(references, others)
    found = redrawn_pairs(*sides, left, right, regions, progress)
    likely = np.nan_to_num(found.probability, nan=-1.0) >= np.float32(redrawn_model().cut)
    return RedrawnPairs(*pairs[:3], *found, likely & ~laid)


def _checked(
    pairs: Candidates,
    queries: Queries,
    references: Store,
    cut: float | None,
    progress: Progress,
    parts: Parts | None = None,
) -> Checks:
    own, left = np.unique(pairs.query, return_inverse=True)
    others, right = np.unique(pairs.reference, return_inverse=True)
    return check_pairs(queries.files(own), files_of(references, others), left, right, progress, parts, cut)


def _decisive(place: Int64, windows: Checks) -> Int64:
    """Of the windows of each candidate, at `place`, the most similar one that agrees; where none does, the first that
    could no longer be read: that candidate was not compared."""
    telling = np.flatnonzero(windows.copies | ~windows.read)
    telling = telling[np.lexsort((~windows.copies[telling], place[telling]))]
    _, first = np.unique(place[telling], return_index=True)
    return np.asarray(telling[first])


def _seen_in(candidates: Candidates, place: Int64, windows: Candidates) -> Candidates:
    """The candidates, those at `place` with the view and the similarity of these windows."""
    seen = Candidates._make(column.copy() for column in candidates)
    seen.similarity[place], seen.basis[place], seen.window[place] = windows[2:]
    return seen
