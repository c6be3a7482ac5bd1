"""The cover rule: whom to keep, so that everyone dropped has a kept witness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array

from memaudit.records import Float32, Int64
from memaudit.similarity import Pairs


class Cover(NamedTuple):
    """witness (n,) int64: the kept position each position is covered by (itself when kept); similarity (n,) float32."""

    witness: Int64
    similarity: Float32


def cover(size: int, pairs: Pairs, rank: Int64) -> Cover:
    """Keep greedily by rising `rank`; drop whoever is paired with somebody kept.

    The kept are pairwise below the threshold, and each dropped position is paired *directly* with a kept one, its
    witness: the most similar, ties by rank. No chains: A ~ B ~ C never drops C for the sake of a dropped B.
    The result depends on pairs and ranks alone, not on their order.
    """
    graph = coo_array(
        (
            np.ones(2 * len(pairs.left), bool),
            (np.concatenate([pairs.left, pairs.right]), np.concatenate([pairs.right, pairs.left])),
        ),
        shape=(size, size),
    ).tocsr()
    kept = np.ones(size, bool)
    for position in np.argsort(rank, kind="stable"):
        if kept[position]:
            kept[graph.indices[graph.indptr[position] : graph.indptr[position + 1]]] = False
    return _witnesses(pairs, kept, rank)


def _witnesses(pairs: Pairs, kept: np.ndarray, rank: Int64) -> Cover:
    witness = np.arange(len(kept), dtype=np.int64)
    similarity = np.ones(len(kept), np.float32)
    dropped = np.concatenate([pairs.left, pairs.right])
    keeper = np.concatenate([pairs.right, pairs.left])
    score = np.concatenate([pairs.similarity, pairs.similarity])
    useful = ~kept[dropped] & kept[keeper]
    dropped, keeper, score = dropped[useful], keeper[useful], score[useful]
    # The last assignment of a position wins: order so that it is the best witness.
    order = np.lexsort((-rank[keeper], score, dropped))
    witness[dropped[order]] = keeper[order]
    similarity[dropped[order]] = score[order]
    return Cover(witness, similarity)
