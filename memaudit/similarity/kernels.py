"""Kernels of the fused join, in Triton, which only `fused` imports. Their bounds: docs/protocols/similarity.md."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def scan(
    a, b, a_lost, b_lost, entries, count, room, rows, row_tiles, column_tiles, least, per_unit,
    dim: tl.constexpr, tile_rows: tl.constexpr, tile_columns: tl.constexpr, step: tl.constexpr, group: tl.constexpr,
    whole: tl.constexpr,
):  # fmt: skip
    """Append row << 32 | column tile wherever the largest product of a row with a tile of columns may reach `least`.

    a (row_tiles * tile_rows, dim), b alike: padded with zeros; int8 (whole) or float16. a_lost, b_lost: of each tile
    the most that rounding took from a row. per_unit: whole products for a similarity of 1. Scores stay in registers.
    """
    for tile in range(tl.program_id(0), row_tiles * column_tiles, tl.num_programs(0)):
        # A group of row tiles goes down each column together: their rows stay in the cache while columns stream past.
        first = tile // (group * column_tiles) * group
        height = tl.minimum(row_tiles - first, group)
        inside = tile % (group * column_tiles)
        tm = first + inside % height
        tn = inside // height
        i = tm * tile_rows + tl.arange(0, tile_rows)
        j = tn * tile_columns + tl.arange(0, tile_columns)
        ks = tl.arange(0, step)
        left = a + i.to(tl.int64)[:, None] * dim + ks[None, :]
        right = b + j.to(tl.int64)[None, :] * dim + ks[:, None]
        scores = tl.zeros((tile_rows, tile_columns), dtype=tl.int32 if whole else tl.float32)
        for _ in range(0, dim, step):
            scores = tl.dot(tl.load(left), tl.load(right), scores, out_dtype=tl.int32 if whole else tl.float32)
            left += step
            right += step
        lost = tl.load(a_lost + tm)
        bound = least - lost - (1 + lost) * tl.load(b_lost + tn)
        best = tl.max(scores, axis=1)
        if whole:
            limit = bound * per_unit
            near = best >= tl.floor(limit - tl.abs(limit) * 1e-6 - 1).to(tl.int32)
        else:
            near = best >= bound
        near = near & (i < rows)
        if tl.max(near.to(tl.int32), axis=0) > 0:  # rare
            one = tl.full((tile_rows,), 1, tl.int64)
            place = tl.atomic_add(count + tl.zeros((tile_rows,), tl.int32), one, mask=near, sem="relaxed")
            tl.store(entries + place, i.to(tl.int64) * 4294967296 + tn, mask=near & (place < room))


@triton.jit
def emit(
    a, b, entries, number, pairs, count, room, columns, least,
    dim: tl.constexpr, tile_columns: tl.constexpr, step: tl.constexpr,
):  # fmt: skip
    """Append i << 32 | j of the pairs behind entries whose product in float32 reaches `least`. a, b: float32 rows."""
    for place in range(tl.program_id(0), number, tl.num_programs(0)):
        entry = tl.load(entries + place)
        i = entry // 4294967296
        j = (entry % 4294967296) * tile_columns + tl.arange(0, tile_columns)
        there = j < columns
        scores = tl.zeros((tile_columns,), tl.float32)
        for low in range(0, dim, step):
            ks = low + tl.arange(0, step)
            x = tl.load(a + i * dim + ks, mask=ks < dim, other=0.0)
            y = tl.load(b + j[:, None] * dim + ks[None, :], mask=there[:, None] & (ks < dim)[None, :], other=0.0)
            scores += tl.sum(y * x[None, :], axis=1)
        near = (scores >= least) & there
        if tl.max(near.to(tl.int32), axis=0) > 0:
            one = tl.full((tile_columns,), 1, tl.int64)
            slot = tl.atomic_add(count + tl.zeros((tile_columns,), tl.int32), one, mask=near, sem="relaxed")
            tl.store(pairs + slot, i * 4294967296 + j, mask=near & (slot < room))
