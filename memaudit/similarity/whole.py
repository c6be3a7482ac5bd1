"""Products of vectors rounded to whole numbers: fast, and the same in any order of summation.

Each number fits into a byte, and float32 sums of their products are exact below 2^24. So blocks, threads and the kind
of machine cannot change a sign or a nearest cluster, as rounding in float32 would. Where numkong is installed,
processors with instructions for bytes (VNNI) take half of the time; elsewhere the same numbers are multiplied in
float32.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from memaudit.types import Float32, Float64, Int64

Exact = NDArray[np.float32] | NDArray[np.int32]  # whole numbers, by whoever multiplied
LARGEST = 127  # of a byte
LENGTH = 1024  # of a vector in whole numbers: 45 for each of 512 dimensions; |product| <= 2^20
LEAST = -(2**30)  # below all products
TINY = 1e-30
_WORTH = 1.2  # times as fast as float32
_TRIED = (1024, 256)  # rows and numbers of the product that is timed: 3 ms
_CARDS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/dxg")  # of NVIDIA, on Tegra, and under Windows


class Whole:
    """Rows (n, dim) of whole numbers, up to LARGEST each and LENGTH in all, ready to be multiplied."""

    def __init__(self, rows: Float32 | NDArray[np.int8]) -> None:
        self._bytes = fast_bytes()
        self._rows = rows if self._bytes is None else rows.astype(np.int8, copy=False)

    @classmethod
    def each(cls, vectors: Float32) -> Whole:
        """Each row scaled by itself to length LENGTH, or less if an entry would pass LARGEST, and rounded.

        Only directions survive: fit for signs, and for the order of a row's products.
        """
        return cls(_rounded_rows(vectors, _scales(vectors)))

    @classmethod
    def together(cls, vectors: Float32) -> Whole:
        """With one scale for all rows, so that products with different rows can be compared."""
        return cls(_rounded_rows(vectors, _scales(vectors).min(keepdims=True, initial=np.inf)))

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, positions: Int64) -> Whole:
        return Whole(self._rows[positions])

    def as_rows(self) -> Float32:
        """The whole numbers (n, dim), of which `Whole` makes the same again."""
        return np.asarray(self._rows, dtype=np.float32)

    @cached_property
    def lengths(self) -> Float64:
        """Of the rows (n,): the square root of an exact sum."""
        rows = self.as_rows()
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows).astype(np.float64)))

    def products(self, others: Whole) -> Exact:
        """Exact products with the rows of `others` (m, dim): (n, m)."""
        if self._bytes is None or others._bytes is None:
            return np.asarray(self.as_rows() @ others.as_rows().T)
        return np.asarray(self._bytes.dots_packed(self._rows, others._packed))

    def signs(self, others: Whole) -> NDArray[np.bool_]:
        """Which of the products with the rows of `others` are not negative: (n, m)."""
        return np.asarray(self.products(others) >= 0)

    @cached_property
    def _packed(self) -> Any:
        return self._bytes.dots_pack(np.ascontiguousarray(self._rows))


def _scales(vectors: Float32) -> Float32:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    peaks = np.maximum(vectors.max(axis=1, initial=0), -vectors.min(axis=1, initial=0))
    scales = np.minimum(LENGTH / np.maximum(lengths, TINY), LARGEST / np.maximum(peaks, TINY))
    return np.asarray(scales, dtype=np.float32)


def _rounded_rows(vectors: Float32, scales: Float32) -> Float32:
    result = vectors * scales[:, None]
    return np.asarray(np.rint(result, out=result))


@cache
def fast_bytes() -> Any:
    """numkong, if it is installed and multiplies bytes faster than numpy multiplies float32 here; else None.

    Which of the two depends on the machine, and what they give does not.
    """
    try:
        import numkong
    except ImportError:
        return None
    rows = np.ones(_TRIED, np.int8)
    packed, wide = numkong.dots_pack(rows), rows.astype(np.float32)
    with threadpool_limits(1, "blas"):
        plain, fast = _least_seconds(lambda: wide @ wide.T), _least_seconds(lambda: numkong.dots_packed(rows, packed))
    return numkong if fast * _WORTH < plain else None


def _least_seconds(function: Callable[[], object]) -> float:
    """Of three calls."""
    least = float("inf")
    for _ in range(3):
        before = time.perf_counter()
        function()
        least = min(least, time.perf_counter() - before)
    return least


def torch_with_bfloat16() -> Any:
    """Torch, if this processor multiplies bfloat16 itself; elsewhere its product would be slower than float32's."""
    torch = torch_or_none()
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None) if torch else None
    return torch if supported is not None and supported() else None


def cuda_is_there() -> bool:
    """Whether torch finds a CUDA device. It is not loaded where the system knows of none."""
    if "torch" not in sys.modules and not any(map(os.path.exists, _CARDS)):
        return False
    torch = torch_or_none()
    return torch is not None and bool(torch.cuda.is_available())


def torch_or_none() -> Any:
    """PyTorch, or None where it is not installed: comparing works without it, only slower."""
    try:
        import torch
    except ImportError:
        return None
    return torch
