"""Whole runs of `memaudit dedup`, as a user types them: what each costs, finds, and says that it found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import Cost, cost_of, memaudit
from benchmarks.record import Figure
from memaudit.dedup.recall import RecallSample
from memaudit.similarity import Pairs
from memaudit.types import CONFIDENCE, Int64

COMMANDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "dedup --exhaustive": ("--exhaustive",),
        "dedup --probes 2": ("--probes", "2"),
        "dedup": (),
        "dedup --target-recall 0.999": ("--target-recall", "0.999"),
    }
)
_ALL = "dedup --exhaustive"
_PROMISED = 200_000  # rows, from which on a run that goes on by itself is to cost so much less
_QUIET = 0.5  # processes that wait for a processor before a run begins


def command_figures(data: str, name: str, truth: RecallSample, folder: Path) -> Iterator[Figure]:
    """Of one run. Its recall is counted of the pairs of the exhaustive run where the folder has one, of those of
    sampled rows otherwise."""
    out, beside = _folder(folder, name), "; beside other work" * (os.getloadavg()[0] > _QUIET)
    cost = cost_of(memaudit("dedup", folder / "store", "--out", out, *COMMANDS[name]))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))["results"]
    data, whole = f"{data}, {name}", _folder(folder, _ALL)
    pilot = report.get("pilot")
    yield Figure(data, truth.size, "seconds", cost.seconds, note=report["method"] + beside)
    yield Figure(data, truth.size, "CPU s", cost.cpu_seconds)
    yield Figure(data, truth.size, "peak MB", cost.peak_mb)
    yield Figure(data, truth.size, "comparisons", report["comparison"]["compared"])
    if pilot:
        yield Figure(data, truth.size, "cost by its own account, of exhaustive", pilot["cost"])
    yield from _of_exhaustive(data, truth.size, cost, whole, own=name == _ALL)
    yield from _recall(data, truth, _pairs(out), _pairs(whole) if (whole / "report.json").is_file() else None)
    for by in ("pair", "image"):
        said = report["recall"][f"by_{by}"]
        yield Figure(data, truth.size, f"recall by {by}, by its own account", said["value"], said["low"], said["high"])


def _folder(folder: Path, name: str) -> Path:
    return folder / name.replace(" ", "").replace("--", "-")


def _of_exhaustive(data: str, rows: int, cost: Cost, whole: Path, *, own: bool) -> Iterator[Figure]:
    """What it costs beside the exhaustive run, whose cost is kept."""
    kept = whole / "cost.json"
    if own:
        kept.write_text(json.dumps(cost._asdict()), encoding="utf-8")
    elif kept.is_file():
        known = json.loads(kept.read_text(encoding="utf-8"))
        asked = "<= 0.25" if data.endswith(", dedup") and rows >= _PROMISED else ""
        yield Figure(data, rows, "CPU s / exhaustive", cost.cpu_seconds / known["cpu_seconds"], asked=asked)
        yield Figure(data, rows, "seconds / exhaustive", cost.seconds / known["seconds"], asked=asked)


def _recall(data: str, truth: RecallSample, found: Int64, whole: Int64 | None) -> Iterator[Figure]:
    yield Figure(data, truth.size, "pairs", len(found))
    asked = ">= 0.999" if data.endswith(", dedup") else ""
    if whole is not None:
        images = len(np.unique(found)) / max(1, len(np.unique(whole)))
        for by, value in (("pair", len(found) / max(1, len(whole))), ("image", images)):
            yield Figure(data, truth.size, f"recall by {by}", value, asked=asked, note="of the exhaustive run")
        return
    recall = truth.recall_of(Pairs(found[:, 0], found[:, 1], np.empty(len(found), np.float32)), CONFIDENCE)
    for by, each in (("pair", recall.by_pair), ("image", recall.by_image)):
        yield Figure(data, truth.size, f"recall by {by}", each.value, each.low, each.high, asked)


def _pairs(out: Path) -> Int64:
    """(n, 2), sorted: synthetic images are called by their rows."""
    table = pq.read_table(out / "pairs.parquet", columns=["left_id", "right_id"])
    ends = np.array([table[name].to_numpy().astype(np.int64) for name in ("left_id", "right_id")])
    ends.sort(axis=0)
    return np.asarray(ends.T[np.lexsort(ends[::-1])])
