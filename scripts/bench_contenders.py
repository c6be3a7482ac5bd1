"""The contenders of bench_dedup.py: each takes a store and a scratch folder, and returns pairs and measures."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from bench_data import THRESHOLD

from memaudit.dedup.clusters import Plan, choose_clusters
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import Found, compare
from memaudit.dedup.recall import measure_recall
from memaudit.similarity import Pairs
from memaudit.store import Store
from memaudit.types import Float32, Int64, silent

Measures = dict[str, Any]
THREADS: int = faiss.omp_get_max_threads()
PROBES = 2
SAMPLE = 1000  # rows that IVF is tuned on, and that flat search is extrapolated from


def versions() -> Measures:
    return {"faiss": faiss.__version__, "numpy": np.__version__}


def ours(store: Store, folder: Path) -> tuple[Pairs, Measures]:
    """Store to sorted pairs, and then the recall of the run by its own account."""
    plan = Plan(choose_clusters(store.comparable, PROBES, 1), PROBES, 1)
    found, measures, matrix = _planned(store, folder, plan)
    start = time.perf_counter()
    recall = measure_recall(
        matrix, found.pairs, THRESHOLD, sample=SAMPLE, confidence=0.95, seed=0, progress=silent
    ).by_pair
    own = {"recall_seconds": time.perf_counter() - start, "own_recall": recall.value, "own_low": recall.low}
    return found.pairs, {**measures, **own, "binary_peak": binary_peak()}


def openai_2022(store: Store, folder: Path) -> tuple[Pairs, Measures]:
    """The 2022 method: our implementation of it."""
    found, measures, _ = _planned(store, folder, Plan.openai_2022(store.comparable))
    return found.pairs, measures


def _planned(store: Store, folder: Path, plan: Plan) -> tuple[Found, Measures, Matrix]:
    stages = Stages()
    matrix = Matrix(folder / "scratch", store, store.comparable_rows())
    (folder / "scratch").unlink()  # it stays as long as it is mapped
    stages.note("copying", 1, 1)
    found = compare(matrix, THRESHOLD, plan, 0, stages.note)
    stages.note("sorting", 1, 1)
    comparing = stages.seconds["comparing" if plan.exhaustive else "comparing clusters"]
    measures = {
        "seconds": sum(stages.seconds.values()),
        "cpu_seconds": stages.cpu,
        "method": f"{plan.describe()}; {found.comparison.backend}",
        "largest_share": max((cells.share for cells in found.comparison.cells), default=1.0),
        "compared": found.comparison.compared,
        "compared_per_second": found.comparison.compared / comparing,
        **{f"s_{name.split()[0]}": seconds for name, seconds in stages.seconds.items()},
    }
    return found, measures, matrix


class Stages:
    """Wall-clock seconds of each stage, from the progress that it reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()
        self._cpu = time.process_time()

    @property
    def cpu(self) -> float:
        """Processor seconds since the start, of all threads: what other processes do at the same time counts less."""
        return time.process_time() - self._cpu

    def note(self, stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def binary_peak() -> float:
    """Comparisons of 512-bit codes a second that FAISS reaches here when nothing is found."""
    codes = np.random.default_rng(0).integers(0, 256, (16_384, 64), dtype=np.uint8)
    index = faiss.IndexBinaryFlat(512)
    index.add(codes)
    return _best(lambda: index.range_search(codes, 1), 3, len(codes) ** 2)


def flat(store: Store, folder: Path) -> tuple[None, Measures]:
    """Range search of SAMPLE rows in all, times rows ÷ SAMPLE."""
    vectors = _all_vectors(store)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    stages = Stages()
    index.range_search(vectors[_sample(len(vectors))], THRESHOLD)
    stages.note("comparing", 1, 1)
    times = len(vectors) / SAMPLE
    return None, {
        "seconds": stages.seconds["comparing"] * times,
        "cpu_seconds": stages.cpu * times,
        "method": f"IndexFlatIP range search, extrapolated from {SAMPLE} rows in {stages.seconds['comparing']:.1f} s",
    }


def ivf(store: Store, folder: Path, share: float = 1.0) -> tuple[Pairs, Measures]:
    """IVFFlat range search of all rows: nlist by total time, nprobe as low as `share` of the recall of ours allows."""
    stages = Stages()
    vectors = _all_vectors(store)
    stages.note("copying", 1, 1)
    reading = stages.cpu
    goal = share * _neighbours_of_ours(folder, _sample(len(vectors)))
    root = int(np.sqrt(len(vectors)))
    tried = [_tuned(vectors, nlist, goal) for nlist in (root, 2 * root)]
    best = min(tried, key=lambda one: one.built.cpu + one.searched.cpu * len(vectors) / SAMPLE)
    best.index.nprobe = best.nprobe
    searching = Stages()
    pairs = _range_search_all(best.index, vectors)
    searching.note("comparing", 1, 1)
    seconds = {
        "copying": stages.seconds["copying"],
        "assigning": best.built.seconds,
        "comparing": searching.seconds["comparing"],
    }
    return pairs, {
        "seconds": sum(seconds.values()),
        "cpu_seconds": reading + best.built.cpu + searching.cpu,
        "method": f"IVF{best.index.nlist},Flat nprobe {best.nprobe} range search of all rows",
        **{f"s_{name}": value for name, value in seconds.items()},
    }


class Cost(NamedTuple):
    """Wall-clock and processor seconds."""

    seconds: float
    cpu: float


class Tuned(NamedTuple):
    """An index, what it cost to fit and fill it and to search the sample, and the nprobe that reaches the goal."""

    index: Any
    built: Cost
    searched: Cost
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
    _, built = _timed(lambda: (index.train(vectors), index.add(vectors)))
    queries = vectors[_sample(len(vectors))]
    for nprobe in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, nlist):
        index.nprobe = nprobe
        (limits, _, _), searched = _timed(lambda: index.range_search(queries, THRESHOLD))
        if int(limits[-1]) - SAMPLE >= goal:
            break
    return Tuned(index, built, searched, nprobe)


def _timed(work: Callable[[], Any]) -> tuple[Any, Cost]:
    stages = Stages()
    result = work()
    stages.note("work", 1, 1)
    return result, Cost(stages.seconds["work"], stages.cpu)


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


def _best(work: Callable[[], object], repeats: int, amount: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return amount / min(times)


BY_NAME: dict[str, Callable[[Store, Path], tuple[Pairs | None, Measures]]] = {
    "ours": ours,
    "ivf": ivf,
    "ivf-99.9": partial(ivf, share=0.999),
    "flat": flat,
    "openai-2022": openai_2022,
}
