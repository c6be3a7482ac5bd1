#!/usr/bin/env python3
"""Indexes and exact search, against what a user would reach for instead.

Exact search of 1,000 queries beside faiss.IndexFlatIP (in turns, which loads the vectors beforehand and does not count
it); each recipe's time to build, size, queries a second and recall; opening an index and answering one look-up; the
choice of autofaiss for the same memory (`--autofaiss PYTHON`: an interpreter that has it, as it needs numpy < 2).
`--gpu`: 10,000,000 rows made on the GPU, flat in float16, ivf and cagra; only where a GPU is.

    python scripts/bench_index.py --rows 100000 --folder /tmp/bench [--recipes flat,ivf] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_data import DIM, THRESHOLD, make_store
from bench_record import BenchmarkError, Figure, cost_of, of_rounds, show, versions, write_figures

from memaudit.index import ExactSearch, Index, build_index, import_faiss
from memaudit.store import Store
from memaudit.types import Float32

QUERIES = 1000
RECIPES = "flat,ivf,ivfpq,hnsw"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bench-index"))
    parser.add_argument("--store", type=Path, help="a synthetic store of that many rows that is there already")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "results")
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--autofaiss", type=Path, help="a Python that has autofaiss")
    parser.add_argument("--gpu", action="store_true")
    options = parser.parse_args()
    store = Store.open(options.store) if options.store else make_store(options.folder / str(options.rows), options.rows)
    figures = shown(exact_search(store, options.rounds))
    for recipe in filter(None, options.recipes.split(",")):
        figures += of_recipe(store, options.folder, recipe)
    if options.autofaiss:
        figures += of_autofaiss(store, options.folder, options.autofaiss)
    if options.gpu:
        figures += on_gpu(options.folder)
    path = write_figures(
        figures, "bench_index", options.results, versions("faiss-cpu", "faiss-gpu-cuvs", "torch", "numpy")
    )
    print(f"written: {path}")


def queries_of(store: Store, count: int = QUERIES) -> Float32:
    """Rows of the store, moved a little: half to within a near-duplicate's similarity, half far away."""
    rng = np.random.default_rng(12345)
    vectors = store.embeddings(rng.choice(store.comparable_rows(), count, replace=False))
    noise = rng.standard_normal(vectors.shape).astype(np.float32) / np.sqrt(vectors.shape[1])
    moved = vectors + np.where(np.arange(count) % 2, 0.5, 2.0).astype(np.float32)[:, None] * noise
    return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


def exact_search(store: Store, rounds: int, count: int = QUERIES, nearest: Sequence[int] = (1, 10)) -> list[Figure]:
    """Ours reads the store each time; the flat index has its vectors in memory. Neither counts its imports."""
    import torch  # noqa: F401

    faiss = import_faiss()
    flat = faiss.IndexFlatIP(DIM)
    for block in store.blocks():
        flat.add(block.embeddings)
    queries, data = queries_of(store, count), f"synthetic {len(store):,} x {DIM}"
    figures = []
    for k in nearest:
        ours, theirs, same = list[Spent](), list[Spent](), 1.0
        for _ in range(rounds):
            spent, (_, rows) = timed(lambda k=k: flat.search(queries, k))  # type: ignore[misc]
            theirs.append(spent)
            spent, found = timed(lambda k=k: ExactSearch(store).search(queries, k, THRESHOLD))  # type: ignore[misc]
            ours.append(spent)
            same = min(same, float((found.rows[:, 0] == rows[:, 0]).mean()))
        ratios = [a.seconds / b.seconds for a, b in zip(theirs, ours, strict=True)]
        cpu_ratios = [a.cpu_seconds / b.cpu_seconds for a, b in zip(theirs, ours, strict=True)]
        figures += [
            of_rounds(data, count, f"exact search k={k} s", [spent.seconds for spent in ours]),
            of_rounds(data, count, f"IndexFlatIP k={k} s", [spent.seconds for spent in theirs]),
            of_rounds(data, count, f"IndexFlatIP ÷ exact search k={k}", ratios, ">= 1.5"),
            of_rounds(data, count, f"IndexFlatIP ÷ exact search k={k}, processor time", cpu_ratios),
            Figure(data, count, f"same nearest row k={k}", same, asked="1"),
        ]
    return figures


class Spent(NamedTuple):
    """Wall time, and processor time of all threads: where other processes run, the latter says more."""

    seconds: float
    cpu_seconds: float


