"""Products of vectors rounded to whole numbers: fast, and the same in any order of summation.

bfloat16 holds whole numbers up to 256 exactly, and float32 sums of their products are exact below 2^24. So blocks,
threads and the kind of machine cannot change a sign or a nearest cluster, as rounding in float32 would. Where torch is
loaded, processors with bfloat16 units take half of the time; it is not loaded for that, since it fills half a gigabyte.
Elsewhere the same numbers are multiplied in float32.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float32

LARGEST = 256  # bfloat16 has 8 significant bits
LENGTH = 1024  # of a vector in whole numbers: 45 for each of 512 dimensions; |product| <= 2^20
TINY = 1e-30
_CARDS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvhost-gpu", "/dev/dxg")  # of NVIDIA, on Tegra, and under Windows


class Whole:
    """Rows (n, dim) of whole numbers, up to LARGEST each and LENGTH in all, ready to be multiplied."""

    def __init__(self, rows: Float32) -> None:
        self._torch = torch_with_bfloat16() if "torch" in sys.modules else None
        self._rows: Any = rows if self._torch is None else self._torch.from_numpy(rows).bfloat16()

    @classmethod
    def each(cls, vectors: Float32) -> Whole:
        """Each row scaled by itself to length LENGTH, or less if an entry would pass LARGEST, and rounded.

        Only directions survive: fit for signs, and for the order of a row's products.
        """
        return cls(_rounded_rows(vectors, _scales(vectors)))

    @classmethod
    def together(cls, vectors: Float32) -> Whole:
        """With one scale for all rows, so that products with different rows can be compared."""
        return cls(_rounded_rows(vectors, _scales(vectors).min(keepdims=True)))

    def as_rows(self) -> Float32:
        """The whole numbers (n, dim), of which `Whole` makes the same again."""
        return np.asarray(self._rows if self._torch is None else self._rows.float().numpy(), dtype=np.float32)

    def products(self, others: Whole) -> Float32:
        """Products with the rows of `others` (m, dim), exact and then rounded to bfloat16: (n, m) float32."""
        rows, columns, torch = self._together(others)
        if torch is None:
            return _to_bfloat16(rows @ columns.T)
        # A product of bfloat16 is summed in float32 and rounded once, at the end.
        return np.asarray((rows @ columns.T).float().numpy())

    def signs(self, others: Whole) -> NDArray[np.bool_]:
        """Which of the products with the rows of `others` are not negative: (n, m)."""
        rows, columns, torch = self._together(others)
        positive = rows @ columns.T >= 0
        return np.asarray(positive if torch is None else positive.numpy())

    def _together(self, others: Whole) -> tuple[Any, Any, Any]:
        """The rows of both, and torch where it multiplies them: it may have been loaded between the two."""
        if self._torch is not None and others._torch is not None:
            return self._rows, others._rows, self._torch
        return self._plain(), others._plain(), None

    def _plain(self) -> Any:
        return self._rows if self._torch is None else self._rows.float().numpy()


def _scales(vectors: Float32) -> Float32:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    peaks = np.maximum(vectors.max(axis=1, initial=0), -vectors.min(axis=1, initial=0))
    scales = np.minimum(LENGTH / np.maximum(lengths, TINY), LARGEST / np.maximum(peaks, TINY))
    return np.asarray(scales, dtype=np.float32)


def _rounded_rows(vectors: Float32, scales: Float32) -> Float32:
    result = vectors * scales[:, None]
    return np.asarray(np.rint(result, out=result))


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


def _to_bfloat16(values: Float32) -> Float32:
    """To the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    bits = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.asarray(bits.view(np.float32))
