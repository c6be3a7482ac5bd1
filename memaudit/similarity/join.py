"""Similarity join: all pairs with similarity >= threshold. A backend nominates, the exact similarity decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from memaudit.similarity.exact import near_at
from memaudit.similarity.nominate import Backend, Products, Side
from memaudit.similarity.pairs import Pairs
from memaudit.similarity.scores import in_threads
from memaudit.types import Float32, Int64

Tile = tuple[slice, slice]
Wanted = Callable[[Int64, Int64], NDArray[np.bool_]]
_RESCORE_ROWS = 4_000_000  # candidates scored at once: their embeddings are gathered once, whoever occurs in several


def pairs_within(vectors: Float32, threshold: float, backend: Backend | None = None) -> Pairs:
    """All pairs i < j of rows of `vectors` (n, dim) with similarity >= threshold, sorted by (i, j)."""
    return Pairs.joined(list(join(Side.of(vectors), None, threshold, backend))).in_order()


def pairs_across(left: Float32, right: Float32, threshold: float, backend: Backend | None = None) -> Pairs:
    """All pairs (row of `left`, row of `right`) with similarity >= threshold, sorted. Memory: a tile and the result."""
    return Pairs.joined(list(join(Side.of(left), Side.of(right), threshold, backend))).in_order()


def join(
    left: Side,
    right: Side | None,
    threshold: float,
    backend: Backend | None = None,
    wanted: Wanted | None = None,
) -> Iterator[Pairs]:
    """Yield, tile by tile, the pairs of `left` with `right`, or (None) of `left` with itself, i < j; in no order.

    backend: who nominates (None: products in float32). wanted(i, j): which candidates are to be scored at all.
    Memory: a tile, its candidates, and the embeddings of those that occur in them.
    """
    backend = backend or Products(threshold)
    other = left if right is None else right
    tiles = _tiles(left.size, other.size, backend.tile, triangle=right is None)
    for rows, columns, (i, j) in _nominated(backend, left, other, tiles):
        i, j = i + rows.start, j + columns.start
        if right is None and columns.start < rows.stop:
            i, j = _chosen(i, j, i < j)
        if wanted is not None and len(i):
            i, j = _chosen(i, j, wanted(i, j))
        for low in range(0, len(i), _RESCORE_ROWS):
            part = slice(low, low + _RESCORE_ROWS)
            yield _decided(left, i[part], other, j[part], threshold)


def _nominated(
    backend: Backend, left: Side, right: Side, tiles: Iterator[Tile]
) -> Iterator[tuple[slice, slice, tuple[Int64, Int64]]]:
    """Each tile and its candidates; several at a time where the backend has several devices."""

    def of(tile: Tile) -> tuple[slice, slice, tuple[Int64, Int64]]:
        return *tile, backend.candidates(left, right, *tile)

    if backend.at_once == 1:
        return map(of, tiles)
    several = list(tiles)
    return in_threads(of, several, backend.at_once) if len(several) > 1 else map(of, several)


def _tiles(rows: int, columns: int, tile: tuple[int, int], triangle: bool) -> Iterator[Tile]:
    for low in range(0, rows, tile[0]):
        for start in range(low if triangle else 0, columns, tile[1]):
            yield slice(low, min(low + tile[0], rows)), slice(start, min(start + tile[1], columns))


def _chosen(i: Int64, j: Int64, mask: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    return i[mask], j[mask]


def _decided(left: Side, i: Int64, right: Side, j: Int64, threshold: float) -> Pairs:
    a, a_place = _gathered(left, i)
    b, b_place = _gathered(right, j)
    near, similarity = near_at(a, a_place, b, b_place, threshold)
    return Pairs(i[near], j[near], similarity)


def _gathered(side: Side, positions: Int64) -> tuple[Float32, Int64]:
    """Each embedding that occurs in `positions` once, and where each position finds its own."""
    if not len(positions):
        return side.take(positions), positions
    low = int(positions.min())
    occurs = np.zeros(int(positions.max()) - low + 1, bool)
    occurs[positions - low] = True
    place = np.cumsum(occurs) - 1
    return side.take(np.flatnonzero(occurs) + low), place[positions - low]
