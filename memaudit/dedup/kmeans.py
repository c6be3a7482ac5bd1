"""Centroids of random rows, by k-means, and by k-means within its cells where there are many."""

from __future__ import annotations

from math import sqrt

import numpy as np

from memaudit.dedup.matrix import BLOCK_ROWS
from memaudit.dedup.nearest import Assigner, Centroids
from memaudit.index import import_faiss
from memaudit.similarity.whole import Whole
from memaudit.types import Float32, Int64

ITERATIONS = 10
FIT_ROWS_PER_CLUSTER = 256  # with 64 centroids are noisy, and families near a border fall apart
LEAST_FIT_ROWS = 64  # a cluster, where they are many: rows look at more than one, and the sample is in memory
_LUMP = 0.9  # of all
REGIONS, LISTED = 2, 8  # times the square root of the clusters
AT_ONCE = 128  # clusters that are fitted together: a step costs their square
FLAT = 512  # clusters that each row is held against
SEEDS = 2**31  # faiss takes the seed as a C int


def fit_rows(rows: int, clusters: int, seed: int) -> Int64:
    """Positions of the random subset that a clustering is fitted on, sorted."""
    size = min(rows, _fitted_on(clusters))
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def _fitted_on(clusters: int) -> int:
    return max(FIT_ROWS_PER_CLUSTER * min(clusters, FLAT), LEAST_FIT_ROWS * clusters)


def fit(sample: Float32, clusters: int, seed: int) -> Float32:
    """Spherical k-means centroids (clusters, dim) of a sample (n, dim), n >= clusters. On a GPU if FAISS has one.

    More than AT_ONCE are fitted within the cells of a coarse clustering, of each in proportion to its rows: so that the
    steps cost clusters^1.5, and a topic that holds a tenth of the rows gets a tenth of the clusters.
    """
    if clusters <= AT_ONCE:
        return _fit(sample, clusters, seed)
    cells = _cells(sample, round(sqrt(clusters)), seed)
    shares = shared_out(clusters, np.array([len(cell) for cell in cells]))
    if shares.max() > _LUMP * clusters:  # copies of one image cannot be told apart
        return _fit(sample, clusters, seed)
    found = [fit(sample[cell], share, seed) for cell, share in zip(cells, shares.tolist(), strict=True) if share]
    return np.concatenate(found)


def _fit(sample: Float32, clusters: int, seed: int) -> Float32:
    faiss = import_faiss()
    kmeans = faiss.Kmeans(
        sample.shape[1],
        clusters,
        niter=ITERATIONS,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=FIT_ROWS_PER_CLUSTER,
        gpu=faiss.get_num_gpus() > 0,
    )
    kmeans.train(sample)
    return np.asarray(kmeans.centroids, dtype=np.float32).reshape(clusters, -1)


def _cells(sample: Float32, clusters: int, seed: int) -> list[Int64]:
    """Positions of the rows of each cell of a coarse clustering."""
    assigner = Assigner(Centroids.flat(_fit(sample, clusters, seed)))
    blocks = range(0, len(sample), BLOCK_ROWS)
    each = [assigner.nearest(Whole.each(sample[low : low + BLOCK_ROWS]), 1)[:, 0] for low in blocks]
    nearest = np.concatenate(each)
    return np.split(np.argsort(nearest, kind="stable"), np.cumsum(np.bincount(nearest, minlength=clusters))[:-1])


def shared_out(clusters: int, rows: Int64) -> Int64:
    """So many clusters among cells, in proportion to their rows, in all `clusters`: of equal remainders to the first.

    No cell gets more than it has rows, and one of less than half a cluster may get none: its rows have others near.
    """
    exact = clusters * rows / max(1, rows.sum())
    shares = np.minimum(np.floor(exact).astype(np.int64), rows)
    left = np.argsort(-(exact - shares), kind="stable")[: clusters - int(shares.sum())]
    shares[left] += 1
    return np.asarray(shares)


def in_regions(clusters: Float32, probes: int, seed: int) -> Centroids:
    """The centroids, in regions where they are many and a region lists more of them than `probes`."""
    root = sqrt(len(clusters))
    listed = round(LISTED * root)
    if len(clusters) <= FLAT or probes > listed:
        return Centroids.flat(clusters)
    return Centroids.in_regions(clusters, _fit(clusters, round(REGIONS * root), seed), listed)


def held_against(clusters: int) -> float:
    """How many centroids a row is multiplied by to find its nearest ones."""
    return float(clusters if clusters <= FLAT else (REGIONS + LISTED) * sqrt(clusters))


def fitted(clusters: int) -> float:
    """How many products of rows with centroids `fit` takes, were its cells of equal size."""
    rows, cells = float(_fitted_on(clusters)), sqrt(clusters)
    if clusters <= AT_ONCE:
        return ITERATIONS * rows * clusters
    return ITERATIONS * (FIT_ROWS_PER_CLUSTER * clusters + rows * clusters / cells) + rows * cells
