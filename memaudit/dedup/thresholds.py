"""What another threshold would group: counted by the pairs that a run has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.linked import AT_ONCE, Ends, joined
from memaudit.dedup.results import RowPairs

STEPS = 20


class Grouped(NamedTuple):
    """By pairs at or above `threshold`: how many there are, and how many images they link into how many groups."""

    threshold: float
    pairs: int
    images: int
    groups: int


def steps_of(pairs: RowPairs, threshold: float) -> list[float]:
    """Thresholds from the lowest at which the run has all pairs, its own, to 1."""
    return [round(float(step), 4) for step in np.linspace(threshold, 1.0, STEPS + 1)] if len(pairs.left) else []


def grouped_at(pairs: RowPairs, thresholds: Sequence[float]) -> list[Grouped]:
    """Groups are what chains of pairs link. Exact duplicates count at every threshold; pairs that are never reached,
    such as those that people named, at none. Each pair is looked at once: of rising thresholds the highest that it
    reaches links it to the groups of all above. Memory: a byte a pair, and blocks."""
    rows = int(max(pairs.left.max(initial=-1), pairs.right.max(initial=-1))) + 1
    reaches = _reached(pairs, thresholds)
    label, linked = np.arange(rows), np.zeros(rows, bool)
    found, done = list[Grouped](), 0
    for step in range(len(thresholds), 0, -1):

        def new(step: int = step) -> Iterator[Ends]:
            for low in range(0, len(reaches), AT_ONCE):
                here = np.flatnonzero(reaches[low : low + AT_ONCE] == step) + low
                yield pairs.left[here], pairs.right[here]

        for left, right in new():
            linked[left] = linked[right] = True
            done += len(left)
        label, images = joined(label, new), int(linked.sum())
        groups = int(label.max(initial=-1)) + 1 - (rows - images)
        found.append(Grouped(thresholds[step - 1], done, images, groups))
    return found[::-1]


def _reached(pairs: RowPairs, thresholds: Sequence[float]) -> NDArray[np.int8]:
    """How many of the rising thresholds each pair reaches."""
    reaches, steps = np.empty(len(pairs.left), np.int8), np.asarray(thresholds, np.float32)
    for low in range(0, len(reaches), AT_ONCE):
        part = slice(low, low + AT_ONCE)
        reaches[part] = np.searchsorted(steps, pairs.similarity[part], side="right")
    reaches[pairs.exact] = len(thresholds)
    return reaches
