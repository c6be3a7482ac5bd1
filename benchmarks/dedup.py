"""Time and recall of finding near-duplicate pairs, against what a user would reach for instead.

Contenders, each in a process of its own: ours; FAISS IVFFlat range search of all rows, tuned (not counted) to the
recall of ours, or to 99.9 % of it; flat range search of 1,000 rows, extrapolated; the method of OpenAI 2022; that of
NeMo Curator's semantic deduplication. Data: synthetic.py, or any store of real images (`--store`). Truth: sampled rows
compared exactly with all. Where other processes run, the ratio of processor time says more than that of wall time, and
with OMP_NUM_THREADS=1 most.

Whole commands (`--only "dedup --exhaustive" dedup`) run on synthetic data, whose truth is then that of the exhaustive
one; `--skewed` makes it of topics of very different sizes, and of families that lie down to the threshold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.dedup_commands import COMMANDS, command_figures
from benchmarks.measure import BenchmarkError, cost_of
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.synthetic import EVEN, SKEWED, THRESHOLD, make_store
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.recall import RecallSample
from memaudit.similarity import Pairs
from memaudit.store import Store
from memaudit.types import CONFIDENCE, silent

NAMES = (
    "ours",
    "ivf",
    "ivf-99.9",
    "flat",
    "openai-2022",
    "inside-clusters",
)  # the second and the third look at the pairs of the first
TRUTH_ROWS, TRUTH_SEED = 2000, 12345
SECONDS, CPU = "seconds", "CPU s"  # of contenders.py, whose imports are no business of this process


class Ran(NamedTuple):
    """What a contender did: how, what it measured, and the peak memory of its process."""

    method: str
    measures: Mapping[str, float | None]
    peak_mb: float


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    folder, store, data = prepared(options, scratch)
    truth, ours = sampled_truth(store, folder), None
    for name in (name for name in NAMES if name in options.only):
        ran = run(name, folder)
        yield from figures_of(f"{data}, {name}", len(store), ran)
        if name != "flat":
            yield from recall_figures(f"{data}, {name}", truth, folder / f"pairs-{name}.npz")
        ours = ran if name == "ours" else ours
        if ours is not None:
            yield from ratios(f"{data}, {name}", len(store), ran, ours)
    for name in (name for name in COMMANDS if name in options.only):
        yield from command_figures(data, name, truth, folder)


def prepared(options: argparse.Namespace, scratch: Path) -> tuple[Path, Store, str]:
    """The folder of this data, the store in it, and what the table calls it."""
    if options.store is None:
        shape, data = (SKEWED, "skewed") if options.skewed else (EVEN, "synthetic")
        folder = scratch / (f"skewed-{options.rows}" if options.skewed else f"{options.rows}")
        return folder, make_store(folder / "store", options.rows, shape=shape), data
    if options.skewed or set(COMMANDS).intersection(options.only):
        raise BenchmarkError("--skewed and whole commands are for synthetic data: leave out --store")
    store = Store.open(options.store)
    folder = scratch / f"store-{store.digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "store").exists():
        (folder / "store").symlink_to(options.store.resolve())
    return folder, store, options.store.name


def run(name: str, folder: Path) -> Ran:
    cost = cost_of([sys.executable, "-m", "benchmarks.contenders", name, folder])
    method, measures = json.loads(cost.said)
    return Ran(method, measures, cost.peak_mb)


def figures_of(data: str, rows: int, ran: Ran) -> Iterator[Figure]:
    for measure, value in ran.measures.items():
        yield Figure(data, rows, measure, value, note=ran.method if measure == SECONDS else "")
    yield Figure(data, rows, "peak MB", ran.peak_mb)


def ratios(data: str, rows: int, ran: Ran, ours: Ran) -> Iterator[Figure]:
    for measure in (SECONDS, CPU):
        spent, own = ran.measures[measure], ours.measures[measure]
        if spent and own:
            yield Figure(data, rows, f"{measure} / ours", spent / own)


def recall_figures(data: str, truth: RecallSample, path: Path) -> Iterator[Figure]:
    with np.load(path) as file:
        left, right = file["left"], file["right"]
    found = Pairs(left, right, np.empty(len(left), np.float32)).in_order()  # those of others come in any order
    recall = truth.recall_of(found, CONFIDENCE)
    yield Figure(data, truth.size, "pairs", len(found.left))
    for name, estimate in (("pair", recall.by_pair), ("image", recall.by_image)):
        yield Figure(data, truth.size, f"recall by {name}", estimate.value, estimate.low, estimate.high)


def sampled_truth(store: Store, folder: Path) -> RecallSample:
    """Sampled rows and all their true pairs; other rows than those that a run samples for itself. Kept for later."""
    kept = folder / "truth.npz"
    if not kept.is_file():
        matrix = Matrix(folder, store, store.comparable_rows())
        sample = RecallSample.drawn(matrix, THRESHOLD, TRUTH_ROWS, TRUTH_SEED, silent)
        np.savez(kept, rows=sample.rows, **sample.truth._asdict())
    with np.load(kept) as file:
        truth = Pairs(file["left"], file["right"], file["similarity"])
        return RecallSample(file["rows"], store.comparable, THRESHOLD, truth)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rows", metavar="N", type=int, default=100_000)
    add("--store", metavar="STORE", type=Path, help="instead of synthetic data: made by memaudit embed")
    add("--skewed", action="store_true", help="synthetic data of few large topics, families at cosines .78 to .999")
    names = (*NAMES, *COMMANDS)
    add("--only", metavar="NAME", nargs="+", choices=names, default=NAMES, help=", ".join(names))


BENCHMARK = Benchmark(__doc__ or "", ("faiss-cpu", "faiss-gpu-cuvs", "numpy"), add_options, figures, continues=True)
