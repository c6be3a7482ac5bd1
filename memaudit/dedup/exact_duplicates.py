"""Exact duplicates: the same file, or the same embedding bit by bit. Collapsed before anything is clustered.

Rows of different status are never duplicates of each other: an image that was read must not hang on one that was not.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.store import BLOCK_ROWS, Store
from memaudit.store.shard import CODES
from memaudit.types import Int64, Status

NO_PAIRS: Int64 = np.empty((0, 2), np.int64)
_TOLD_BY = 4  # numbers of an embedding, of two bytes each
_DIGEST = 16  # bytes


def representatives(store: Store, rank: Int64, apart: Int64 = NO_PAIRS) -> Int64:
    """For each row the row that stands for it: of its exact duplicates the one of lowest `rank`.

    apart (n, 2): rows that a person has ruled out as a pair; should they be exact duplicates all the same, neither
    stands for the other and nobody stands for both. Memory: 33 bytes a row, and once more while they are sorted.
    """
    rows = len(store)
    if not rows:
        return np.empty(0, np.int64)
    group = _components(rows, _same_files(store), _same_vectors(store))
    _split(group, apart[group[apart[:, 0]] == group[apart[:, 1]]], rank)
    order = np.lexsort((rank, group))
    is_first = np.diff(group[order], prepend=-1) != 0
    return np.asarray(order[is_first][group], dtype=np.int64)


def distinct_rows(store: Store, stands_for: Int64) -> Int64:
    """The comparable rows that stand for themselves, rising."""
    rows = store.comparable_rows()
    return np.asarray(rows[stands_for[rows] == rows])


def _same_files(store: Store) -> Int64:
    """Links (rows,) of rows that are of one file, and were read equally well."""
    found = list(store.iter_files())
    codes = np.concatenate([part.status for part in found])
    keys = np.concatenate([np.c_[part.sha256, part.status] for part in found])
    has_file = np.flatnonzero(keys[:, :-1].any(axis=1) & (codes != CODES[Status.UNREADABLE]))
    return _linked(len(store), has_file, keys[has_file])


def _same_vectors(store: Store) -> Int64:
    """Links (rows,) of rows whose embeddings are equal bit by bit, as stored. Few numbers of each tell most of them
    apart; of the rest digests do."""
    some = np.unique(np.linspace(0, store.encoder.dim - 1, _TOLD_BY).astype(np.int64))
    rows, keys = [np.empty(0, np.int64)], [np.empty((0, 2 * len(some)), np.uint8)]
    for block in store.stored_blocks():
        rows.append(block.rows)
        keys.append(np.ascontiguousarray(block.embeddings[:, some]).view(np.uint8))
    suspects = np.concatenate(rows)[_repeated(np.concatenate(keys))]
    digests = [np.empty((0, _DIGEST), np.uint8)]
    for low in range(0, len(suspects), BLOCK_ROWS):
        vectors = store.stored_embeddings(suspects[low : low + BLOCK_ROWS])
        joined = b"".join(hashlib.blake2b(vector, digest_size=_DIGEST).digest() for vector in vectors)
        digests.append(np.frombuffer(joined, np.uint8).reshape(-1, _DIGEST))
    return _linked(len(store), suspects, np.concatenate(digests))


def _linked(rows: int, some: Int64, keys: NDArray[np.uint8]) -> Int64:
    """For each of `rows` itself, or of some rows (n,) the first whose key (n, width) is equal."""
    links = np.arange(rows, dtype=np.int64)
    repeated = _repeated(keys)
    if len(repeated):
        same = np.ascontiguousarray(keys[repeated]).view(np.dtype((np.void, keys.shape[1]))).ravel()
        _, first, group = np.unique(same, return_index=True, return_inverse=True)
        links[some[repeated]] = some[repeated][first[group]]
    return links


def _repeated(keys: NDArray[np.uint8]) -> Int64:
    """Positions, rising, of keys (n, width) whose first eight bytes another one has: all that may be equal."""
    width = min(8, keys.shape[1])
    heads = np.zeros((len(keys), 8), np.uint8)
    heads[:, :width] = keys[:, :width]
    head = heads.view(np.uint64).ravel()
    order = np.argsort(head, kind="stable")
    equal = np.diff(head[order]) == 0
    return np.sort(order[np.r_[equal, False] | np.r_[False, equal]]) if len(head) else order


def _components(rows: int, *links: Int64) -> Int64:
    """Label of each row's component, 0 to n - 1, when row i is linked to links[k][i] for each k."""
    left = np.tile(np.arange(rows), len(links))
    graph = coo_array((np.ones(len(left), np.int8), (left, np.concatenate(links))), shape=(rows, rows))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _split(group: Int64, apart: Int64, rank: Int64) -> None:
    """Give the groups with ruled-out pairs (n, 2) inside new labels, in place, until no such pair shares one.

    By rising rank, each row joins the first part without a row that it was ruled out with.
    """
    enemies: dict[int, set[int]] = {}
    for left, right in apart.tolist():
        enemies.setdefault(left, set()).add(right)
        enemies.setdefault(right, set()).add(left)
    free = int(group.max()) + 1
    for label in np.unique(group[apart]).tolist():
        members = np.flatnonzero(group == label)
        parts: list[set[int]] = []
        for row in members[np.argsort(rank[members])].tolist():
            part = next((p for p in parts if p.isdisjoint(enemies.get(row, ()))), None)
            if part is None:
                parts.append(part := set())
            part.add(row)
        for part in parts[1:]:
            group[list(part)] = free
            free += 1
