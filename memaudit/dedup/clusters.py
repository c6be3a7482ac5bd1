"""k-means cells that limit what is compared with what."""

from __future__ import annotations

from dataclasses import dataclass

from memaudit.dedup.kmeans import fitted, held_against
from memaudit.tasks import Executor

PROBES = 2  # clusters that each image is compared with at least, unless it is said
CLUSTER_ROWS = 2048  # on average at least: in smaller cells families are torn apart
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
        nearest += "" if self.probes in (1, self.clusters) else " that can hold a near-duplicate of it"
        text = f"{times} of {self.clusters} clusters, each image compared with {nearest}"
        return "".join([f"{self.name}: " if self.name else "", text, f" ({self.remark})" if self.remark else ""])


def choose_clusters(rows: int, probes: int, clusterings: int) -> int:
    """The number of clusters that costs least for fitting, assigning and comparing; 0: exhaustive.

    In float32 products: fitting `fitted`, assigning ASSIGN x rows x `held_against`, comparing COMPARE x `comparisons`.
    Up to some hundred million rows that is as many as there may be: CLUSTER_ROWS to one, so that a row is compared
    with as many others however large the set.
    """
    if rows <= EXHAUSTIVE_ROWS:
        return 0

    def cost(k: int) -> float:
        return clusterings * (clustering_cost(rows, k) + COMPARE * comparisons(rows, k, probes))

    most = max(2, rows // CLUSTER_ROWS)
    candidates = [most >> halvings for halvings in range(20) if most >> halvings >= 2]
    best = min(candidates, key=cost)
    return best if cost(best) < rows * rows / 2 else 0


def clustering_cost(rows: int, clusters: int) -> float:
    """Of fitting and assigning, in float32 products."""
    return fitted(clusters) + ASSIGN * rows * held_against(clusters)


def comparisons(rows: int, clusters: int, probes: int) -> float:
    """How many pairs one clustering compares, were its clusters of equal size; clusters = 0: all."""
    return rows * rows / max(1, clusters) * (probes - 0.5) if clusters else rows * rows / 2
