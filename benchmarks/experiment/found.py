"""What a check of one model of the experiment came to, by how often a picture stands in the training set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from benchmarks.experiment.pictures import known_images
from benchmarks.record import Figure, rate

SIMPLE = 0.5  # share of the five commonest colours from which a picture is simple


class Prompted(NamedTuple):
    """copies: how often the picture of the prompt stands there; gives: a copy came back, of whatever
    training image."""

    kind: str
    copies: int
    gives: bool
    redrawn: bool


def figures_of(folder: Path, model: str, data: str) -> Iterator[Figure]:
    """folder: of the seed; data: what the lines are named."""
    out = folder / model
    prompted = prompts_of(folder, model)
    for measure, chosen in _groups(prompted):
        yield rate_figure(data, f"prompts that give a training image back{measure}", [one.gives for one in chosen])
    yield rate_figure(data, "prompts that give one drawn anew, and no copy", [one.redrawn for one in prompted])
    told = json.loads((out / "verdict.json").read_text(encoding="utf-8"))
    yield Figure(data, len(prompted), "gate", None, note=told["verdict"])
    report = json.loads((out / "audit/report.json").read_text(encoding="utf-8"))
    yield from _chance(report["results"], data)
    yield from _quality(report["results"], data)


def prompts_of(folder: Path, model: str) -> list[Prompted]:
    """What became of each prompt, in their order."""
    out = folder / model
    known = known_images(folder)
    found = pq.read_table(out / "audit/matches.parquet", columns=["query_id", "kind", "verified"]).to_pylist()
    kinds: dict[str, set[str]] = {}
    for row in found:
        if row["verified"] or row["kind"] == "re-drawn":
            kinds.setdefault(Path(row["query_id"]).stem, set()).add(row["kind"])  # named by its file
    lines = (out / "pairing.jsonl").read_text(encoding="utf-8").splitlines()
    return [_one(json.loads(line), known, kinds) for line in lines]


def _one(told: Mapping[str, str], known: Mapping[str, Mapping[str, str]], kinds: Mapping[str, set[str]]) -> Prompted:
    row, found = known[told["image_id"]], kinds.get(told["generation"], set())
    copied = bool(found - {"re-drawn"})
    return Prompted(row["kind"], int(row["copies"]), copied, not copied and bool(found))


def _groups(prompted: list[Prompted]) -> Iterator[tuple[str, list[Prompted]]]:
    yield "", prompted
    for kind in sorted({one.kind for one in prompted}):
        yield f", {kind}", [one for one in prompted if one.kind == kind]
    for copies in sorted({one.copies for one in prompted}):
        for kind in ("", *sorted({one.kind for one in prompted})):
            chosen = [one for one in prompted if one.copies == copies and kind in ("", one.kind)]
            yield f", of {copies} copies{f', {kind}' if kind else ''}", chosen


def rate_figure(data: str, measure: str, hits: list[bool]) -> Figure:
    found = rate(np.array(hits, np.int64), np.ones(len(hits), np.int64)) if hits else None
    return Figure(data, len(hits), measure, *(found or (None, None, None)))


def _chance(results: Mapping[str, object], data: str) -> Iterator[Figure]:
    """Look-alikes: held-out pictures, which no model drew, that an audit calls copies as well."""
    control = results.get("control")
    if isinstance(control, dict):
        called, rest = control["excluded_controls"], control["usable"]
        yield rate_figure(data, "held-out pictures that are called copies", [True] * called + [False] * rest)


def _quality(results: Mapping[str, object], data: str) -> Iterator[Figure]:
    metrics = results.get("metrics")
    if isinstance(metrics, dict):
        for name, value in metrics.items():
            if isinstance(value, int | float):
                yield Figure(data, 0, f"quality: {name}", float(value))
