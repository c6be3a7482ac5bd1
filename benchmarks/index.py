"""Indexes and exact search, against what a user would reach for instead.

Exact search of 1,000 queries beside faiss.IndexFlatIP (in turns, which loads the vectors beforehand and does not count
it); each recipe's time to build, size, queries a second and recall; opening an index and answering one look-up; the
choice of autofaiss for the same memory (`--autofaiss PYTHON`: an interpreter that has it, as it needs numpy < 2).
`--gpu`: 10,000,000 rows made on the GPU, flat in float16, ivf and cagra; only where a GPU is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import BenchmarkError, cost_of, timed
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark
from benchmarks.synthetic import DIM, THRESHOLD, make_store
from memaudit.index import ExactSearch, Index, build_index, import_faiss
from memaudit.similarity import Neighbours
from memaudit.similarity.whole import torch_or_none
from memaudit.store import Store
from memaudit.types import Float32

QUERIES = 1000
RECIPES = ("flat", "ivf", "ivfpq", "hnsw")
GPU_ROWS = 10_000_000
_LOOK_UP = """
import json, sys, time
start = time.perf_counter()
import numpy as np
from memaudit.index import open_searcher
index = open_searcher(sys.argv[1])
opened = time.perf_counter()
query = np.random.default_rng(0).standard_normal((17, index.store.encoder.dim)).astype(np.float32)
query[0] = index.store.embeddings(np.array([7]))[0]
query /= np.linalg.norm(query, axis=1, keepdims=True)
found = index.search(query, 10, index.store.encoder.threshold)
index.store.columns(found.rows[0][found.rows[0] >= 0])
assert found.rows[0, 0] == 7 or found.similarity[0, 0] > 0.999
print(json.dumps([opened - start, time.perf_counter() - opened]))
"""
_AUTOFAISS = """
import sys, time, json, numpy as np
from autofaiss import build_index
import faiss
vectors, queries, truth, out, memory = sys.argv[1:]
x = np.load(vectors, mmap_mode="r")
start = time.perf_counter()
index, info = build_index(np.asarray(x), metric_type="ip", max_index_memory_usage=memory,
                          current_memory_available="8GB", save_on_disk=False, verbose=40)
build = time.perf_counter() - start
q = np.load(queries)
start = time.perf_counter()
_, rows = index.search(q, 10)
seconds = time.perf_counter() - start
recall = float((rows[:, 0] == np.load(truth)).mean())
faiss.write_index(index, out)
import os
print(json.dumps([str(info.get("index_key")), build, len(q) / seconds, recall, os.path.getsize(out)]))
"""


def queries_of(store: Store, count: int = QUERIES) -> Float32:
    """Rows of the store, moved a little: half to within a near-duplicate's similarity, half far away."""
    rng = np.random.default_rng(12345)
    vectors = store.embeddings(rng.choice(store.comparable_rows(), count, replace=False))
    noise = rng.standard_normal(vectors.shape).astype(np.float32) / np.sqrt(vectors.shape[1])
    moved = vectors + np.where(np.arange(count) % 2, 0.5, 2.0).astype(np.float32)[:, None] * noise
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


def exact_search(store: Store, rounds: int, count: int = QUERIES, nearest: Sequence[int] = (1, 10)) -> Iterator[Figure]:
    """Ours reads the store each time; the flat index has its vectors in memory. Neither counts its imports."""
    torch_or_none()
    faiss = import_faiss()
    flat = faiss.IndexFlatIP(DIM)
    for block in store.blocks():
        flat.add(block.embeddings)
    queries, data = queries_of(store, count), f"synthetic {len(store):,} x {DIM}"
    for k in nearest:
        theirs, ours = [], []
        for _ in range(rounds):
            theirs.append(timed(partial(flat.search, queries, k)))
            ours.append(timed(partial(_searched, store, queries, k)))
        both = list(zip(theirs, ours, strict=True))
        ratios = [a.seconds / b.seconds for a, b in both]
        cpu_ratios = [a.cpu_seconds / b.cpu_seconds for a, b in both]
        same = min(float((b.result.rows[:, 0] == a.result[1][:, 0]).mean()) for a, b in both)
        yield of_rounds(data, count, f"exact search k={k} s", [spent.seconds for spent in ours])
        yield of_rounds(data, count, f"IndexFlatIP k={k} s", [spent.seconds for spent in theirs])
        yield of_rounds(data, count, f"IndexFlatIP ÷ exact search k={k}", ratios, ">= 1.5")
        yield of_rounds(data, count, f"IndexFlatIP ÷ exact search k={k}, processor time", cpu_ratios)
        yield Figure(data, count, f"same nearest row k={k}", same, asked="1")


