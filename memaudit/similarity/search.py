"""Exact top-k search over blocks: the oracle of every index, and the audit's full search without one.

Scores in half precision nominate (`scores.py`), the exact similarity decides: the answer is that of float64, whatever
the machine, the blocks and the number of queries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from memaudit.similarity.exact import exact_at
from memaudit.similarity.pairs import Pairs
from memaudit.similarity.scores import Nominated, PlainScorer, Scorer, Tile, half_scorer, in_threads
from memaudit.store import Block, StoredBlock, unit_rows
from memaudit.types import Float32, Int64

_WORTH_TORCH = 1e8  # comparisons in float32 that take half as long as importing torch
_TILE = 1 << 22  # scores at once: 8 MiB in half precision, 16 in float32
_CONTENDERS = 8  # times k for each query: more of them in a tile, and it is worth finding its own k-th best


class Neighbours(NamedTuple):
    """For each query: rows (q, k) int64 of its nearest references (-1 where there are fewer), their similarity
    (q, k) float32 in falling order (-inf where there are fewer; ties by row), and `above` (q,) int64: how many
    references reach the threshold in all."""

    rows: Int64
    similarity: Float32
    above: Int64


def top_k(queries: Float32, references: Iterable[Block | StoredBlock], k: int, threshold: float) -> Neighbours:
    """Search `queries` (q, dim) in all `references`. Memory: the result, and for each thread a block and a tile."""
    best = _Best(len(queries), k)
    above = np.zeros(len(queries), np.int64)
    for found in _all_found(queries, iter(references), best, threshold):
        best.add(found.pairs)
        above += found.above
    return Neighbours(best.rows, best.similarity, above)


class _Found(NamedTuple):
    """What a block holds: pairs that may be among the k best, and how many references reach the threshold."""

    pairs: Pairs
    above: Int64


def _all_found(
    queries: Float32, references: Iterator[Block | StoredBlock], best: _Best, threshold: float
) -> Iterator[_Found]:
    """Search block after block; in half precision, by several threads, once that is worth it."""
    plain, compared = PlainScorer(queries), 0
    for block in references:
        if _worth_torch(compared) and (half := half_scorer(queries)) is not None:
            yield from in_threads(
                lambda block: _searched(queries, half, block, best, threshold), chain([block], references), half.threads
            )
            return
        compared += len(queries) * len(block.rows)
        yield _searched(queries, plain, block, best, threshold)


def _worth_torch(compared: int) -> bool:
    return compared > _WORTH_TORCH or "torch" in sys.modules


def _searched(queries: Float32, scorer: Scorer, block: Block | StoredBlock, best: _Best, threshold: float) -> _Found:
    ready = scorer.block(block.embeddings)
    floors = best.floors.copy()  # other threads' blocks may raise it meanwhile: what is left out here stays left out
    above = np.zeros(len(queries), np.int64)
    pairs = []
    for part in _parts(len(block.rows), len(queries)):
        found, floors = _promising(scorer.tile(ready, part), best.k, floors, threshold)
        scored = _scored(queries, block, part, found, floors, threshold)
        above += _count_above(found, scored, threshold, len(queries))
        kept = np.flatnonzero(scored >= floors[found.query])
        pairs.append(Pairs(found.query[kept], block.rows[part][found.position[kept]], scored[kept]))
    return _Found(Pairs.joined(pairs), above)


class _Best:
    """The k best of each query so far, and in `floors` (q,) what a further one must reach."""

    def __init__(self, queries: int, k: int) -> None:
        self.rows = np.full((queries, k), -1, np.int64)
        self.similarity = np.full((queries, k), -np.inf, np.float32)
        self.floors = np.full(queries, -np.inf, np.float32)

    @property
    def k(self) -> int:
        return self.rows.shape[1]

    def add(self, found: Pairs) -> None:
        """Take in further pairs."""
        found = found.where(found.similarity >= self.floors[found.left])
        touched = np.unique(found.left)
        if not len(touched):
            return
        held = np.flatnonzero(self.rows[touched].ravel() >= 0)
        earlier = Pairs(
            touched[held // self.k], self.rows[touched].ravel()[held], self.similarity[touched].ravel()[held]
        )
        both = keep_best(Pairs.joined([earlier, found]), self.k)
        rank = np.arange(len(both.left)) - np.searchsorted(both.left, both.left)
        self.rows[both.left, rank] = both.right
        self.similarity[both.left, rank] = both.similarity
        self.floors[touched] = np.maximum(self.floors[touched], self.similarity[touched, -1])


def keep_best(pairs: Pairs, k: int) -> Pairs:
    """The k pairs of highest similarity for each left, sorted by left, falling similarity, right."""
    order = np.lexsort((pairs.right, -pairs.similarity, pairs.left))
    left = pairs.left[order]
    order = order[np.arange(len(left)) - np.searchsorted(left, left) < k]
    return pairs.where(order)


def as_neighbours(best: Pairs, k: int, above: Int64) -> Neighbours:
    """Lay the result of `keep_best` out as one row for each query."""
    rows = np.full((len(above), k), -1, np.int64)
    similarity = np.full((len(above), k), -np.inf, np.float32)
    rank = np.arange(len(best.left)) - np.searchsorted(best.left, best.left)
    rows[best.left, rank] = best.right
    similarity[best.left, rank] = best.similarity
    return Neighbours(rows, similarity, above)


def _parts(rows: int, queries: int) -> list[slice]:
    step = max(256, _TILE // max(1, queries))
    return [slice(low, min(low + step, rows)) for low in range(0, rows, step)]


def _promising(tile: Tile, k: int, floors: Float32, threshold: float) -> tuple[Nominated, Float32]:
    """Whoever could be among the k best of a query, or reach the threshold; and the floors, raised where that helps."""
    if np.isneginf(floors).any():
        floors = np.maximum(floors, tile.kth(k))
    found = tile.at_least(np.minimum(floors, np.float32(threshold)))
    if (found.most >= floors[found.query]).sum() > _CONTENDERS * k * len(floors):
        floors = np.maximum(floors, tile.kth(k))
    return found, floors


def _scored(
    queries: Float32, block: Block | StoredBlock, part: slice, found: Nominated, floors: Float32, threshold: float
) -> Float32:
    """The exact similarity of whoever it can matter for; NaN for those that are sure to reach the threshold, or sure
    not to, and are not among the k best."""
    limit = np.float32(threshold)
    unsure = (found.least < limit) & (found.most >= limit)
    wanted = np.flatnonzero(unsure | (found.most >= floors[found.query]))
    places, back = np.unique(found.position[wanted], return_inverse=True)
    vectors = block.embeddings[part][places]
    unit = np.asarray(vectors, np.float32) if vectors.dtype == np.float32 else unit_rows(vectors)
    result = np.full(len(found.query), np.nan, np.float32)
    result[wanted] = exact_at(queries, found.query[wanted], unit, back)
    return result


def _count_above(found: Nominated, scored: Float32, threshold: float, queries: int) -> Int64:
    limit = np.float32(threshold)
    hit = (scored >= limit) | (np.isnan(scored) & (found.least >= limit))
    return np.bincount(found.query[hit], minlength=queries).astype(np.int64)
