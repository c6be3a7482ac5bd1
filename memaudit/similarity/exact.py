"""The similarity that decides."""

from __future__ import annotations

import numpy as np

from memaudit.errors import UsageError
from memaudit.records import Float32

ROUNDING = 2e-5  # float32 products of unit vectors up to some 4,096 dimensions err by less
_RESCORE_ROWS = 65_536


def exact(left: Float32, right: Float32) -> Float32:
    """Cosine of paired rows of two (n, dim) arrays of unit vectors: summed in float64, rounded to float32.

    The value of a pair depends on its two vectors alone, not on the others in the call.
    """
    result = np.empty(len(left), np.float32)
    for low in range(0, len(left), _RESCORE_ROWS):
        part = slice(low, low + _RESCORE_ROWS)
        result[part] = (left[part].astype(np.float64) * right[part]).sum(axis=1)
    return np.clip(result, -1.0, 1.0)


def require_threshold(threshold: float) -> None:
    """Raise UsageError unless 0 < threshold <= 1."""
    if not 0 < threshold <= 1:
        raise UsageError(f"threshold {threshold:g} is out of range: expected 0 < threshold <= 1 (cosine similarity)")