def _searched(store: Store, queries: Float32, k: int) -> Neighbours:
    """Opening is counted: it reads the store."""
    return ExactSearch(store).search(queries, k, THRESHOLD)


def of_recipe(store: Store, folder: Path, recipe: str) -> Iterator[Figure]:
    data, target, count = f"synthetic {len(store):,} x {DIM}, {recipe}", folder / f"index-{recipe}", len(store)
    try:
        built = timed(lambda: build_index(store, target, recipe))
    except Exception as error:  # noqa: BLE001 - the table says why there is no figure
        yield Figure(data, count, "build s", None, note=str(error))
        return
    index, queries, manifest = built.result, queries_of(store), built.result.manifest
    Index.open(target).search(queries[:10], 10, THRESHOLD)
    searched = timed(lambda: index.search(queries, 10, THRESHOLD))
    recall, near = manifest["index_recall"], manifest["index_recall"]["near"]
    yield Figure(data, count, "build s", built.seconds, note=f"{manifest['factory']} {manifest['search']}")
    yield Figure(data, count, "size GB", sum(file["bytes"] for file in manifest["files"]) / 1e9)
    yield Figure(data, QUERIES, "queries/s", QUERIES / searched.seconds)
    yield Figure(data, near["rows"], "index recall@1 of near-duplicates", near["at_1"], asked=">= 0.99")
    yield Figure(data, recall["rows"], "index recall@1", recall["at_1"])
    yield Figure(data, recall["rows"], "index recall@10", recall["at_10"])
    yield from look_up(target, data)


def look_up(index: Path, data: str) -> Iterator[Figure]:
    """A process of its own opens the index and answers one picture of 17 views; interpreter and encoder not counted."""
    taken = [json.loads(cost_of([sys.executable, "-c", _LOOK_UP, index]).said) for _ in range(3)]
    yield of_rounds(data, 1, "open s, imports included", [opened for opened, _ in taken])
    yield of_rounds(data, 1, "open and answer one look-up s", [sum(both) for both in taken], "<= 2")


def of_autofaiss(store: Store, folder: Path, python: Path) -> Iterator[Figure]:
    """Its own choice, with as much memory as our ivf takes."""
    data, queries = f"synthetic {len(store):,} x {DIM}, autofaiss", queries_of(store)
    truth = ExactSearch(store).search(queries, 1, THRESHOLD).rows[:, 0]
    files = [folder / f"autofaiss-{name}" for name in ("x.npy", "q.npy", "t.npy", "index")]
    arrays: list[NDArray[Any]] = [store.embeddings(store.comparable_rows()), queries, truth]
    for path, array in zip(files, arrays, strict=False):
        np.save(path, array)
    memory = f"{max(1, len(store) * (2 * DIM + 8) // 1_000_000)}MB"
    try:
        said = cost_of([python, "-c", _AUTOFAISS, *files, memory]).said
    except BenchmarkError as error:
        yield Figure(data, len(store), "build s", None, note=str(error)[:200])
        return
    finally:
        for path in files:
            path.unlink(missing_ok=True)
    key, build, speed, recall, size = json.loads(said)
    yield Figure(data, len(store), "build s", build, note=f"{key}, {memory} allowed")
    yield Figure(data, len(store), "size GB", size / 1e9)
    yield Figure(data, QUERIES, "queries/s", speed)
    yield Figure(data, QUERIES, "recall@1 of these queries", recall)


