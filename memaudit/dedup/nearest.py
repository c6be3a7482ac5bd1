"""The nearest clusters of rows: among all, or, where clusters are many, among those that lie near a row's region.

A row is held against the regions, and then against the clusters that its nearest region lists: a few times the square
root of the number of clusters, and not all of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.similarity.codes import made_partners
from memaudit.similarity.whole import LEAST, Exact, Whole
from memaudit.types import Float32, Float64

Int32 = NDArray[np.int32]
LOST = 1e-3  # of made pairs


class Centroids(NamedTuple):
    """clusters: (k, dim); regions: (r, dim), of no rows where each row is held against all clusters; listed (r, l):
    the clusters that lie nearest to each region, rising."""

    clusters: Float32
    regions: Float32
    listed: Int32

    @classmethod
    def flat(cls, clusters: Float32) -> Centroids:
        return cls(clusters, np.empty((0, clusters.shape[1]), np.float32), np.empty((0, 0), np.int32))

    @classmethod
    def in_regions(cls, clusters: Float32, regions: Float32, listed: int) -> Centroids:
        """With the `listed` nearest clusters of each of these regions."""
        nearest, _ = Assigner(cls.flat(clusters)).ranked(Whole.each(regions), listed)
        return cls(clusters, regions, np.sort(nearest, axis=1))


class Assigner:
    """Finds the nearest clusters of rows: the same ones in any block and with any number of threads."""

    def __init__(self, centroids: Centroids) -> None:
        self._clusters = Whole.together(centroids.clusters)
        self._length = max(1.0, float(self._clusters.lengths.max()))
        self._regions = Whole.together(centroids.regions)
        self._lists = [(listed, self._clusters.take(listed)) for listed in centroids.listed]

    def nearest(self, vectors: Whole, probes: int, margin: float = np.inf) -> Int32:
        """The `probes` nearest clusters of each row (n, probes), nearest first; of equal ones the first.

        -1 instead of one that lies further behind the nearest than `margin`, a difference of cosines.
        """
        clusters, behind = self.ranked(vectors, probes)
        return np.where(behind > margin, np.int32(-1), clusters)

    def ranked(self, vectors: Whole, probes: int) -> tuple[Int32, Float64]:
        """The nearest clusters of each row (n, probes), and by how much their cosine is below that of the first."""
        if self._lists:
            clusters, values = self._of_regions(vectors, probes)
        else:
            clusters, values = _largest(vectors.products(self._clusters), probes)
        return clusters, (values[:, :1] - values) / (np.maximum(vectors.lengths, 1) * self._length)[:, None]

    def _of_regions(self, vectors: Whole, probes: int) -> tuple[Int32, Int32]:
        """The nearest of those that each row's nearest region lists, and their products."""
        regions = vectors.products(self._regions).argmax(axis=1)
        clusters, values = np.empty((len(regions), probes), np.int32), np.empty((len(regions), probes), np.int32)
        order = np.argsort(regions, kind="stable")
        bounds = np.searchsorted(regions[order], np.arange(len(self._lists) + 1))
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            rows, (listed, centroids) = order[bounds[number] : bounds[number + 1]], self._lists[number]
            best, values[rows] = _largest(vectors.take(rows).products(centroids), probes)
            clusters[rows] = listed[best]
        return clusters, values


def _largest(scores: Exact, count: int) -> tuple[Int32, Int32]:
    """The positions of the `count` largest scores of each row, largest first, of equal ones the first; and these."""
    positions, values = np.empty((len(scores), count), np.int32), np.empty((len(scores), count), np.int32)
    rows = np.arange(len(scores))
    for place in range(count):
        positions[:, place] = scores.argmax(axis=1)
        values[:, place] = scores[rows, positions[:, place]]
        scores[rows, positions[:, place]] = LEAST
    return positions, values


def margin_for(assigner: Assigner, sample: Float32, threshold: float, probes: int, seed: int) -> float:
    """How far behind a row's nearest cluster another may lie that can hold a near-duplicate of it.

    So far that of the pairs that are made to lie exactly at the threshold, in directions of the data, no more than
    LOST are lost by it that comparing with all `probes` clusters would find: where topics are apart a row has one
    cluster near, and no further one is worth comparing.
    """
    of, made = made_partners(sample, threshold, seed)
    own, own_behind = assigner.ranked(Whole.each(sample), probes)
    others, behind = assigner.ranked(Whole.each(made), probes)
    needed = np.minimum(
        np.where(own[of] == others[:, :1], own_behind[of], np.inf).min(axis=1, initial=np.inf),
        np.where(others == own[of, :1], behind, np.inf).min(axis=1, initial=np.inf),
    )
    found = np.sort(needed[np.isfinite(needed)])
    return float(found[int((1 - LOST) * (len(found) - 1))]) if len(found) else float("inf")
