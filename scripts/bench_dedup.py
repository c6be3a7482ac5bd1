#!/usr/bin/env python3
"""Time and recall of finding near-duplicate pairs, against what a user would reach for instead.

Contenders, each in a process of its own: ours; FAISS IVFFlat range search of all rows, tuned (not counted) to the
recall of ours, or to 99.9 % of it; flat range search of 1,000 rows, extrapolated; the method of OpenAI 2022. Data:
bench_data.py, or any store of real images (`--store`). Truth: sampled rows compared exactly with all. Where other
processes run, cpu_ratio says more than ratio, and with OMP_NUM_THREADS=1 most. Writes results/bench_dedup-MACHINE.csv.

    python scripts/bench_dedup.py --rows 100000 --folder /tmp/bench [--only ours,ivf,flat]
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bench_contenders as contenders
import numpy as np
from bench_data import THRESHOLD, make_store

from memaudit.dedup.matrix import Matrix
from memaudit.dedup.recall import RecallSample
from memaudit.similarity import Pairs
from memaudit.store import Store
from memaudit.types import silent

NAMES = ("ours", "ivf", "ivf-99.9", "flat", "openai-2022")
TRUTH_ROWS, TRUTH_SEED = 2000, 12345
CONFIDENCE = 0.95
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--store", type=Path, help="instead of synthetic data: a store made by memaudit embed")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/bench-dedup"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent.parent / "results")
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_here(options.one, options.folder)))
        return
    folder, store, data = prepared(options)
    truth = sampled_truth(store, folder)
    rows: list[Row] = []
    for name in options.only.split(","):
        rows.append(run(name, folder, truth))
        show(rows[-1])
    rows = [{"data": data, **row} for row in with_ratios(rows, len(store))]
    for row in rows:
        show({key: row.get(key) for key in ("contender", "seconds", "ratio", "cpu_ratio")})
    write(options.results, rows)


def prepared(options: argparse.Namespace) -> tuple[Path, Store, str]:
    """The folder of this data, the store in it, and what the table calls it."""
    if options.store is None:
        folder = options.folder / f"{options.rows}"
        return folder, make_store(folder / "store", options.rows), "synthetic"
    store = Store.open(options.store)
    folder = options.folder / f"store-{store.digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "store").exists():
        (folder / "store").symlink_to(options.store.resolve())
    return folder, store, options.store.name


def run_here(name: str, folder: Path) -> Row:
    """One contender in this process; its pairs go to a file, its peak memory is that of the process."""
    store = Store.open(folder / "store")
    found, row = contenders.BY_NAME[name](store, folder)
    row["peak_gb"] = peak_memory()
    if found is not None:
        np.savez(folder / f"pairs-{name}.npz", left=found.left, right=found.right)
    return row


def peak_memory() -> float:
    """GiB of resident memory at most, mapped files included. (getrusage counts the parent's memory as well.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def run(name: str, folder: Path, truth: RecallSample) -> Row:
    command = [sys.executable, __file__, "--one", name, "--folder", str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    row: Row = {"contender": name, **json.loads(output.splitlines()[-1])}
    path = folder / f"pairs-{name}.npz"
    if name != "flat" and path.is_file():
        row |= recall_columns(truth, path)
    return row


def recall_columns(truth: RecallSample, path: Path) -> Row:
    with np.load(path) as file:
        found = Pairs(file["left"], file["right"], np.empty(0, np.float32))
    recall = truth.recall_of(found, CONFIDENCE)
    row: Row = {"pairs": len(found.left)}
    for name, estimate in (("pair", recall.by_pair), ("image", recall.by_image)):
        row |= {f"recall_{name}": estimate.value, f"low_{name}": estimate.low, f"high_{name}": estimate.high}
    return row


def sampled_truth(store: Store, folder: Path) -> RecallSample:
    """Sampled rows and all their true pairs; other rows than those that a run samples for itself. Kept for later."""
    kept = folder / "truth.npz"
    if not kept.is_file():
        matrix = Matrix(folder / "truth.scratch", store, store.comparable_rows())
        sample = RecallSample.drawn(matrix, THRESHOLD, TRUTH_ROWS, TRUTH_SEED, silent)
        (folder / "truth.scratch").unlink()
        np.savez(kept, rows=sample.rows, **sample.truth._asdict())
    with np.load(kept) as file:
        truth = Pairs(file["left"], file["right"], file["similarity"])
        return RecallSample(file["rows"], store.comparable, THRESHOLD, truth)


def with_ratios(rows: list[Row], count: int) -> list[Row]:
    """Add each contender's time ÷ ours, and where it was measured."""
    ours = next((row for row in rows if row["contender"] == "ours"), None)
    place = {"rows": count, "machine": machine(), "when": time.strftime("%Y-%m-%d"), **contenders.versions()}
    return [{**row, **ratios(row, ours), **place} for row in rows]


def ratios(row: Row, ours: Row | None) -> Row:
    if ours is None:
        return {}
    return {"ratio": row["seconds"] / ours["seconds"], "cpu_ratio": row["cpu_seconds"] / ours["cpu_seconds"]}


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model} x{contenders.THREADS}"


def show(row: Row) -> None:
    print("  ".join(f"{k} {v:.5g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)


def write(folder: Path, rows: list[Row]) -> None:
    """Replace what the table says of the same contenders and number of rows, keep the rest."""
    folder.mkdir(exist_ok=True)
    path = folder / f"bench_dedup-{machine().replace(' ', '-')}.csv"
    earlier = list(csv.DictReader(path.open())) if path.is_file() else []
    new = {(row["data"], row["contender"], str(row["rows"])) for row in rows}
    rows = [row for row in earlier if (row["data"], row["contender"], row["rows"]) not in new] + rows
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
