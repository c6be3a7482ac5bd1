"""Similarity join: all pairs with similarity >= threshold, by exhaustive blocked products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.records import Float32, Int64
from memaudit.similarity.exact import ROUNDING, exact_at

TILE = 2048  # rows of a product's side: 16 MiB of float32 scores


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


def pairs_within(vectors: Float32, threshold: float) -> Pairs:
    """All pairs i < j of rows of `vectors` (n, dim) with similarity >= threshold, sorted by (i, j)."""
    found = []
    for low in range(0, len(vectors), TILE):
        pairs = pairs_across(vectors[low : low + TILE], vectors[low:], threshold)
        upper = pairs.left < pairs.right
        found.append(Pairs(pairs.left[upper] + low, pairs.right[upper] + low, pairs.similarity[upper]))
    return Pairs.joined(found)


def pairs_across(left: Float32, right: Float32, threshold: float) -> Pairs:
    """All pairs (row of `left`, row of `right`) with similarity >= threshold, sorted. Memory: a tile and the result."""
    parts = [_tile(left, right, low, threshold) for low in range(0, len(left), TILE)]
    return Pairs.joined(parts)


def _tile(left: Float32, right: Float32, low: int, threshold: float) -> Pairs:
    rows = left[low : low + TILE]
    parts = list(_scored(rows, right, threshold))
    pairs = Pairs.joined(parts)
    order = np.lexsort((pairs.right, pairs.left))
    return Pairs(pairs.left[order] + low, pairs.right[order], pairs.similarity[order])


def _scored(rows: Float32, right: Float32, threshold: float) -> Iterator[Pairs]:
    for start in range(0, len(right), TILE):
        columns = right[start : start + TILE]
        i, j = np.nonzero(rows @ columns.T >= threshold - ROUNDING)
        similarity = exact_at(rows, i, columns, j)
        # float32 on both sides, or a pair at exactly the threshold could fall to rounding of the threshold itself
        keep = similarity >= np.float32(threshold)
        yield Pairs(i[keep].astype(np.int64), j[keep].astype(np.int64) + start, similarity[keep])
