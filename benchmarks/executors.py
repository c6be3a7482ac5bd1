"""One dedup run by one process, by several, by a stand-in for Slurm and on Ray: what differs, time and memory.

Rows are synthetic, with topics and families, as `synthetic` has them; beside them real pictures, each with altered
copies whose embeddings are drawn so that all of their pairs lie below the threshold: pixels decide them. Files that
differ from those of the single process are counted: pairs, groups, decisions, keep.txt and drop.txt. Processor time is
that of the command and of all processes that it waited for, which those of Ray are not; the peak is that of the
largest process.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

import memaudit as ma
from benchmarks.measure import BenchmarkError, cost_of, memaudit
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.size import Files
from benchmarks.synthetic import DIM, make_store
from memaudit.store import Row, Store, writing_store
from memaudit.types import Float32, Status

DECIDED = ("pairs.parquet", "groups.parquet", "decisions.parquet", "keep.txt", "drop.txt")
FLOOR, BELOW = 0.55, 0.6
ALONE = "one process"
WAYS = {
    ALONE: ((), ""),
    "local:1": (("--executor", "local:1"), ""),
    "local:2": (("--executor", "local:2"), ""),
    "local:3": (("--executor", "local:3"), ""),
    "local:2, tasks shuffled": (("--executor", "local:2"), "shuffled"),
    "local:2, each part by two at once": (("--executor", "local:2"), "doubled"),
    "local:3, SIGKILL at random": (("--executor", "local:3"), "killed"),
    "slurm:2, a stand-in that loses a node": (("--executor", "slurm:2"), "slurm"),
    "ray:2": (("--executor", "ray:2"), ""),
}


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    store = both(options, scratch)
    known = (scratch / "run-0" / "report.json").is_file()
    for way in dict.fromkeys([*(() if known else (ALONE,)), *(options.ways or WAYS)]):
        if way.startswith("ray") and find_spec("ray") is None:
            yield Figure(way, len(store), "seconds", None, note='not installed: pip install ".[ray]"')
            continue
        yield from of_way(way, store, scratch, options.clusters)


def of_way(way: str, store: Store, scratch: Path, clusters: int) -> Iterator[Figure]:
    more, how = WAYS[way]
    out = scratch / f"run-{list(WAYS).index(way)}"
    given: list[str | Path] = ["dedup", store.folder, "--out", out, "--match-from", str(FLOOR), *more]
    given += ["--clusters", str(clusters), "--clusterings", "2"]
    command = memaudit(*given)
    if how:
        command = [sys.executable, "-m", "benchmarks.unruly", how, *given, "--quiet"]
    try:
        cost = cost_of(command)
    except BenchmarkError as error:
        yield Figure(way, len(store), "seconds", None, note=str(error)[:200])
        return
    yield Figure(way, len(store), "seconds", cost.seconds)
    yield Figure(way, len(store), "CPU s", cost.cpu_seconds, note="without Ray's processes" if "ray" in way else "")
    yield Figure(way, len(store), "peak MB of a process", cost.peak_mb)
    differ = sum(digest(out / name) != digest(scratch / "run-0" / name) for name in DECIDED)
    yield Figure(way, len(store), "files that differ from one process's", differ, asked="== 0")
    if way == ALONE:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        yield Figure(way, len(store), "pairs compared on pixels", report["results"]["pixels"]["checked"])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def both(options: argparse.Namespace, scratch: Path) -> Store:
    rows = make_store(scratch / "rows", options.rows)
    pictures = Files(scratch / "files", options.copies).first(options.pictures)
    return ma.open_store(ma.merge_stores([rows, picture_store(pictures, rows, scratch / "pictures")], scratch / "both"))


def picture_store(files: list[Path], like: Store, folder: Path) -> Store:
    """Of these files, those in one folder a family: each of its pairs has about the similarity BELOW."""
    if (folder / "store.json").is_file():
        return Store.open(folder)
    rows = [_row(file, vector) for file, vector in zip(files, _vectors(files), strict=True)]
    with writing_store(folder, like.encoder, 4096, ["pictures"]) as writer:
        for low in range(0, len(rows), 4096):
            writer.write_shard(rows[low : low + 4096])
        writer.finish()
    return Store.open(folder)


def _vectors(files: list[Path]) -> Float32:
    """sqrt(BELOW) along a direction of the family, the rest along one of its own."""
    drawn = np.random.default_rng(0)
    families = {name: drawn.standard_normal(DIM) for name in sorted({file.parent.name for file in files})}
    shared = np.stack([families[file.parent.name] / np.linalg.norm(families[file.parent.name]) for file in files])
    own = drawn.standard_normal(shared.shape)
    own -= np.einsum("ij,ij->i", own, shared)[:, None] * shared
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    return np.asarray(np.sqrt(BELOW) * shared + np.sqrt(1 - BELOW) * own, dtype=np.float32)


def _row(file: Path, vector: Float32) -> Row:
    with Image.open(file) as image:
        width, height = image.size
    return Row(
        image_id=f"{file.parent.name}/{file.name}",
        uri=str(file),
        caption="",
        sha256=digest(file),
        width=width,
        height=height,
        status=Status.OK,
        error="",
        embedding=vector,
        metadata="",
        simplicity=0.5,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=24_000)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--clusters", type=int, default=16)
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), help="default: all")
    parser.add_argument("--note", default="", help="what else ran on the machine")


def settings(options: argparse.Namespace) -> dict[str, str]:
    return {"rows": str(options.rows), "pictures": str(options.pictures), "beside": options.note}


def table_of(figures: Sequence[Figure]) -> list[str]:
    """A line for each way."""
    measures = list(dict.fromkeys(figure.measure for figure in figures if figure.measure != "pairs compared on pixels"))
    found = {(figure.data, figure.measure): figure for figure in figures}
    lines = [f"| way | {' | '.join(measures)} |", "|---|" + "--:|" * len(measures)]
    for way in dict.fromkeys(figure.data for figure in figures):
        cells = [found.get((way, measure)) for measure in measures]
        lines.append(f"| {way} | {' | '.join(map(_cell, cells))} |")
    return lines


def _cell(figure: Figure | None) -> str:
    return "" if figure is None or figure.median is None else f"{figure.median:,.4g}"


BENCHMARK = Benchmark(
    about=__doc__,
    packages=("faiss-cpu", "numpy", "opencv-python-headless", "ray"),
    add_options=add_options,
    figures=figures,
    settings=settings,
    table=table_of,
    continues=True,
)
