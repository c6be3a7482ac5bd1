"""Exact top-k search over blocks: the oracle of every index, and the audit's full search without one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from memaudit.records import Block, Float32, Int64
from memaudit.similarity.exact import ROUNDING, exact_at
from memaudit.similarity.pairs import Pairs


class Neighbours(NamedTuple):
    """For each query: rows (q, k) int64 of its nearest references (-1 where there are fewer), their similarity
    (q, k) float32 in falling order (-inf where there are fewer; ties by row), and `above` (q,) int64: how many
    references reach the threshold in all."""

    rows: Int64
    similarity: Float32
    above: Int64


def top_k(queries: Float32, references: Iterable[Block], k: int, threshold: float) -> Neighbours:
    """Search `queries` (q, dim) in all `references`. Memory: q x block scores, and the candidates of one block."""
    best = Pairs.none()
    worst = np.full(len(queries), -np.inf, np.float32)
    above = np.zeros(len(queries), np.int64)
    for block in references:
        scores = queries @ block.embeddings.T
        above += _count_above(scores, queries, block.embeddings, threshold)
        found = _promising(scores, worst, k)
        found = found._replace(similarity=exact_at(queries, found.left, block.embeddings, found.right))
        best = keep_best(Pairs.joined([best, found._replace(right=block.rows[found.right])]), k)
        worst = _kth(best, k, len(queries))
    return as_neighbours(best, k, above)


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


def _promising(scores: Float32, worst: Float32, k: int) -> Pairs:
    """Whoever could be among the k best of this block and better than `worst`, ties and rounding included."""
    floor = worst - ROUNDING
    if scores.shape[1] > k:
        # The highest alone takes a twentieth of the time that putting all in order does.
        kth = scores.max(axis=1) if k == 1 else np.partition(scores, -k, axis=1)[:, -k]
        floor = np.maximum(floor, kth - 2 * ROUNDING)
    left, right = np.nonzero(scores >= floor[:, None])
    return Pairs(left, right, np.empty(len(left), np.float32))


def _kth(best: Pairs, k: int, queries: int) -> Float32:
    """Similarity of each query's k-th best so far; -inf where it has fewer than k."""
    result = np.full(queries, -np.inf, np.float32)
    rank = np.arange(len(best.left)) - np.searchsorted(best.left, best.left)
    last = rank == k - 1
    result[best.left[last]] = best.similarity[last]
    return result


def _count_above(scores: Float32, queries: Float32, vectors: Float32, threshold: float) -> Int64:
    sure = scores >= threshold + ROUNDING
    count = sure.sum(axis=1)
    i, j = np.nonzero((scores >= threshold - ROUNDING) & ~sure)
    hit = exact_at(queries, i, vectors, j) >= np.float32(threshold)
    return np.asarray(count + np.bincount(i[hit], minlength=len(queries)), dtype=np.int64)
