"""Searching in one place: candidates from the index, similarities from the store, exactly and in float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.index.engine import Engine
from memaudit.similarity import Neighbours, Pairs, top_k
from memaudit.similarity.exact import ROUNDING, exact_at, similarity_at
from memaudit.similarity.search import as_neighbours, keep_best
from memaudit.store import Store
from memaudit.types import Float32, Int64

SPARE = 16  # candidates beyond k: FAISS breaks ties, and rounds, in its own way
_SCORED = 1 << 16  # candidates re-scored at once: 130 MB of embeddings of 512 numbers


class Searcher(Protocol):
    """Whatever finds the nearest references of queries: a store itself, or an index of it."""

    @property
    def store(self) -> Store: ...

    @property
    def method(self) -> str: ...

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours: ...

    def first_frames_alone(self) -> int:
        """As that of the store, where it can be without a reading of the store."""

    def require_current(self) -> None:
        """Raise InconclusiveError if what was opened was changed since."""


@dataclass(frozen=True)
class ExactSearch:
    """Search a store without an index, by exhaustive products."""

    store: Store
    method: str = "exact"

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        return top_k(queries, self.store.stored_blocks(), k, threshold)

    def first_frames_alone(self) -> int:
        return self.store.first_frames_alone()

    def require_current(self) -> None:
        self.store.require_current()


class _Scored(NamedTuple):
    """best: the k best candidates of each of some queries; above (n,): how many of all its candidates reach the
    threshold; more (n,) bool: whether further ones could."""

    best: Pairs
    above: Int64
    more: NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """An index's candidates, re-scored from its store.

    least: how many are re-scored of each query at least. exact: the candidates are the true nearest, but for rounding.
    """

    engine: Engine
    store: Store
    least: int
    exact: bool

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        """As `top_k`, over the candidates. A query gets more of them, four times as many each time, while the last
        ones still reach the threshold: that finds what a range search would, on any kind of index and device.

        Memory: _SCORED embeddings, and some 50 bytes for each candidate of one query, however many there are.
        """
        found: list[Pairs] = []
        above = np.zeros(len(queries), np.int64)
        pending = np.arange(len(queries))
        count = min(max(k + SPARE, self.least), len(self.engine))
        while len(pending):
            unfinished = []
            step = max(1, _SCORED // count)
            for low in range(0, len(pending), step):
                part = pending[low : low + step]
                scored = self._scored(queries, part, count, k, threshold)
                done = part[~scored.more]
                unfinished.append(part[scored.more])
                above[done] = scored.above[~scored.more]
                found.append(scored.best.where(np.isin(scored.best.left, done)))
            pending, count = np.concatenate(unfinished), min(4 * count, len(self.engine))
        return as_neighbours(keep_best(Pairs.joined(found), k), k, above)

    def _scored(self, queries: Float32, part: Int64, count: int, k: int, threshold: float) -> _Scored:
        """The candidates of some queries: of more than one query no more than are re-scored at once."""
        rows = self.engine.search(np.ascontiguousarray(queries[part]), count)
        similarity = np.full(rows.shape, -np.inf, np.float32)
        best = Pairs.none()
        for place, column in _pieces(rows):
            right = rows[place, column]
            distinct, back = np.unique(right, return_inverse=True)
            scored = _similarity(queries, part[place], self.store.embeddings(distinct), back, k, threshold)
            similarity[place, column] = scored
            best = keep_best(Pairs.joined([best, Pairs(part[place], right, scored)]), k)
        more = (rows[:, -1] >= 0) & self._goes_on(similarity, k, threshold) & (count < len(self.engine))
        return _Scored(best, np.count_nonzero(similarity >= np.float32(threshold), axis=1), more)

    def _goes_on(self, similarity: Float32, k: int, threshold: float) -> np.ndarray:
        """For which queries candidates beyond the last could still count."""
        if not self.exact:  # the order is a rough one: look at the last quarter
            tail = similarity[:, -max(1, similarity.shape[1] // 4) :]
            return np.asarray((tail >= np.float32(threshold)).any(axis=1))
        last = similarity[:, -1] + np.float32(2 * self.engine.rounding)
        kth = np.partition(similarity, -k, axis=1)[:, -k] if similarity.shape[1] >= k else np.float32(-np.inf)
        return np.asarray((last >= np.float32(threshold)) | (last >= kth))


def _pieces(rows: Int64) -> Iterator[tuple[Int64, Int64]]:
    """Where the candidates are in (queries, count) `rows`, _SCORED of them at a time. More than that are of one query:
    they come in the order of the store, so that no shard is read for each piece."""
    place, column = np.nonzero(rows >= 0)
    if len(place) > _SCORED:
        column = column[np.argsort(rows[place, column])]
    for low in range(0, len(place), _SCORED):
        yield place[low : low + _SCORED], column[low : low + _SCORED]


def _similarity(queries: Float32, query: Int64, vectors: Float32, place: Int64, k: int, threshold: float) -> Float32:
    """Similarity of queries[query] with vectors[place], query rising: exact for the k best of each query and wherever
    the threshold decides; to within rounding of float32 for the rest, which is only counted."""
    result = similarity_at(queries, query, vectors, place, threshold)
    order = np.lexsort((-result, query))
    first = np.searchsorted(query, query)  # of each one's query
    kth = result[order[np.minimum(first + k, np.searchsorted(query, query, side="right")) - 1]]
    best = np.flatnonzero(result >= kth - np.float32(2 * ROUNDING))
    result[best] = exact_at(queries, query[best], vectors, place[best])
    return result
