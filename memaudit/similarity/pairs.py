"""Pairs of positions and their similarity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float32, Int64


class Pairs(NamedTuple):
    """Pairs of positions: left and right (n,) int64, similarity (n,) float32."""

    left: Int64
    right: Int64
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

    def where(self, chosen: NDArray[Any]) -> Pairs:
        """The pairs at a mask or at positions."""
        return Pairs(self.left[chosen], self.right[chosen], self.similarity[chosen])

    def in_order(self) -> Pairs:
        """Sorted by (left, right)."""
        return self.where(np.lexsort((self.right, self.left)))
