"""The similarity that decides."""

from __future__ import annotations

import numpy as np

from memaudit.errors import UsageError
from memaudit.records import Float32, Int64

ROUNDING = 2e-5  # float32 products of unit vectors up to some 4,096 dimensions err by less
_RESCORE_ROWS = 1024  # two such blocks in float64 stay in the cache


def exact(left: Float32, right: Float32) -> Float32:
    """Cosine of paired rows of two (n, dim) arrays of unit vectors, as `exact_at`."""
    rows = np.arange(len(left), dtype=np.int64)
    return exact_at(left, rows, right, rows)


def exact_at(left: Float32, i: Int64, right: Float32, j: Int64) -> Float32:
    """Cosine of left[i] with right[j], one by one: computed in float64, rounded to float32.

    The value of a pair depends on its two vectors alone, not on the others in the call; a vector has 1 with itself.
    Memory: the result, and a block of gathered rows however many pairs there are.
    """
    result = np.empty(len(i), np.float32)
    for low in range(0, len(i), _RESCORE_ROWS):
        part = slice(low, low + _RESCORE_ROWS)
        a, b = left[i[part]].astype(np.float64), right[j[part]].astype(np.float64)
        # Float32 unit vectors have lengths off by 1e-7: without the division some would not reach 1 with themselves.
        result[part] = _products(a, b) / np.sqrt(_products(a, a) * _products(b, b))
    return np.clip(result, -1.0, 1.0)


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def require_threshold(threshold: float) -> None:
    """Raise UsageError unless 0 < threshold <= 1."""
    if not 0 < threshold <= 1:
        raise UsageError(f"threshold {threshold:g} is out of range: expected 0 < threshold <= 1 (cosine similarity)")
