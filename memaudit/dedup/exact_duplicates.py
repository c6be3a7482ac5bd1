"""Exact duplicates: the same file, or the same embedding bit by bit. Collapsed before anything is clustered.

Rows of different status are never duplicates of each other: an image that was read must not hang on one that was not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.store import NO_FILE, Store
from memaudit.types import Int64, Status

NO_PAIRS: Int64 = np.empty((0, 2), np.int64)


def representatives(store: Store, rank: Int64, apart: Int64 = NO_PAIRS) -> Int64:
    """For each row the row that stands for it: of its exact duplicates the one of lowest `rank`.

    apart (n, 2): rows that a person has ruled out as a pair; should they be exact duplicates all the same, neither
    stands for the other and nobody stands for both. Memory: two hash tables with a digest for each row.
    """
    rows = len(store)
    if not rows:
        return np.empty(0, np.int64)
    group = _components(rows, _first_of_equal(rows, _file_keys(store)), _first_of_equal(rows, _vector_keys(store)))
    _split(group, apart[group[apart[:, 0]] == group[apart[:, 1]]], rank)
    order = np.lexsort((rank, group))
    is_first = np.diff(group[order], prepend=-1) != 0
    return np.asarray(order[is_first][group], dtype=np.int64)


def _file_keys(store: Store) -> Iterable[tuple[int, str]]:
    files = (file for columns in store.iter_columns() for file in zip(columns.sha256, columns.status, strict=True))
    return (
        (row, f"{status} {sha256}")
        for row, (sha256, status) in enumerate(files)
        if sha256 != NO_FILE and status != Status.UNREADABLE
    )


def _vector_keys(store: Store) -> Iterable[tuple[int, bytes]]:
    for block in store.blocks():
        for row, vector in zip(block.rows, block.embeddings, strict=True):
            yield int(row), hashlib.blake2b(vector.tobytes(), digest_size=16).digest()


def _first_of_equal(rows: int, keys: Iterable[tuple[int, str | bytes]]) -> Int64:
    links = np.arange(rows, dtype=np.int64)
    first: dict[str | bytes, int] = {}
    for row, key in keys:
        links[row] = first.setdefault(key, row)
    return links


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
