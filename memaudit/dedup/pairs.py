"""Near-duplicate pairs: inside and between clusters, every comparison exact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from memaudit.dedup.clusters import SEEDS, Plan, fit, fit_rows, nearest_clusters
from memaudit.errors import InputError
from memaudit.records import Float32, Int64, Progress
from memaudit.similarity import Pairs, pairs_across, pairs_within
from memaudit.store import Store

BLOCK_ROWS = 8192


class Matrix:
    """The embeddings to compare, in a scratch file: rows can be gathered in any order, memory stays free.

    float32, because rescaling to unit length and rounding to float16 once more would move similarities by 1e-4.
    """

    def __init__(self, path: Path, store: Store, rows: Int64) -> None:
        """Copy the given store rows (sorted) to `path`. Position i of the matrix is rows[i] of the store."""
        self.rows = rows
        self._data: Float32 = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(len(rows), store.encoder.dim)
        )
        _reserve(path)
        is_wanted = np.zeros(len(store), bool)
        is_wanted[rows] = True
        filled = 0
        for block in store.blocks(BLOCK_ROWS):
            wanted = block.embeddings[is_wanted[block.rows]]
            self._data[filled : filled + len(wanted)] = wanted
            filled += len(wanted)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Int64 | slice) -> Float32:
        return np.asarray(self._data[positions])

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Yield the first position and the embeddings (n, dim) of each block, in order."""
        for low in range(0, len(self), BLOCK_ROWS):
            yield low, self.take(slice(low, low + BLOCK_ROWS))


def _reserve(path: Path) -> None:
    """Take the disk space of a sparse file now: to run out of it later is a signal that kills the process."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    size = path.stat().st_size
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise InputError(f"no room for {size:,} bytes of scratch in {path.parent}: {error.strerror}") from None


def find_pairs(matrix: Matrix, threshold: float, plan: Plan, seed: int, progress: Progress) -> tuple[Pairs, list[int]]:
    """All pairs of positions (left < right) that the plan compares and that reach the threshold, sorted.

    Also returns how many new pairs each clustering added. Memory: two blocks, 8 x probes bytes a row, and the pairs.
    """
    everything = np.arange(len(matrix), dtype=np.int64)
    if plan.exhaustive:
        pairs = _distinct(_compare(matrix, everything, None, threshold, progress))
        return pairs, [len(pairs.left)]
    pairs, added = Pairs.none(), []
    for number in range(plan.clusterings):
        found = _distinct(_one_clustering(matrix, threshold, plan, (seed + number) % SEEDS, progress))
        merged = _distinct(iter([pairs, found]))
        added.append(len(merged.left) - len(pairs.left))
        pairs = merged
    return pairs, added


def _one_clustering(matrix: Matrix, threshold: float, plan: Plan, seed: int, progress: Progress) -> Iterator[Pairs]:
    centroids = fit(matrix.take(fit_rows(len(matrix), plan.clusters, seed)), plan.clusters, seed)
    nearest = np.empty((len(matrix), plan.probes), np.int64)
    for low, vectors in matrix.blocks():
        nearest[low : low + len(vectors)] = nearest_clusters(vectors, centroids, plan.probes)
        progress("assigning clusters", low + len(vectors), len(matrix))
    for cluster in range(plan.clusters):
        members = np.flatnonzero(nearest[:, 0] == cluster)
        visitors = np.flatnonzero((nearest[:, 1:] == cluster).any(axis=1))
        yield from _compare(matrix, members, visitors, threshold, None)
        progress("comparing clusters", cluster + 1, plan.clusters)


def _compare(
    matrix: Matrix, members: Int64, visitors: Int64 | None, threshold: float, progress: Progress | None
) -> Iterator[Pairs]:
    """Members with each other, and with visitors. A giant cluster is walked in blocks, every block with every other."""
    for low in range(0, len(members), BLOCK_ROWS):
        own = members[low : low + BLOCK_ROWS]
        vectors = matrix.take(own)
        yield _placed(pairs_within(vectors, threshold), own, own)
        others = members[low + BLOCK_ROWS :]
        if visitors is not None:
            others = np.concatenate([others, visitors])
        for start in range(0, len(others), BLOCK_ROWS):
            part = others[start : start + BLOCK_ROWS]
            yield _placed(pairs_across(vectors, matrix.take(part), threshold), own, part)
        if progress:
            progress("comparing", low + len(own), len(members))


def _placed(pairs: Pairs, left: Int64, right: Int64) -> Pairs:
    a, b = left[pairs.left], right[pairs.right]
    return Pairs(np.minimum(a, b), np.maximum(a, b), pairs.similarity)


def _distinct(parts: Iterator[Pairs]) -> Pairs:
    """Sorted by (left, right), each pair once: two probes, or two clusterings, may meet the same pair."""
    pairs = Pairs.joined([part for part in parts if len(part.left)])
    order = np.lexsort((pairs.right, pairs.left))
    left, right = pairs.left[order], pairs.right[order]
    first = np.r_[True, (left[1:] != left[:-1]) | (right[1:] != right[:-1])] if len(left) else order.astype(bool)
    return pairs.where(order[first])