def on_gpu() -> Iterator[Figure]:
    """10,000,000 rows made there: the store would take 10 GB, so FAISS is asked directly, as the recipes do."""
    faiss = import_faiss()
    if not faiss.get_num_gpus():
        yield Figure("gpu", GPU_ROWS, "build s", None, note="no GPU here: did not run")
        return
    import torch

    name, vectors = torch.cuda.get_device_name(0), _made_on_gpu()
    rows = np.random.default_rng(0).choice(GPU_ROWS, QUERIES, replace=False)
    moved = vectors[rows] + 0.3 * np.random.default_rng(1).standard_normal((QUERIES, DIM)).astype(np.float32) / DIM**0.5
    queries = np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)
    resources = faiss.StandardGpuResources()
    for kind in ("flat float16", "ivf", "cagra"):
        built = timed(partial(_gpu_index, faiss, resources, kind, vectors))
        built.result.search(queries[:10], 10)
        searched = timed(partial(built.result.search, queries, 10))
        first, data = searched.result[1][:, 0], f"{GPU_ROWS:,} x {DIM} on {name}, {kind}"
        yield Figure(data, GPU_ROWS, "build s", built.seconds)
        yield Figure(data, QUERIES, "queries/s", QUERIES / searched.seconds)
        yield Figure(data, QUERIES, "share of queries whose source is first", float((first == rows).mean()))
        del built, searched  # before the next index is made: the device holds one


def _made_on_gpu(size: int = 500_000) -> Float32:
    """GPU_ROWS unit vectors of 300 topics, made `size` at a time."""
    import torch

    generator = torch.Generator("cuda").manual_seed(0)

    def directions(rows: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(rows, DIM, device="cuda", generator=generator), dim=1)

    def block(centres: torch.Tensor) -> Float32:
        own = directions(size)
        topic = centres[torch.randint(0, len(centres), (size,), device="cuda", generator=generator)]
        return np.asarray(torch.nn.functional.normalize(0.6 * topic + 0.8 * own, dim=1).cpu().numpy())

    centres = directions(300)
    return np.concatenate([block(centres) for _ in range(GPU_ROWS // size)])


def _gpu_index(faiss: Any, resources: Any, kind: str, vectors: Float32) -> Any:
    metric = faiss.METRIC_INNER_PRODUCT
    if kind == "cagra":
        index = faiss.GpuIndexCagra(resources, DIM, metric, faiss.GpuIndexCagraConfig())
        index.train(vectors)
        return index
    if kind == "ivf":
        lists = round(2 * len(vectors) ** 0.5)
        config = faiss.GpuIndexIVFScalarQuantizerConfig()
        half = faiss.ScalarQuantizer.QT_fp16
        index = faiss.GpuIndexIVFScalarQuantizer(resources, DIM, lists, half, metric, False, config)
        index.nprobe = 16
        index.train(vectors[: 64 * lists])
    else:
        config = faiss.GpuIndexFlatConfig()
        config.useFloat16 = True
        index = faiss.GpuIndexFlatIP(resources, DIM, config)
    for low in range(0, len(vectors), 500_000):
        index.add(vectors[low : low + 500_000])
    return index


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    store = Store.open(options.store) if options.store else make_store(scratch / str(options.rows), options.rows)
    yield from exact_search(store, options.rounds)
    for recipe in options.recipes:
        yield from of_recipe(store, scratch, recipe)
    if options.autofaiss:
        yield from of_autofaiss(store, scratch, options.autofaiss)
    if options.gpu:
        yield from on_gpu()


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", metavar="N", type=int, default=100_000)
    add("--store", metavar="STORE", type=Path, help="a synthetic store that is there already")
    add("--recipes", metavar="NAME", nargs="*", default=RECIPES)
    add("--rounds", metavar="N", type=int, default=3)
    add("--autofaiss", metavar="PYTHON", type=Path, help="an interpreter that has autofaiss")
    add("--gpu", action="store_true")


PACKAGES = ("faiss-cpu", "faiss-gpu-cuvs", "torch", "numpy")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, continues=True)