def timed(call: Callable[[], Any]) -> tuple[Spent, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    value = call()
    return Spent(time.perf_counter() - start, time.process_time() - cpu), value


def of_recipe(store: Store, folder: Path, recipe: str) -> list[Figure]:
    data, target = f"synthetic {len(store):,} x {DIM}, {recipe}", folder / f"index-{len(store)}-{recipe}"
    try:
        spent, index = timed(lambda: build_index(store, target, recipe))
    except Exception as error:  # noqa: BLE001 - the table says why there is no figure
        return shown([Figure(data, len(store), "build s", None, note=str(error))])
    size = sum(file["bytes"] for file in index.manifest["files"])
    recall, queries = index.manifest["index_recall"], queries_of(store)
    Index.open(target).search(queries[:10], 10, THRESHOLD)
    searched, _ = timed(lambda: index.search(queries, 10, THRESHOLD))
    figures = [
        Figure(
            data, len(store), "build s", spent.seconds, note=f"{index.manifest['factory']} {index.manifest['search']}"
        ),
        Figure(data, len(store), "size GB", size / 1e9),
        Figure(data, QUERIES, "queries/s", QUERIES / searched.seconds),
        Figure(
            data, recall["near"]["rows"], "index recall@1 of near-duplicates", recall["near"]["at_1"], asked=">= 0.99"
        ),
        Figure(data, recall["rows"], "index recall@1", recall["at_1"]),
        Figure(data, recall["rows"], "index recall@10", recall["at_10"]),
    ]
    return shown(figures + look_up(target, data))


def look_up(index: Path, data: str) -> list[Figure]:
    """A process of its own opens the index and answers one picture of 17 views; interpreter and encoder not counted."""
    opening, answering = list[float](), list[float]()
    for _ in range(3):
        opened, answered = json.loads(cost_of([sys.executable, "-c", _LOOK_UP, index]).said)
        opening.append(opened)
        answering.append(answered)
    both = [a + b for a, b in zip(opening, answering, strict=True)]
    return [
        of_rounds(data, 1, "open s, imports included", opening),
        of_rounds(data, 1, "open and answer one look-up s", both, "<= 2"),
    ]


def of_autofaiss(store: Store, folder: Path, python: Path) -> list[Figure]:
    """Its own choice, with as much memory as our ivf takes."""
    data = f"synthetic {len(store):,} x {DIM}, autofaiss"
    queries = queries_of(store)
    truth = ExactSearch(store).search(queries, 1, THRESHOLD).rows[:, 0]
    files = [folder / f"autofaiss-{name}" for name in ("x.npy", "q.npy", "t.npy", "index")]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    arrays: list[Any] = [store.embeddings(store.comparable_rows()), queries, truth]
    for path, array in zip(files, arrays, strict=False):
        np.save(path, array)
    memory = f"{max(1, len(store) * (2 * DIM + 8) // 1_000_000)}MB"
    command = [str(python), "-c", _AUTOFAISS, *map(str, files), memory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for path in files:
        path.unlink(missing_ok=True)
    if done.returncode:
        return shown([Figure(data, len(store), "build s", None, note=done.stderr.strip().rpartition("\n")[2][:200])])
    key, build, rate, recall, size = json.loads(done.stdout.strip().rpartition("\n")[2])
    return shown(
        [
            Figure(data, len(store), "build s", build, note=f"{key}, {memory} allowed"),
            Figure(data, len(store), "size GB", size / 1e9),
            Figure(data, QUERIES, "queries/s", rate),
            Figure(data, QUERIES, "recall@1 of these queries", recall),
        ]
    )


def on_gpu(folder: Path) -> list[Figure]:
    """10,000,000 rows made there: the store would take 10 GB, so FAISS is asked directly, as the recipes do."""
    faiss = import_faiss()
    if not faiss.get_num_gpus():
        return shown([Figure("gpu", GPU_ROWS, "build s", None, note="no GPU here: did not run")])
    import torch

    name = torch.cuda.get_device_name(0)
    generator = torch.Generator("cuda").manual_seed(0)
    centres = torch.nn.functional.normalize(torch.randn(300, DIM, device="cuda", generator=generator), dim=1)

    def block(rows: int) -> Float32:
        own = torch.nn.functional.normalize(torch.randn(rows, DIM, device="cuda", generator=generator), dim=1)
        topic = centres[torch.randint(0, 300, (rows,), device="cuda", generator=generator)]
        return np.asarray(torch.nn.functional.normalize(0.6 * topic + 0.8 * own, dim=1).cpu().numpy())

    vectors = np.concatenate([block(500_000) for _ in range(GPU_ROWS // 500_000)])
    rows = np.random.default_rng(0).choice(GPU_ROWS, QUERIES, replace=False)
    moved = vectors[rows] + 0.3 * np.random.default_rng(1).standard_normal((QUERIES, DIM)).astype(np.float32) / DIM**0.5
    queries = np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)
    resources, figures = faiss.StandardGpuResources(), []
    for kind in ("flat float16", "ivf", "cagra"):
        built, index = timed(lambda kind=kind: _gpu_index(faiss, resources, kind, vectors))  # type: ignore[misc]
        index.search(queries[:10], 10)
        searched, (_, found) = timed(lambda index=index: index.search(queries, 10))  # type: ignore[misc]
        data = f"{GPU_ROWS:,} x {DIM} on {name}, {kind}"
        figures += [
            Figure(data, GPU_ROWS, "build s", built.seconds),
            Figure(data, QUERIES, "queries/s", QUERIES / searched.seconds),
            Figure(data, QUERIES, "share of queries whose source is first", float((found[:, 0] == rows).mean())),
        ]
        del index
    return shown(figures)


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


def shown(figures: list[Figure]) -> list[Figure]:
    for figure in figures:
        show(figure)
    return figures


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(str(error))
