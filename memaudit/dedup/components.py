"""Groups as connected components: whoever a chain of pairs links, on request."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from memaudit.dedup.exact_duplicates import NO_PAIRS
from memaudit.similarity import Pairs
from memaudit.types import Float32, Int64


class Components(NamedTuple):
    """witness (n,) int64: the kept position of each position's component; chain (n,) float32: the weakest similarity
    on the best chain of pairs to it (1 for itself)."""

    witness: Int64
    chain: Float32


def components(size: int, pairs: Pairs, rank: Int64, apart: Int64 = NO_PAIRS) -> Components:
    """Of each connected component keep the position of lowest `rank`.

    The best chain between two positions is the one whose weakest pair is strongest; it runs along a maximum spanning
    tree (Hu 1961). apart (n, 2) is ruled out: a component that holds such a pair is built again, strongest pairs first,
    without the joins that would bring the two together. Memory: about 60 bytes a pair.
    """
    forest = _forest(size, pairs, rank, apart)
    label = _labels(size, forest)
    order = np.lexsort((rank, label))
    first = order[np.diff(label[order], prepend=-1) != 0]
    witness = np.asarray(first[label], dtype=np.int64)
    return Components(witness, _weakest(size, forest, first))


def _forest(size: int, pairs: Pairs, rank: Int64, apart: Int64) -> Pairs:
    """A maximum spanning tree of each component."""
    # Costs above 0, because scipy takes 0 for "no edge"; 2 - float32 is exact in float64.
    graph = coo_array((2 - pairs.similarity.astype(np.float64), (pairs.left, pairs.right)), shape=(size, size)).tocsr()
    tree = minimum_spanning_tree(graph, overwrite=True).tocoo()
    forest = Pairs(tree.row.astype(np.int64), tree.col.astype(np.int64), (2.0 - tree.data).astype(np.float32))
    label = _labels(size, forest)
    clash = label[apart[label[apart[:, 0]] == label[apart[:, 1]], 0]]
    if not len(clash):
        return forest
    again = np.isin(label, clash)
    return Pairs.joined([forest.where(~again[forest.left]), _joins(pairs.where(again[pairs.left]), rank, apart)])


def _labels(size: int, forest: Pairs) -> Int64:
    graph = coo_array((np.ones(len(forest.left), np.int8), (forest.left, forest.right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _joins(pairs: Pairs, rank: Int64, apart: Int64) -> Pairs:
    """Kruskal's algorithm, strongest pairs first, ties by rank; no join brings ruled-out ones together."""
    ends = np.sort(np.stack([rank[pairs.left], rank[pairs.right]]), axis=0)
    order = np.lexsort((ends[1], ends[0], -pairs.similarity))
    members = {int(position): {int(position)} for position in np.unique(np.r_[pairs.left, pairs.right])}
    root = {position: position for position in members}
    enemies: dict[int, set[int]] = {position: set() for position in members}
    for a, b in apart.tolist():
        if a in members and b in members:
            enemies[a].add(b)
            enemies[b].add(a)
    chosen = []
    for index in order.tolist():
        a, b = root[int(pairs.left[index])], root[int(pairs.right[index])]
        if a == b or not members[a].isdisjoint(enemies[b]):
            continue
        small, large = sorted((a, b), key=lambda r: len(members[r]))
        root.update(dict.fromkeys(members[small], large))
        members[large] |= members.pop(small)
        enemies[large] |= enemies.pop(small)
        chosen.append(index)
    return pairs.where(np.array(chosen, dtype=np.int64))


def _weakest(size: int, forest: Pairs, kept: Int64) -> Float32:
    """The weakest similarity on the way to the kept position, along the trees.

    All trees hang on one root, numbered `size`; then each position looks ever twice as far towards it.
    """
    left = np.concatenate([forest.left, np.full(len(kept), size)])
    right = np.concatenate([forest.right, kept])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(size + 1, size + 1)).tocsr()
    parent = np.asarray(breadth_first_order(graph, size, directed=False)[1], dtype=np.int64)
    parent[size] = size
    weakest = np.ones(size + 1, np.float32)
    child = np.where(parent[forest.right] == forest.left, forest.right, forest.left)
    weakest[child] = forest.similarity
    while (parent != size).any():
        weakest = np.minimum(weakest, weakest[parent])
        parent = parent[parent]
    return weakest[:size]
