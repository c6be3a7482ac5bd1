"""Canaries that both models are trained on, dedup or not: which of them come back, by how often each was planted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import memaudit as ma
from benchmarks.record import Figure

EACH, COPIES = 12, (1, 4, 16)
_MADE, _PLANTED = "canaries", "planted"


def plant(folder: Path, seed: int) -> Path:
    """The manifest of their copies, made if it is not there."""
    manifest = folder / _PLANTED / "manifest.csv"
    if not manifest.exists():
        if not (folder / _MADE).exists():
            ma.make_canaries(folder / _MADE, each=EACH, copies=COPIES, seed=seed)
        ma.plant_canaries(folder / _MADE, folder / _PLANTED)
    return manifest


def write_jobs(folder: Path, jobs: Path) -> Path:
    """What is to be drawn, as a command of `memaudit run` is told it."""
    lines = (json.loads(line) for line in (folder / _MADE / "prompts.jsonl").read_text(encoding="utf-8").splitlines())
    jobs.write_text("".join(json.dumps({"name": line["generation"], **line}) + "\n" for line in lines), "utf-8")
    return jobs


def figures_of(folder: Path, drawn: Path, data: str) -> Iterator[Figure]:
    """drawn: a folder with a picture for each job."""
    made = folder / _MADE
    check = ma.check_canaries(made, drawn, drawn.parent / "check", pairing=made / "prompts.jsonl")
    for copies, rate in check.tally.by_copies:
        measure = f"canaries that come back, of {copies} copies" if copies else "canaries that come back, held back"
        yield Figure(data, rate.coverage.measured, measure, rate.value, rate.low, rate.high)
    yield Figure(data, check.planted.coverage.measured, "p that planted ones come back no more often", check.p)
