"""Time, memory and reading of `memaudit dedup`, pixels and all, by the number of files.

Files are real pictures, at most 512 px: those of scripts/fetch_pictures (clip-art, icons, photographs, wallpapers) and
scripts/fetch_samples, in an order that resembles a random one, each with `--copies` altered copies, drawn for each from
the 21 alterations of the audit's benchmark. So families have one size at every number of files. One store grows: no
file is embedded twice. Each size is one command in a process of its own; the exponent is the slope of its processor
time over the number of files, both as logarithms, and that of its wall time beside it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.alterations import SETTINGS, Beside, copies_of
from benchmarks.measure import BenchmarkError, Cost, cost_of, embed_command, memaudit
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import is_opaque, pictures_of, sample_emoji, sample_photographs, sized
from scripts.alterations import read_rgb
from scripts.cache import cache_folder

SIZES = (10_000, 20_000, 40_000, 100_000)
LEAST_SIDE = 48
ASKED = "<= 1.15"


class Deduped(NamedTuple):
    """What a run of so many files took, and what it says of the pixels."""

    files: int
    cost: Cost
    pixels: dict[str, Any]


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    files, runs = Files(scratch / "files", options.copies), list[Deduped]()
    for size in sorted(options.sizes):
        write_manifest(scratch / "files.csv", files.first(size))
        embedded = cost_of(embed_command(scratch / "files.csv", scratch / "store", options.encoder))
        yield Figure("files", size, "embed those that are new, CPU s", embedded.cpu_seconds)
        runs.append(deduped(size, scratch, options.dedup))
        yield from figures_of(runs[-1])
    for measure in ("cpu_seconds", "seconds") if len(runs) > 1 else ():
        yield Figure("files", runs[-1].files, f"exponent, {measure}", exponent(runs, measure), asked=ASKED)


def deduped(size: int, scratch: Path, more: Sequence[str]) -> Deduped:
    out = scratch / f"dedup-{size}"
    cost = cost_of(memaudit("dedup", scratch / "store", "--out", out, *more))
    return Deduped(size, cost, json.loads((out / "report.json").read_text(encoding="utf-8"))["results"]["pixels"] or {})


def figures_of(run: Deduped) -> Iterator[Figure]:
    yield Figure("files", run.files, "dedup, seconds", run.cost.seconds)
    yield Figure("files", run.files, "dedup, CPU s", run.cost.cpu_seconds)
    yield Figure("files", run.files, "dedup, peak MB", run.cost.peak_mb)
    for name in ("candidates", "checked", "left_out", "left", "confirmed", "images", "reads"):
        yield Figure("files", run.files, f"pixels: {name}", run.pixels.get(name))
    if run.pixels.get("images"):
        share = run.pixels["checked"] / max(1, run.pixels["candidates"])
        yield Figure("files", run.files, "pairs read / candidates", share)
        yield Figure(
            "files", run.files, "pairs read / all pairs", run.pixels["checked"] / (run.files * (run.files - 1) / 2)
        )
        yield Figure("files", run.files, "readings / files of pairs", run.pixels["reads"] / run.pixels["images"])


def exponent(runs: Sequence[Deduped], measure: str) -> float:
    """The slope through all sizes, of which there are at least two."""
    size, spent = np.log([(run.files, getattr(run.cost, measure)) for run in runs]).T
    return float(np.polyfit(size, spent, 1)[0])


class Files:
    """Pictures and their altered copies, written when they are first asked for, in one order for all sizes."""

    def __init__(self, folder: Path, copies: int) -> None:
        self._folder, self._copies = folder, copies
        self._sources = sources()
        self._beside = Beside(sorted(sample_emoji().rglob("*.png")), tuple(sample_photographs()))

    def first(self, count: int) -> list[Path]:
        """Raises BenchmarkError where the pictures are too few."""
        found: list[Path] = []
        for number, (name, path) in enumerate(self._sources):
            found += self._family(self._folder / f"{number:06d}", name, path)
            if len(found) >= count:
                return found[:count]
        raise BenchmarkError(
            f"{len(self._sources):,} pictures and {self._copies} copies of each make {len(found):,} files, "
            f"{count:,} are asked for: run scripts/fetch_pictures, or raise --copies"
        )

    def _family(self, folder: Path, name: str, path: Path) -> list[Path]:
        """A picture and its copies; none of what is no source. Killed in between, it is written anew."""
        done = folder / "done"
        if not done.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            if is_opaque(path, LEAST_SIDE) is not None:
                self._write(folder, name, path)
            done.touch()
        return sorted(folder.glob("*.jpg"))

    def _write(self, folder: Path, name: str, path: Path) -> None:
        source = folder / "0.jpg"
        sized(read_rgb(path)).save(source, quality=92)
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
        chosen = np.random.default_rng(seed).choice(list(SETTINGS), self._copies, replace=False).tolist()
        settings = {setting: SETTINGS[setting] for setting in chosen}
        for number, (setting, altered) in enumerate(copies_of(source, name, self._beside, settings), start=1):
            altered.save(folder / f"{number}.jpg", quality=SETTINGS[setting].quality)


def sources() -> list[tuple[str, Path]]:
    """Names and paths of the real pictures, mixed."""
    folders = [folder for folder in sorted((cache_folder() / "pictures").glob("*")) if folder.is_dir()]
    folders += [sample_photographs()[0].parents[1], sample_emoji()]
    found = (picture for folder in folders for picture in pictures_of(folder))
    return sorted(found, key=lambda item: hashlib.sha256(item[0].encode()).digest())


def write_manifest(path: Path, files: Sequence[Path]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path"])
        writer.writerows([f"{each.parent.name}/{each.stem}", each] for each in files)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sizes", metavar="N", type=int, nargs="+", default=SIZES, help="numbers of files")
    add("--copies", metavar="N", type=int, default=6, help="altered copies of each picture (default: 6)")
    add("--encoder", metavar="NAME", default="sscd")
    add("--dedup", metavar="OPTION", nargs=argparse.REMAINDER, default=(), help="the rest: options of memaudit dedup")


BENCHMARK = Benchmark(
    __doc__ or "",
    ("faiss-cpu", "numpy", "opencv-python-headless", "onnxruntime"),
    add_options,
    figures,
    settings=lambda options: {"copies of each": str(options.copies), "encoder": options.encoder},
    continues=True,
)
