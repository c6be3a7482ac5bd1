"""What an audit finds of the copies that were planted, and what its rates then say of all copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.planting import Planting
from memaudit.audit.results import AllCopies, AuditResult, OfAllCopies, Planted, PlantedKind
from memaudit.images.copy_kinds import PLANTED
from memaudit.images.parts import file_of
from memaudit.matching.candidates import Candidates
from memaudit.matching.kinds import COPIES
from memaudit.matching.search import StoredQueries
from memaudit.similarity import exact
from memaudit.statistics import Detected, MeldedRate, WeightedRate, melded_rate, melded_weighted, rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Int64, Rate, Status

_GRAVITY = (*map(str, COPIES), "")  # of a match, the gravest first; what was not compared may be of any
_NONE = len(_GRAVITY)
R = TypeVar("R", Rate, WeightedRate)


class PlantedQueries(NamedTuple):
    """What was planted, and its embeddings; None where nothing was."""

    planting: Planting
    queries: StoredQueries | None = None

    @property
    def stores(self) -> list[Store]:
        if self.queries is None:
            return []
        return [self.queries.store, *([self.queries.views.store] if self.queries.views else [])]


class PlantedPairs(NamedTuple):
    """Pairs of copies and training images: all matches that count, and candidates that could not be looked at. kinds:
    of each match, of `Kind`; empty for one that was not compared on pixels."""

    matches: Candidates
    unread: Candidates
    kinds: NDArray[np.object_]


def planted_found(planted: PlantedQueries, found: PlantedPairs | None, references: Store, threshold: float) -> Planted:
    """How many copies of each kind were found: of all matches of copies there is one with the training image that it is
    of, or a near-duplicate of that. Copies without content are left out, as blank generations are; those of which such
    a pair could not be looked at, and that were not found, were not measured."""
    made, queries = planted.planting, planted.queries
    sources = len({copy.source for copy in made.copies})
    if queries is None or found is None:
        return Planted(made.asked, sources, (), made.unreadable, made.why_none)
    columns = queries.store.all_columns()
    copy_of = {copy.name: number for number, copy in enumerate(made.copies)}
    copies = np.array([copy_of[file_of(name) or name] for name in columns.image_id], np.int64)
    source = np.array([copy.source for copy in made.copies], np.int64)
    own = _Own(source, copies, references, threshold)
    unread, gravest = own.copies_of(found.unread), own.gravest(found.matches, found.kinds)
    told = gravest != _NONE
    status = np.full(len(source), Status.UNREADABLE, object)
    for state in (Status.BLANK, Status.OK):  # a picture within a file is enough, as in generations
        status[copies[columns.status == state]] = state
    status[unread & ~told] = Status.UNREADABLE
    kinds = np.array([copy.kind for copy in made.copies], object)
    asked = dict.fromkeys([*PLANTED, *kinds])  # also those of which no copy could be made
    told_kinds = tuple(_kind(kind, gravest[kinds == kind], status[kinds == kind]) for kind in asked)
    return Planted(made.asked, sources, told_kinds, made.unreadable, made.why_none)


def _kind(kind: str, gravest: Int64, status: NDArray[np.object_]) -> PlantedKind:
    measured = status == Status.OK
    found = gravest[measured & (gravest != _NONE)]
    coverage = Coverage(int(measured.sum()), int((status != Status.BLANK).sum()))
    matched = {name: int((found == place).sum()) for place, name in enumerate(_GRAVITY)}
    return PlantedKind(kind, rate_of(len(found), coverage), {name: count for name, count in matched.items() if count})


class _Own(NamedTuple):
    """Pairs of copies with the training image that each is of, or with a near-duplicate of it. source (copies,): its
    row; copy (rows,): which copy a row of the queries is of."""

    source: Int64
    copy: Int64
    references: Store
    threshold: float

    def copies_of(self, pairs: Candidates) -> NDArray[np.bool_]:
        """Which copies have one of these pairs."""
        result = np.zeros(len(self.source), bool)
        result[self.copy[pairs.query[self._are(pairs)]]] = True
        return result

    def gravest(self, pairs: Candidates, kinds: NDArray[np.object_]) -> Int64:
        """Of each copy the gravest kind of its pairs, a place in `_GRAVITY`; `_NONE` without a pair."""
        result, own = np.full(len(self.source), _NONE), self._are(pairs)
        gravity = np.array([_GRAVITY.index(str(kind)) for kind in kinds[own]], np.int64)
        np.minimum.at(result, self.copy[pairs.query[own]], gravity)
        return result

    def _are(self, pairs: Candidates) -> NDArray[np.bool_]:
        own = self.source[self.copy[pairs.query]]
        embeddings = self.references.embeddings
        alike = exact(embeddings(pairs.reference), embeddings(own)) >= np.float32(self.threshold)
        return np.asarray(alike | (pairs.reference == own))


def of_all_copies(result: AuditResult, planted: Planted) -> OfAllCopies:
    """What the rates say of all copies, each by the kind of copies that makes most of it."""
    prompts = result.by_prompt
    return OfAllCopies(
        bounds_of_all(result.searched, planted, melded_rate),
        bounds_of_all(result.paired, planted, melded_rate),
        bounds_of_all(prompts.returned if prompts else None, planted, melded_rate),
        bounds_of_all(prompts.weighted if prompts else None, planted, melded_weighted),
    )


def bounds_of_all(rate: R | None, planted: Planted, melded: Callable[[R, Detected], MeldedRate]) -> AllCopies | None:
    """Of a rate, by the kind of copies that makes most of it; None where there is no rate, nothing was planted, or of
    one kind nothing was measured: that may be the hardest."""
    if planted.unmeasured:
        return None
    found = {each.kind: each.found for each in planted.kinds if each.found is not None}
    counts: dict[str, Detected] = {kind: Detected(each.count, each.coverage.measured) for kind, each in found.items()}
    told = {each: melded(rate, each) for each in {*counts.values()} if each.planted} if rate else {}
    bounds = {kind: told[each] for kind, each in counts.items() if each in told}
    if not bounds:
        return None
    worst = max(bounds, key=lambda kind: bounds[kind].upper)
    low = min(bound.low for bound in bounds.values())
    return AllCopies(worst, low, bounds[worst].high, bounds[worst].upper, bounds[worst].confidence)
