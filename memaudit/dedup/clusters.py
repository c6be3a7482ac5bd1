"""k-means cells that limit what is compared with what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memaudit.index import import_faiss
from memaudit.similarity.whole import Whole
from memaudit.tasks import Executor
from memaudit.types import Float32, Int64

Int32 = NDArray[np.int32]
ITERATIONS = 10
FIT_ROWS_PER_CLUSTER = 256  # with 64 centroids are noisy, and families near a border fall apart
MIN_CLUSTER_ROWS = 128  # below this, cells are so small that families are torn apart
SEEDS = 2**31  # faiss takes the seed as a C int
PROBES = 2  # clusters that each image is compared with at least, unless it is said
EXHAUSTIVE_ROWS = 20_000  # comparing all pairs of so few rows takes seconds: no need to miss any
ASSIGN = 0.5  # cost of a product of whole numbers, and of taking the largest, beside one of float32 in k-means
COMPARE = 0.1  # cost of comparing two sign codes (measured: 0.05 to 0.12)
OPENAI_CLUSTERS, OPENAI_LEAST_ROWS = 1024, 64


@dataclass(frozen=True)
class Plan:
    """How rows are compared. clusters = 0: every row with every other. name: of a published method; backend: who
    nominates pairs ("auto": by cost); remark: what a reader must know beside; executor: who compares, None: this
    process. by_codes: every row with every other, but by sign codes, which may lose a pair."""

    clusters: int
    probes: int
    clusterings: int
    name: str = ""
    backend: str = "auto"
    remark: str = ""
    executor: Executor | None = None
    by_codes: bool = False

    @classmethod
    def openai_2022(cls, rows: int) -> Plan:
        """The method of the DALL-E 2 pre-training mitigations (OpenAI 2022): K = 1024, the union of five clusterings
        each fitted on another random subset, all pairs within a cluster by plain products. Small sets get fewer
        clusters, of OPENAI_LEAST_ROWS images on average."""
        clusters = min(OPENAI_CLUSTERS, max(1, rows // OPENAI_LEAST_ROWS))
        remark = "" if clusters == OPENAI_CLUSTERS else f"{OPENAI_CLUSTERS} clusters are too many for {rows:,} images"
        return cls(clusters, 1, 5, name="openai-2022", backend="product", remark=remark)

    @property
    def exhaustive(self) -> bool:
        return self.clusters == 0

    @property
    def lossless(self) -> bool:
        """Whether it misses no pair."""
        return self.exhaustive and not self.by_codes

    def describe(self) -> str:
        if self.exhaustive:
            return "every image compared with every other" + (", by sign codes" if self.by_codes else "")
        times = "one clustering" if self.clusterings == 1 else f"union of {self.clusterings} clusterings"
        nearest = "its cluster" if self.probes == 1 and self.name else f"its {self.probes} nearest"
        text = f"{times} of {self.clusters} clusters, each image compared with {nearest}"
        return "".join([f"{self.name}: " if self.name else "", text, f" ({self.remark})" if self.remark else ""])


def choose_clusters(rows: int, probes: int, clusterings: int) -> int:
    """The number of clusters that costs least for fitting, assigning and comparing; 0: exhaustive.

    In float32 products: fitting ITERATIONS x FIT_ROWS_PER_CLUSTER x K^2, assigning ASSIGN x rows x K, comparing
    COMPARE x `comparisons`. Comparing is cheap, so clusters are few and large, which recall likes as well.
    """
    if rows <= EXHAUSTIVE_ROWS:
        return 0

    def cost(k: int) -> float:
        return clusterings * (clustering_cost(rows, k) + COMPARE * comparisons(rows, k, probes))

    candidates = [2**power for power in range(1, 21) if rows / 2**power >= MIN_CLUSTER_ROWS]
    best = min(candidates, key=cost)
    return best if cost(best) < rows * rows / 2 else 0


def clustering_cost(rows: int, clusters: int) -> float:
    """Of fitting and assigning, in float32 products."""
    return ITERATIONS * FIT_ROWS_PER_CLUSTER * clusters**2 + ASSIGN * rows * clusters


def comparisons(rows: int, clusters: int, probes: int) -> float:
    """How many pairs one clustering compares, were its clusters of equal size; clusters = 0: all."""
    return rows * rows / max(1, clusters) * (probes - 0.5) if clusters else rows * rows / 2


def fit_rows(rows: int, clusters: int, seed: int) -> Int64:
    """Positions of the random subset that a clustering is fitted on, sorted."""
    size = min(rows, FIT_ROWS_PER_CLUSTER * clusters)
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def fit(sample: Float32, clusters: int, seed: int) -> Float32:
    """Spherical k-means centroids (clusters, dim) of a sample (n, dim), n >= clusters. On a GPU if FAISS has one."""
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


class Assigner:
    """Finds the nearest clusters of rows: the same ones in any block and with any number of threads."""

    def __init__(self, centroids: Float32) -> None:
        self._centroids = Whole.together(centroids)

    def nearest(self, vectors: Whole, probes: int) -> Int32:
        """The `probes` nearest clusters of each row (n, probes), nearest first; of equal ones the first."""
        scores = vectors.products(self._centroids)
        result = np.empty((len(scores), probes), np.int32)
        rows = np.arange(len(scores))
        for place in range(probes):
            result[:, place] = scores.argmax(axis=1)
            scores[rows, result[:, place]] = -np.inf
        return result
