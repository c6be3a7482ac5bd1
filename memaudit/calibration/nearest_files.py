"""The pairs of files of which one is among the most similar ones of the other: what is proposed is drawn from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.calibration.sides import RowPairs, Sides, without_files
from memaudit.index import Searcher
from memaudit.store import Store
from memaudit.store.shard import CODES
from memaudit.types import Float32, Int64, Progress, Status

NEIGHBOURS = 8
MOST_LOOKED_AT = 4096  # rows for each file: those of a file that is there more often than that hide what lies behind it
_AT_FIRST = 2 * NEIGHBOURS  # rows: of most files there are few copies
_ROWS = 1024  # that are searched at once
_HEAD = 8  # bytes of a digest, by which no two files of a set are equal but by one chance in millions


class FileRows(NamedTuple):
    """Of each row (n,) of a store: head, the first bytes of its file's sha256, and first, the first row of this file
    that can be compared; -1 for a row that cannot, or is of no file. Memory: 16 bytes a row."""

    head: NDArray[np.uint64]
    first: Int64

    @classmethod
    def of(cls, store: Store) -> FileRows:
        """Raises InputError where a store knows of no file at all."""
        head, usable, files = np.zeros(len(store), np.uint64), np.zeros(len(store), bool), False
        for part in store.iter_files():
            rows, is_file = slice(part.first, part.first + len(part.status)), part.sha256.any(axis=1)
            head[rows] = heads_of(part.sha256)
            usable[rows] = is_file & (part.status == CODES[Status.OK])
            files |= bool(is_file.any())
        if len(store) and not files:
            raise without_files(store)
        first, some = np.full(len(store), -1, np.int64), np.flatnonzero(usable)
        _, place, back = np.unique(head[some], return_index=True, return_inverse=True)
        first[some] = some[place][back]
        return cls(head, first)

    def stand_for_files(self, rows: Int64) -> Int64:
        """Places of those among these rows that are the first of their file."""
        return np.flatnonzero(self.first[rows] == rows)

    def are_of(self, rows: Int64, digests: Collection[str]) -> NDArray[np.bool_]:
        """Which of these rows are of one of these files, going by the first bytes of their sha256."""
        raw = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
        return np.isin(self.head[rows], heads_of(raw))


def heads_of(sha256: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The first bytes of digests (n, 32) as numbers."""
    return np.ascontiguousarray(sha256[:, :_HEAD]).view(np.uint64).ravel()


class FilePairs(NamedTuple):
    """Each pair once, by the first rows of both files, in order; within one set the lower row is the query."""

    rows: RowPairs
    similarity: Float32


def nearest_files(
    sides: Sides, own: FileRows, others: FileRows, searcher: Searcher, floor: float, progress: Progress
) -> FilePairs:
    """All pairs of two files of which one is among the `NEIGHBOURS` most similar ones of the other, from `floor` on.

    However often a file is there it is one: looked on is, up to `MOST_LOOKED_AT` rows, until enough others are found.
    Memory: some 60 bytes a pair, and the neighbours of a block.
    """
    parts, done = [_Near(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))], 0
    for block in sides.queries.blocks(_ROWS):
        stand = own.stand_for_files(block.rows)
        done += len(block.rows)
        parts += _near(block.rows[stand], block.embeddings[stand], own, others, searcher, floor)
        progress("looking for pairs", done, sides.queries.comparable)
    found = _Near(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return _each_once(found, one_set=sides.one_set)


class _Near(NamedTuple):
    query: Int64
    reference: Int64
    similarity: Float32


def _near(
    rows: Int64, vectors: Float32, own: FileRows, others: FileRows, searcher: Searcher, floor: float
) -> Iterator[_Near]:
    """What is nearest to each of these rows. More neighbours are asked for of those that have too few other files."""
    left, k, most = np.arange(len(rows)), _AT_FIRST, min(len(others.first), MOST_LOOKED_AT)
    while len(left):
        again, step = [np.empty(0, np.int64)], max(1, _ROWS * _AT_FIRST // k)
        for part in (left[low : low + step] for low in range(0, len(left), step)):
            near = searcher.search(vectors[part], k, floor)
            reference = np.where(near.rows >= 0, others.first[near.rows], -1)
            is_near = (reference >= 0) & (near.similarity >= np.float32(floor))
            is_near &= others.head[reference] != own.head[rows[part], None]
            is_near &= _first_in_row(reference)
            is_near &= np.cumsum(is_near, axis=1) <= NEIGHBOURS
            open_ = (is_near.sum(axis=1) < NEIGHBOURS) & (near.similarity[:, -1] >= np.float32(floor)) & (k < most)
            again.append(part[open_])
            query, rank = np.nonzero(is_near & ~open_[:, None])
            yield _Near(rows[part[query]], reference[query, rank], near.similarity[query, rank])
        left, k = np.concatenate(again), min(4 * k, most)


def _first_in_row(values: Int64) -> NDArray[np.bool_]:
    """Whether each value (n, k) stands nowhere before it in its row."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    found = np.ones(values.shape, bool)
    np.put_along_axis(found, order[:, 1:], ordered[:, 1:] != ordered[:, :-1], axis=1)
    return found


def _each_once(found: _Near, *, one_set: bool) -> FilePairs:
    one, other = found.query, found.reference
    if one_set:
        one, other = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(one) != 0) | (np.diff(other) != 0)
    return FilePairs(RowPairs(one[new], other[new]), found.similarity[order[new]])
