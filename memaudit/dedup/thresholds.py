"""What another threshold would group: counted by the pairs that a run has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memaudit.dedup.results import RowPairs
from memaudit.types import Int64

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
    reaches links it to the groups of all above. Memory: some 30 bytes a pair."""
    rows = int(max(pairs.left.max(initial=-1), pairs.right.max(initial=-1))) + 1
    reaches = np.searchsorted(np.asarray(thresholds, np.float32), pairs.similarity, side="right").astype(np.int16)
    reaches[pairs.exact] = len(thresholds)
    order = np.argsort(-reaches, kind="stable")
    counts = np.cumsum(np.bincount(len(thresholds) - reaches, minlength=len(thresholds) + 1))
    label, linked, count = np.arange(rows), np.zeros(rows, bool), rows
    found, done = list[Grouped](), 0
    for threshold, pairs_at in zip(reversed(thresholds), counts, strict=False):
        new = order[done:pairs_at]
        left, right, done = pairs.left[new], pairs.right[new], int(pairs_at)
        linked[left] = linked[right] = True
        count, joined = _joined(count, label[left], label[right])
        label, images = joined[label], int(linked.sum())
        found.append(Grouped(threshold, done, images, count - (rows - images)))
    return found[::-1]


def _joined(count: int, left: Int64, right: Int64) -> tuple[int, Int64]:
    """How many sets are left of `count` when these are linked, and the new number of each."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(count, count))
    number, label = connected_components(graph, directed=False)
    return int(number), np.asarray(label, dtype=np.int64)
