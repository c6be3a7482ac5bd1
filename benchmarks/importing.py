"""Speed and memory of `memaudit import`.

A .npy of N x 512 random directions and a text file of N ids are imported, the store is verified, and all its blocks are
read. Each time is also given as a ratio to np.load and a copy of the same bytes in the same round. The two commands
count with their start; np.load and the reading count from within a process of their own, whose peak memory is
taken whole. Files were just written, so that all read from the page cache where the memory holds them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.measure import Cost, cost_of, memaudit
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark

DIMENSION = 512
BLOCK = 65_536
ASKED_PEAK = "<= 1000"

_TIMED = "import sys, time\n{imports}\nstart = time.perf_counter()\n{work}\nprint(time.perf_counter() - start)"
COPY = _TIMED.format(imports="import numpy as np", work="np.load(sys.argv[1]).copy()")
READ = _TIMED.format(
    imports="from memaudit.store import Store", work="assert sum(len(b.rows) for b in Store.open(sys.argv[1]).blocks())"
)


class Round(NamedTuple):
    """What one round cost: import, verify, reading all blocks, np.load with a copy."""

    imported: Cost
    verified: Cost
    read: Cost
    copied: Cost


def write_input(folder: Path, rows: int, dtype: str) -> tuple[Path, Path]:
    """The .npy file and its ids. Memory: one block."""
    vectors, ids = folder / f"{dtype}.npy", folder / "ids.txt"
    matrix = np.lib.format.open_memmap(vectors, mode="w+", dtype=dtype, shape=(rows, DIMENSION))
    random = np.random.default_rng(0)
    for low in range(0, rows, BLOCK):
        drawn = random.standard_normal((min(BLOCK, rows - low), DIMENSION), dtype=np.float32)
        matrix[low : low + BLOCK] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    matrix.flush()
    with ids.open("w", encoding="utf-8") as handle:
        handle.writelines(f"part-{number // 10_000:05d}/{number:09d}.jpg\n" for number in range(rows))
    return vectors, ids


def one_round(vectors: Path, ids: Path, store: Path) -> Round:
    shutil.rmtree(store, ignore_errors=True)
    given: list[str | Path] = ["--ids", ids, "--encoder", "random", "--threshold", "0.75", "--out", store]
    copied = _timed_within(COPY, vectors)
    imported = cost_of(memaudit("import", vectors, *given))
    return Round(imported, cost_of(memaudit("verify", store)), _timed_within(READ, store), copied)


def _timed_within(program: str, path: Path) -> Cost:
    """The program prints the seconds of its own work: for what takes no longer than Python's start."""
    cost = cost_of([sys.executable, "-c", program, path])
    return cost._replace(seconds=float(cost.said))


def of_dtype(rows: int, dtype: str, rounds: int, scratch: Path) -> Iterator[Figure]:
    vectors, ids = write_input(scratch, rows, dtype)
    data = f"{DIMENSION}-d {dtype}"
    done = [one_round(vectors, ids, scratch / "store") for _ in range(rounds)]
    copies = [each.copied.seconds for each in done]
    yield of_rounds(data, rows, "np.load and copy, s", copies)
    for step, name in (("imported", "import"), ("verified", "verify"), ("read", "reading all blocks")):
        costs: list[Cost] = [getattr(each, step) for each in done]
        ratios = [cost.seconds / copy for cost, copy in zip(costs, copies, strict=True)]
        asked = ASKED_PEAK if step != "verified" else ""
        yield of_rounds(data, rows, f"{name}, s", [cost.seconds for cost in costs])
        yield of_rounds(data, rows, f"{name} / np.load and copy", ratios)
        yield of_rounds(data, rows, f"{name}, peak MB", [cost.peak_mb for cost in costs], asked)


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    for dtype in options.dtype:
        yield from of_dtype(options.rows, dtype, options.rounds, scratch)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", metavar="N", type=int, default=1_000_000, help="5 KB of disk each")
    parser.add_argument("--dtype", choices=["float16", "float32"], nargs="+", default=["float32", "float16"])
    parser.add_argument("--rounds", metavar="N", type=int, default=3)


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "h5py", "pyarrow"), add_options, figures, continues=True)
