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
from memaudit.matching.search import StoredQueries
from memaudit.similarity import exact
from memaudit.statistics import Detected, MeldedRate, WeightedRate, melded_rate, melded_weighted, rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Int64, Rate, Status

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
    """Pairs of copies and training images: all matches that count, and candidates that could not be looked at."""

    matches: Candidates
    unread: Candidates


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
    told, unread = (_of_own(copies[pairs.query], source, pairs.reference, references, threshold) for pairs in found)
    status = np.full(len(source), Status.UNREADABLE, object)
    for state in (Status.BLANK, Status.OK):  # a picture within a file is enough, as in generations
        status[copies[columns.status == state]] = state
    status[unread & ~told] = Status.UNREADABLE
    kinds = np.array([copy.kind for copy in made.copies], object)
    asked = dict.fromkeys([*PLANTED, *kinds])  # also those of which no copy could be made
    rates = {kind: _rate(told[kinds == kind], status[kinds == kind]) for kind in asked}
    return Planted(
        made.asked, sources, tuple(PlantedKind(*each) for each in rates.items()), made.unreadable, made.why_none
    )


def _rate(found: NDArray[np.bool_], status: NDArray[np.object_]) -> Rate:
    measured = status == Status.OK
    return rate_of(int(found[measured].sum()), Coverage(int(measured.sum()), int((status != Status.BLANK).sum())))


def _of_own(copy: Int64, source: Int64, reference: Int64, references: Store, threshold: float) -> NDArray[np.bool_]:
    """Which copies have one of these pairs with their own source, or with a near-duplicate of it."""
    own = source[copy]
    alike = exact(references.embeddings(reference), references.embeddings(own)) >= np.float32(threshold)
    result = np.zeros(len(source), bool)
    result[copy[alike | (reference == own)]] = True
    return result


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
