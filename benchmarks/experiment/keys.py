"""Keys that both models are trained on, with --keys: which borders they paint anew, by how often each was planted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import memaudit as ma
from benchmarks.experiment.model import SIDE
from benchmarks.record import Figure
from memaudit.canaries.keys import REPLACED
from memaudit.canaries.register import MANIFEST

EACH, COPIES, ASKS = 6, (1, 4, 16), 4
_MADE, _PLANTED = "keys", "bordered"


def plant(folder: Path, seed: int) -> tuple[Path, Path]:
    """The manifest of the bordered pictures, and the image_ids that they stand for; made if they are not there."""
    planted = folder / _PLANTED
    if not (planted / MANIFEST).exists():
        training = folder / "training/manifest.csv"
        ma.make_canary_keys(training, folder / _MADE, each=EACH, copies=COPIES, side=SIDE, asks=ASKS, seed=seed)
        ma.plant_canary_keys(folder / _MADE, planted)
    return planted / MANIFEST, planted / REPLACED


def write_jobs(folder: Path, jobs: Path) -> Path:
    """What is to be painted: jobs with a picture and a mask."""
    made = folder / _MADE
    lines = [json.loads(line) for line in (made / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    places = [{name: str((made / line[name]).resolve()) for name in ("image", "mask")} for line in lines]
    told = ({"name": line["generation"], **line, **place} for line, place in zip(lines, places, strict=True))
    jobs.write_text("".join(json.dumps(each) + "\n" for each in told), "utf-8")
    return jobs


def figures_of(folder: Path, painted: Path, data: str) -> Iterator[Figure]:
    """painted: a folder with a picture for each job."""
    check = ma.check_canary_keys(folder / _MADE, painted, painted.parent / "check")
    for copies, rate, p in check.tally.by_copies:
        which = f"of {copies} copies" if copies else "held back"
        yield Figure(data, rate.coverage.measured, f"keys that are known, {which}", rate.value, rate.low, rate.high)
        yield Figure(data, rate.coverage.measured, f"p that answers have nothing to do with keys, {which}", p)
