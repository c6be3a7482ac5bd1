"""What another threshold would group: counted by the pairs that a run has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
    """Groups are what chains of pairs link. Exact duplicates count at every threshold."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends, places = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    left, right = places[: len(pairs.left)], places[len(pairs.left) :]
    found = []
    for threshold in thresholds:
        at = pairs.exact | (pairs.similarity >= np.float32(threshold))
        graph = coo_array((np.ones(int(at.sum()), bool), (left[at], right[at])), shape=(len(ends), len(ends)))
        count = int(connected_components(graph, directed=False, return_labels=False))
        images = len(np.unique(np.concatenate([left[at], right[at]])))
        found.append(Grouped(threshold, int(at.sum()), images, count - (len(ends) - images)))
    return found
