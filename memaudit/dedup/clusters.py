"""k-means cells that limit what is compared with what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memaudit.index import import_faiss
from memaudit.records import Block, Float32, Int64
from memaudit.similarity import top_k

ITERATIONS = 15
FIT_ROWS_PER_CLUSTER = 64  # rows k-means is fitted on, per cluster
MIN_CLUSTER_ROWS = 128  # below this, cells are so small that families are torn apart (docs/architecture.md)
SEEDS = 2**31  # faiss takes the seed as a C int
EXHAUSTIVE_ROWS = 20_000  # comparing all pairs of so few rows takes seconds: no need to miss any


@dataclass(frozen=True)
class Plan:
    """How rows are compared. clusters = 0: every row with every other."""

    clusters: int
    probes: int
    clusterings: int

    @property
    def exhaustive(self) -> bool:
        return self.clusters == 0

    def describe(self) -> str:
        if self.exhaustive:
            return "every image compared with every other"
        times = "one clustering" if self.clusterings == 1 else f"union of {self.clusterings} clusterings"
        return f"{times} of {self.clusters} clusters, each image compared with its {self.probes} nearest"


def choose_clusters(rows: int, probes: int, clusterings: int) -> int:
    """The number of clusters with the fewest comparisons for fitting, assigning and comparing; 0: exhaustive.

    fitting: ITERATIONS x FIT_ROWS_PER_CLUSTER x K^2, assigning: rows x K, comparing: rows x probes x rows / K.
    """
    if rows <= EXHAUSTIVE_ROWS:
        return 0

    def comparisons(k: int) -> float:
        fitting = ITERATIONS * FIT_ROWS_PER_CLUSTER * k * k
        return clusterings * (fitting + rows * k + rows * probes * rows / k)

    candidates = [2**power for power in range(1, 21) if rows / 2**power >= MIN_CLUSTER_ROWS]
    best = min(candidates, key=comparisons)
    return best if comparisons(best) < rows * rows / 2 else 0


def fit_rows(rows: int, clusters: int, seed: int) -> Int64:
    """Positions of the random subset that a clustering is fitted on, sorted."""
    size = min(rows, FIT_ROWS_PER_CLUSTER * clusters)
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def fit(sample: Float32, clusters: int, seed: int) -> Float32:
    """Spherical k-means centroids (clusters, dim) of a sample (n, dim), n >= clusters."""
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


def nearest_clusters(vectors: Float32, centroids: Float32, probes: int) -> Int64:
    """The `probes` nearest clusters of each row (n, probes), nearest first."""
    cells = Block(np.arange(len(centroids), dtype=np.int64), centroids)
    return top_k(vectors, [cells], probes, 1.0).rows
