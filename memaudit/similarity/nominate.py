"""Who nominates: the ways to find the pairs that may reach a threshold, before the exact similarity decides.

A backend may nominate too many, never too few, with one exception that says so (`lossless`): sign codes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import numpy as np

from memaudit.similarity.card import float32_sums, in_halves
from memaudit.similarity.codes import Codes, within_radius
from memaudit.similarity.exact import ROUNDING
from memaudit.similarity.fused import Shape, near_pairs
from memaudit.similarity.fused import devices as fused_devices
from memaudit.similarity.whole import cuda_is_there as cuda_is_there
from memaudit.similarity.whole import torch_with_bfloat16
from memaudit.types import Float32, Int64


class Side(NamedTuple):
    """Rows to compare: how many, how to get the embeddings (n, dim) float32 of some, and their sign codes if any."""

    size: int
    take: Callable[[Int64 | slice], Float32]
    codes: Codes | None = None

    @classmethod
    def of(cls, vectors: Float32, codes: Codes | None = None) -> Side:
        return cls(len(vectors), vectors.__getitem__, codes)


class Backend(Protocol):
    """A way to nominate pairs. tile: rows and columns that it takes at once. single_threaded: whether it is fastest on
    one thread, several tiles at a time. at_once: how many tiles it can take at a time, on as many devices."""

    @property
    def name(self) -> str: ...

    @property
    def phrase(self) -> str: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def single_threaded(self) -> bool: ...

    @property
    def at_once(self) -> int: ...

    @property
    def tile(self) -> tuple[int, int]: ...

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        """Positions (i, j) within the two slices whose similarity may reach the threshold."""


@dataclass(frozen=True)
class Products:
    """Blocked products in float32, by numpy: nothing more is needed, and everything else is held against it."""

    threshold: float
    tile: tuple[int, int] = (2048, 2048)  # 16 MiB of float32 scores
    name: str = "product"
    phrase: str = "products in float32"
    lossless: bool = True
    single_threaded: bool = False
    at_once: int = 1

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        scores = left.take(rows) @ right.take(columns).T
        return _positions(scores >= self.threshold - ROUNDING)


@dataclass(frozen=True)
class HeadProducts:
    """Products of the first `head` numbers in float32, and a bound of the rest: |x y| of it is at most the product of
    its lengths (Cauchy-Schwarz). Misses nothing; strangers fall where the rest of two rows is shorter than the
    threshold allows."""

    threshold: float
    head: int
    tile: tuple[int, int] = (2048, 2048)
    name: str = "head"
    phrase: str = "products in float32 of the first numbers, with a bound of the rest"
    lossless: bool = True
    single_threaded: bool = True
    at_once: int = 1

    @classmethod
    def fitted(cls, left: Float32, right: Float32, threshold: float) -> HeadProducts | None:
        """The shortest head by which of such rows no more than a few pass; None where it would be nearly all."""
        dim = left.shape[1]
        for eighths in range(2, 7):
            backend = cls(threshold, dim * eighths // 8)
            passed = len(backend.candidates(Side.of(left), Side.of(right), slice(None), slice(None))[0])
            if passed <= _PASSED * len(left) * len(right):
                return backend
        return None

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        bounds = self._folded(left.take(rows)) @ self._folded(right.take(columns)).T
        return _positions(bounds >= self.threshold - ROUNDING)

    def _folded(self, vectors: Float32) -> Float32:
        """The head of each row (n, head + 1), and the length of the rest: of unit length, as the row is."""
        rest = vectors[:, self.head :]
        return np.column_stack([vectors[:, : self.head], np.sqrt(np.einsum("ij,ij->i", rest, rest))])


@dataclass(frozen=True)
class HalfProducts:
    """Products in half precision, by torch, on a CUDA device or a processor with bfloat16 units.

    margin: how far the product of unit vectors can be off. Rounding two factors and the result to p bits errs by at
    most 3 x 2^-p of sum |x y| <= 1 (Cauchy-Schwarz); p = 8 for bfloat16, 11 for float16. On CUDA the margin is
    8 x 2^-11, subnormals and sums in float32 included; that they are not kept in float16 is seen to (`card`).
    """

    threshold: float
    device: str
    half: str
    margin: float
    tile: tuple[int, int]
    phrase: str
    name: str = "half"
    lossless: bool = True
    single_threaded: bool = False
    at_once: int = 1

    @classmethod
    def on(cls, device: str, threshold: float) -> HalfProducts:
        if device.startswith("cuda"):
            phrase = "products in float16 on CUDA, those near the threshold again in float64"
            return cls(threshold, device, "float16", 8 * 2.0**-11, (8192, 32768), phrase, name="cuda")
        phrase = "products in bfloat16, those near the threshold again in float64"
        return cls(threshold, device, "bfloat16", 3.1 * 2.0**-8, (2048, 8192), phrase)

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        if self.device == "cpu":
            return _positions(self._near(left.take(rows), right.take(columns)).numpy())
        return _joined(in_halves(lambda r, c: self._on_card(left.take(r), right.take(c)), rows, columns), rows, columns)

    def _near(self, left: Float32, right: Float32) -> Any:
        a, b = self._on_device(left), self._on_device(right)
        return (a @ b.T) >= self.threshold - self.margin

    def _on_card(self, left: Float32, right: Float32) -> tuple[Int64, Int64]:
        with float32_sums():
            i, j = self._near(left, right).nonzero(as_tuple=True)
        return i.cpu().numpy(), j.cpu().numpy()

    def _on_device(self, vectors: Float32) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(vectors)).to(self.device, getattr(torch, self.half))


@dataclass(frozen=True)
class FusedProducts:
    """Products that never leave the card unless they are near the threshold, by Triton (`fused`): in int8, or in
    float16 where that is quicker. idle: the devices that do nothing now; whoever has a tile takes one of them."""

    threshold: float
    at_once: int
    idle: SimpleQueue[str] = field(repr=False, compare=False)
    tile: tuple[int, int] = (1 << 17, 1 << 17)  # two of 512 numbers: 0.5 GiB here, by reckoning 1.5 on the card
    shape: Shape | None = None
    name: str = "fused"
    phrase: str = "fused products in int8 or float16 on CUDA, those near the threshold again in float64"
    lossless: bool = True
    single_threaded: bool = False

    @classmethod
    def on(cls, devices: Sequence[str], threshold: float) -> FusedProducts:
        idle: SimpleQueue[str] = SimpleQueue()
        for device in devices:
            idle.put(device)
        return cls(threshold, len(devices), idle)

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        device = self.idle.get()

        def near(r: slice, c: slice) -> tuple[Int64, Int64]:
            return near_pairs(left.take(r), right.take(c), self.threshold, device, self.shape)

        try:
            return _joined(in_halves(near, rows, columns), rows, columns)
        finally:
            self.idle.put(device)


@dataclass(frozen=True)
class SignCodes:
    """Hamming distances of sign codes (`codes.py`), by FAISS. Loses a pair with a chance that was checked."""

    radius: int
    bits: int
    tile: tuple[int, int] = (1024, 4096)  # should all of them be pairs, 0.2 GB
    name: str = "signs"
    lossless: bool = False
    single_threaded: bool = True
    at_once: int = 1

    @property
    def phrase(self) -> str:
        return f"sign codes within {self.radius} of {self.bits} bits, then every candidate exactly"

    def candidates(self, left: Side, right: Side, rows: slice, columns: slice) -> tuple[Int64, Int64]:
        assert left.codes is not None
        assert right.codes is not None
        return within_radius(left.codes[rows], right.codes[columns], self.radius)


def worth_card(comparisons: float) -> bool:
    """Whether there is a CUDA device, and so much to compare that it is worth loading torch."""
    return comparisons >= WORTH_CARD and cuda_is_there()


def on_cards(threshold: float) -> Backend:
    """Fused products on all CUDA devices where they are right, else products in float16 on the first."""
    devices = fused_devices()
    return FusedProducts.on(devices, threshold) if devices else HalfProducts.on("cuda", threshold)


def fastest_lossless(comparisons: float, threshold: float) -> Backend:
    """The cheapest backend that misses nothing, for this many comparisons of 512 numbers."""
    if comparisons < WORTH_CARD:
        return Products(threshold)
    if worth_card(comparisons):
        return on_cards(threshold)
    worth = comparisons >= (WORTH_CARD if "torch" in sys.modules else WORTH_TORCH)
    return HalfProducts.on("cpu", threshold) if worth and torch_with_bfloat16() else Products(threshold)


_PASSED = 0.004  # of the comparisons: to score a candidate takes as long as some 30 of them
WORTH_CARD = 5e8  # comparisons that take longer than importing torch
WORTH_TORCH = 5e9  # those for which it may fill half a gigabyte


def _joined(found: list[tuple[slice, slice, tuple[Int64, Int64]]], rows: slice, columns: slice) -> tuple[Int64, Int64]:
    """Positions within parts of a tile as positions within the tile."""
    i = [i + part.start - rows.start for part, _, (i, _) in found]
    return np.concatenate(i), np.concatenate([j + part.start - columns.start for _, part, (_, j) in found])


def _positions(mask: Any) -> tuple[Int64, Int64]:
    # Of a mask that is almost empty numpy lists the flat positions ten times as fast as the pairs of them.
    flat = np.flatnonzero(mask)
    i, j = np.divmod(flat, max(1, mask.shape[1]))
    return i, j
