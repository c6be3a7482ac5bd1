"""Whom chains of pairs link: connected components, without a graph of all pairs in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from memaudit.similarity.pairs import Positions
from memaudit.types import Int64

AT_ONCE = 2**20  # pairs
Ends = tuple[Positions, Positions]


def linked(size: int, left: Positions, right: Positions) -> Int64:
    """Label (size,) of the component of each position, numbered by their lowest positions. Memory: a block of the
    pairs, and 40 bytes a position."""

    def blocks() -> Iterable[Ends]:
        for low in range(0, len(left), AT_ONCE):
            yield left[low : low + AT_ONCE], right[low : low + AT_ONCE]

    return joined(np.arange(size, dtype=np.int64), blocks)


def joined(label: Int64, blocks: Callable[[], Iterable[Ends]]) -> Int64:
    """Labels (size,) when those of both ends of further pairs, which come block by block, are one: numbered anew, in
    the same order.

    In each round every label joins the lowest one that a pair leads to. One that none leads away from is then next to
    a lower one, or has been joined: so two rounds at least halve the number of those that are left.
    """
    while True:
        lowest = np.arange(int(label.max(initial=-1)) + 1)
        for left, right in blocks():
            a, b = label[left], label[right]
            apart = np.flatnonzero(a != b)
            a, b = a[apart], b[apart]
            np.minimum.at(lowest, np.maximum(a, b), np.minimum(a, b))
        if (stays := lowest == np.arange(len(lowest))).all():
            return label
        while (lowest != (further := lowest[lowest])).any():
            lowest = further
        label = (np.cumsum(stays) - 1)[lowest][label]
