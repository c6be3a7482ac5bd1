"""Pairs of positions and their similarity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float32, Int64

Positions = NDArray[np.signedinteger]


def room_for(count: int, size: int) -> Positions:
    """Room for so many positions among `size`."""
    return np.empty(count, np.int32) if size < 2**31 else np.empty(count, np.int64)


class Pairs(NamedTuple):
    """Pairs of positions: left and right (n,), int32 where many are held, similarity (n,) float32."""

    left: Positions
    right: Positions
    similarity: Float32

    @classmethod
    def none(cls) -> Pairs:
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def joined(cls, parts: list[Pairs]) -> Pairs:
        if not parts:
            return cls.none()
        left, right, similarity = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(left, right, similarity)

    def where(self, chosen: NDArray[Any] | slice) -> Pairs:
        """The pairs at a mask, at positions or of a slice."""
        return Pairs(self.left[chosen], self.right[chosen], self.similarity[chosen])

    def place_of(self, left: Positions, right: Positions) -> Int64:
        """Where each of other pairs is among these, which are sorted, or would be. Memory: that of the others."""
        left = left.astype(self.left.dtype)  # or numpy would make all of the others as wide as these
        first, last = np.searchsorted(self.left, left), np.searchsorted(self.left, left, side="right")
        while (between := first < last).any():
            middle = (first + last) // 2
            higher = self.right[np.minimum(middle, len(self.right) - 1)] < right
            first = np.where(between & higher, middle + 1, first)
            last = np.where(between & ~higher, middle, last)
        return first

    def has(self, left: Positions, right: Positions) -> tuple[Int64, NDArray[np.bool_]]:
        """The place of each of other pairs among these, which are sorted, and whether it is there."""
        if not len(self.left):
            return np.zeros(len(left), np.int64), np.zeros(len(left), bool)
        place = np.minimum(self.place_of(left, right), len(self.left) - 1)
        return place, (self.left[place] == left) & (self.right[place] == right)

    def in_order(self) -> Pairs:
        """Sorted by (left, right)."""
        return self.where(np.lexsort((self.right, self.left)))
