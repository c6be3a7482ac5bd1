"""The similarity that decides."""

from __future__ import annotations

from typing import Any

import numpy as np

from memaudit.errors import UsageError
from memaudit.types import Float32, Int64

ROUNDING = 2e-5  # float32 products of unit vectors up to some 4,096 dimensions err by less
_RESCORE_ROWS = 256  # two such blocks in float64 stay in the cache


def exact(left: Float32, right: Float32) -> Float32:
    """Cosine of paired rows of two (n, dim) arrays of unit vectors, as `exact_at`."""
    rows = np.arange(len(left), dtype=np.int64)
    return exact_at(left, rows, right, rows)


def exact_at(left: Float32, i: Int64, right: Float32, j: Int64) -> Float32:
    """Cosine of left[i] with right[j], one by one: computed in float64, rounded to float32.

    The value of a pair depends on its two vectors alone, not on the others in the call; a vector has 1 with itself.
    Rows of a store are multiples of 2^-26 (`unit_rows`): no sum of their products is rounded, so that blocks, threads,
    the order of summation and the kind of machine change no bit. Of other float32 vectors the order of summation may
    change the 16th digit, and of the result hardly ever the last bit.
    Memory: the result, and a block of gathered rows however many pairs there are.
    """
    result, sides = np.empty(len(i), np.float32), (_Wide(left, len(i)), _Wide(right, len(i)))
    for low in range(0, len(i), _RESCORE_ROWS):
        part = slice(low, low + _RESCORE_ROWS)
        (a, a_squares), (b, b_squares) = (side.at(ends[part]) for side, ends in zip(sides, (i, j), strict=True))
        # Float32 unit vectors have lengths off by 1e-7: without the division some would not reach 1 with themselves.
        result[part] = _products(a, b) / np.sqrt(a_squares * b_squares)
    return np.clip(result, -1.0, 1.0)


class _Wide:
    """Rows in float64, always in the same memory: to get new pages takes longer than to fill them. And their products
    with themselves: each computed once where rows are fewer than pairs."""

    def __init__(self, rows: Float32, pairs: int) -> None:
        block = (min(pairs, _RESCORE_ROWS), rows.shape[1])
        self._rows, self._narrow, self._wide = rows, np.empty(block, rows.dtype), np.empty(block)
        self._squares = None
        if len(rows) < pairs:
            blocks = (rows[low : low + _RESCORE_ROWS].astype(np.float64) for low in range(0, len(rows), _RESCORE_ROWS))
            self._squares = np.concatenate([_products(block, block) for block in blocks])

    def at(self, positions: Int64) -> tuple[np.ndarray, np.ndarray]:
        """The rows (n, dim) at these positions, n of a block at most, and their squares (n,)."""
        narrow, wide = self._narrow[: len(positions)], self._wide[: len(positions)]
        np.take(self._rows, positions, axis=0, out=narrow, mode="clip")  # all are there; to raise, numpy would copy
        wide[:] = narrow
        return wide, _products(wide, wide) if self._squares is None else self._squares[positions]


def near_at(left: Float32, i: Int64, right: Float32, j: Int64, threshold: float) -> tuple[Int64, Float32]:
    """Which of the pairs left[i], right[j] reach a threshold, and their cosine, as `exact_at`. Float32 passes over
    those that cannot reach it: no result depends on it."""
    faiss, likely = faiss_or_none(), np.arange(len(i))
    if faiss is not None:
        likely = np.flatnonzero(_indexed_products(faiss, left, i, right, j) >= threshold - ROUNDING)
    similarity = exact_at(left, i[likely], right, j[likely])
    # float32 on both sides, or a pair at exactly the threshold could fall to rounding of the threshold itself
    near = np.flatnonzero(similarity >= np.float32(threshold))
    return likely[near], similarity[near]


def similarity_at(left: Float32, i: Int64, right: Float32, j: Int64, *thresholds: float) -> Float32:
    """Cosine of left[i] with right[j] to within 1e-6, one by one; to be tested with >= float32 of a threshold.

    Float32 decides where it cannot be wrong; within ROUNDING of a threshold, and of 1, `exact_at` does. The value of
    a pair depends on its two vectors alone: each product is summed by itself, in an order that does not change.
    """
    faiss = faiss_or_none()
    if faiss is None:
        return exact_at(left, i, right, j)
    result = _indexed_products(faiss, left, i, right, j)
    is_unsure = result >= 1 - ROUNDING
    for threshold in thresholds:
        is_unsure |= np.abs(result - threshold) <= ROUNDING
    unsure = np.flatnonzero(is_unsure)
    result[unsure] = exact_at(left, i[unsure], right, j[unsure])
    return result


def faiss_or_none() -> Any:
    """FAISS, or None where it is not installed: comparing works without it, only slower."""
    try:
        import faiss
    except (ImportError, RuntimeError):  # RuntimeError: a build for CUDA whose libraries are not here
        return None
    return faiss


def _indexed_products(faiss: Any, left: Float32, i: Int64, right: Float32, j: Int64) -> Float32:
    left, right = (np.ascontiguousarray(side, dtype=np.float32) for side in (left, right))
    i, j = (np.ascontiguousarray(column, dtype=np.int64) for column in (i, j))
    result = np.empty(len(i), np.float32)
    if len(i):  # FAISS checks no index: i and j come from our own products
        columns = (faiss.swig_ptr(column) for column in (left, i, right, j, result))
        faiss.pairwise_indexed_inner_product(left.shape[1], len(i), *columns)
    return result


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.matmul(a[:, None, :], b[:, :, None])[:, 0, 0])  # twice as fast as einsum


def require_threshold(threshold: float, called: str = "threshold") -> None:
    """Raise UsageError unless 0 < threshold <= 1. called: how the message names it."""
    if not 0 < threshold <= 1:
        raise UsageError(f"{called} {threshold:g} is out of range: expected 0 < threshold <= 1 (cosine similarity)")
