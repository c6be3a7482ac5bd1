"""The contenders of dedup.py, each in a process of its own: `python -m benchmarks.contenders NAME FOLDER`.

Each takes the store in the folder, leaves its pairs there, and says in a line of JSON what it measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np

from benchmarks.measure import Timed, timed
from benchmarks.synthetic import THRESHOLD
from memaudit.dedup.clusters import Plan, choose_clusters
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import compare
from memaudit.dedup.recall import measure_recall
from memaudit.similarity import Pairs
from memaudit.store import Store
from memaudit.types import CONFIDENCE, Float32, Int64, silent

PROBES = 4
SAMPLE = 1000  # rows that IVF is tuned on, and that flat search is extrapolated from
SECONDS, CPU = "seconds", "CPU s"
ROWS_A_CLUSTER, KMEANS_ROWS, KMEANS_ROUNDS, BLOCK = 1000, 64, 10, 8192  # of the method of NeMo Curator


class Outcome(NamedTuple):
    """What was found (None: only its time is known), how, and what was measured, SECONDS and CPU among it."""

    pairs: Pairs | None
    method: str
    measures: Mapping[str, float | None]  # None: nothing to measure it by


def ours(store: Store, folder: Path) -> Outcome:
    """Store to sorted pairs, and then the recall of the run by its own account."""
    plan = Plan(choose_clusters(store.comparable, PROBES, 1), PROBES, 1)
    found, matrix = _planned(store, folder, plan)
    assert found.pairs is not None
    told = timed(partial(_own_recall, matrix, found.pairs))
    value, low = told.result
    own = {"recall by its own account": value, "lower end of that": low, "that account, s": told.seconds}
    return found._replace(measures={**found.measures, **own, "most comparisons/s of binary codes": binary_peak()})


def _own_recall(matrix: Matrix, pairs: Pairs) -> tuple[float | None, float | None]:
    """By pair: the estimate and its lower end."""
    recall = measure_recall(matrix, pairs, THRESHOLD, sample=SAMPLE, confidence=CONFIDENCE, seed=0, progress=silent)
    return recall.by_pair.value, recall.by_pair.low


def openai_2022(store: Store, folder: Path) -> Outcome:
    """The 2022 method: our implementation of it."""
    return _planned(store, folder, Plan.openai_2022(store.comparable))[0]


def _planned(store: Store, folder: Path, plan: Plan) -> tuple[Outcome, Matrix]:
    stages = Stages()
    matrix = Matrix(folder, store, store.comparable_rows())
    stages.note("copying", 1, 1)
    found = compare(matrix, THRESHOLD, plan, 0, stages.note)
    stages.note("sorting", 1, 1)
    comparing = stages.seconds["comparing" if plan.exhaustive else "comparing clusters"]
    measures = {
        **stages.measures(),
        "largest cluster, share of the rows": max((cells.share for cells in found.comparison.cells), default=1.0),
        "comparisons": found.comparison.compared,
        "comparisons/s": found.comparison.compared / comparing,
    }
    return Outcome(found.pairs, f"{plan.describe()}; {found.comparison.backend}", measures), matrix


class Stages:
    """Wall-clock seconds of each stage, from the progress that it reports; processor seconds of all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()
        self._cpu = time.process_time()

    def note(self, stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def measures(self) -> dict[str, float]:
        total, cpu = sum(self.seconds.values()), time.process_time() - self._cpu
        return {SECONDS: total, CPU: cpu, **{f"{stage}, s": spent for stage, spent in self.seconds.items()}}


def inside_clusters(store: Store, folder: Path) -> Outcome:
    """The method of NeMo Curator's semantic deduplication (SemDeDup, Abbas et al. 2023) in plain torch: one k-means,
    each row in its nearest cluster, all products within a cluster in float32."""
    import torch

    stages = Stages()
    vectors = torch.from_numpy(_all_vectors(store))
    stages.note("copying", 1, 1)
    clusters, rng = max(1, len(vectors) // ROWS_A_CLUSTER), torch.Generator().manual_seed(0)
    fitted = vectors[torch.randperm(len(vectors), generator=rng)[: KMEANS_ROWS * clusters]]
    centroids = fitted[:clusters].clone()
    for _ in range(KMEANS_ROUNDS):
        nearest = torch.cat([(part @ centroids.T).argmax(dim=1) for part in fitted.split(BLOCK)])
        sums = torch.zeros_like(centroids).index_add_(0, nearest, fitted)
        centroids = torch.nn.functional.normalize(sums + 1e-9 * centroids, dim=1)
    nearest = torch.cat([(part @ centroids.T).argmax(dim=1) for part in vectors.split(BLOCK)])
    stages.note("assigning", 1, 1)
    found = [_pairs_of(vectors, rows) for rows in _members(nearest.numpy(), clusters)]
    stages.note("comparing", 1, 1)
    method = f"one k-means of {clusters} clusters, all products within each, in torch"
    return Outcome(Pairs.joined(found), method, stages.measures())


def _members(nearest: Int64, clusters: int) -> list[Int64]:
    order = np.argsort(nearest, kind="stable")
    return np.split(order, np.searchsorted(nearest[order], np.arange(1, clusters)))


def _pairs_of(vectors: Any, rows: Int64) -> Pairs:
    """All pairs of these rows, block by block."""
    own, parts = vectors[rows], [Pairs.none()]
    for low in range(0, len(rows), BLOCK):
        scores = (own[low : low + BLOCK] @ own.T).numpy()
        i, j = np.nonzero(scores >= THRESHOLD)
        later = i + low < j
        i, j = i[later], j[later]
        parts.append(Pairs(rows[i + low], rows[j], scores[i, j]))
    return Pairs.joined(parts)


def binary_peak() -> float:
    """Comparisons of 512-bit codes a second that FAISS reaches here when nothing is found."""
    codes = np.random.default_rng(0).integers(0, 256, (16_384, 64), dtype=np.uint8)
    index = faiss.IndexBinaryFlat(512)
    index.add(codes)
    return len(codes) ** 2 / min(timed(partial(index.range_search, codes, 1)).seconds for _ in range(3))


def flat(store: Store, folder: Path) -> Outcome:
    """Range search of SAMPLE rows in all, times rows ÷ SAMPLE."""
    vectors = _all_vectors(store)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    spent = timed(partial(index.range_search, vectors[_sample(len(vectors))], THRESHOLD))
    times = len(vectors) / SAMPLE
    method = f"IndexFlatIP range search, extrapolated from {SAMPLE} rows in {spent.seconds:.1f} s"
    return Outcome(None, method, {SECONDS: spent.seconds * times, CPU: spent.cpu_seconds * times})


def ivf(store: Store, folder: Path, share: float = 1.0) -> Outcome:
    """IVFFlat range search of all rows: nlist by total time, nprobe as low as `share` of the recall of ours allows."""
    read = timed(partial(_all_vectors, store))
    vectors = read.result
    goal = share * _neighbours_of_ours(folder, _sample(len(vectors)))
    root = int(np.sqrt(len(vectors)))
    tried = [_tuned(vectors, nlist, goal) for nlist in (root, 2 * root)]
    best = min(tried, key=lambda one: one.built.cpu_seconds + one.searched.cpu_seconds * len(vectors) / SAMPLE)
    best.index.nprobe = best.nprobe
    found = timed(partial(_range_search_all, best.index, vectors))
    stages = {"copying": read, "assigning": best.built, "comparing": found}
    seconds = {f"{name}, s": stage.seconds for name, stage in stages.items()}
    cpu = sum(stage.cpu_seconds for stage in stages.values())
    method = f"IVF{best.index.nlist},Flat nprobe {best.nprobe} range search of all rows"
    return Outcome(found.result, method, {SECONDS: sum(seconds.values()), CPU: cpu, **seconds})


class Tuned(NamedTuple):
    """An index, what it cost to fit and fill it and to search the sample, and the nprobe that reaches the goal."""

    index: Any
    built: Timed[Any]
    searched: Timed[Any]
    nprobe: int


def _neighbours_of_ours(folder: Path, rows: Int64) -> int:
    """How many neighbours the sampled rows have among the pairs that ours found."""
    with np.load(folder / "pairs-ours.npz") as file:
        ends = np.concatenate([file["left"], file["right"]])
    return int(np.isin(ends, rows).sum())


def _tuned(vectors: Float32, nlist: int, goal: float) -> Tuned:
    """Of one nlist the lowest nprobe that finds as many neighbours of the sample as ours did. Not counted as time."""
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{nlist},Flat", faiss.METRIC_INNER_PRODUCT)
    index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 64, 1  # cheaper than FAISS's default of 256
    built = timed(lambda: (index.train(vectors), index.add(vectors)))
    queries = vectors[_sample(len(vectors))]
    for nprobe in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, nlist):
        index.nprobe = nprobe
        searched = timed(partial(index.range_search, queries, THRESHOLD))
        if int(searched.result[0][-1]) - SAMPLE >= goal:
            break
    return Tuned(index, built, searched, nprobe)


def _range_search_all(index: Any, vectors: Float32) -> Pairs:
    parts = []
    for low in range(0, len(vectors), 8192):
        limits, similarity, found = index.range_search(vectors[low : low + 8192], THRESHOLD)
        left = np.repeat(np.arange(len(limits) - 1) + low, np.diff(limits.astype(np.int64)))
        parts.append(Pairs(left, found, similarity).where(left < found))
    return Pairs.joined(parts)  # in no order: only ours sorts them


def _all_vectors(store: Store) -> Float32:
    result = np.empty((store.comparable, store.encoder.dim), np.float32)
    filled = 0
    for block in store.blocks():
        result[filled : filled + len(block.rows)] = block.embeddings
        filled += len(block.rows)
    return result


def _sample(rows: int) -> Int64:
    return np.sort(np.random.default_rng(1).choice(rows, SAMPLE, replace=False))


BY_NAME: dict[str, Callable[[Store, Path], Outcome]] = {
    "ours": ours,
    "ivf": ivf,
    "ivf-99.9": partial(ivf, share=0.999),
    "flat": flat,
    "openai-2022": openai_2022,
    "inside-clusters": inside_clusters,
}


def main(name: str, folder: Path) -> None:
    outcome = BY_NAME[name](Store.open(folder / "store"), folder)
    if outcome.pairs is not None:
        np.savez(folder / f"pairs-{name}.npz", left=outcome.pairs.left, right=outcome.pairs.right)
    print(json.dumps([outcome.method, outcome.measures]))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
