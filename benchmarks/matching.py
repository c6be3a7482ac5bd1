"""Processor time of a whole `memaudit dedup` and `memaudit audit` with pixels, with and without kept features.

Pictures are the samples', in an order that their names give: `--images` of them for dedup; for the audit 385 as the
training set, `--control` photographs held out, and `--generations`, of which one in seven is a training image through a
JPEG of quality 40, and the others are pictures that are in neither. Embedding the training set is not in it, embedding
generations and held-out images is; planted copies, which tell how much an audit detects, are told apart. Processor time
is of all threads, and grows by up to a half where other processes keep the cores busy.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from benchmarks.audit.commands import ENCODER, embedded, embedding, write_manifest
from benchmarks.measure import cost_of, memaudit
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import sample_emoji, sample_photographs

TRAINING = 385
_COPIED = 7
_QUALITY = 40
_KEPT, _PLANTED = ", features kept", " and planted copies"


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    names = sorted((*sample_photographs(), *sample_emoji().rglob("*.png")), key=_at_random)
    yield from _of_dedup(named(names[: options.images]), work)
    yield from _of_audit(names, options, work)


def _at_random(path: Path) -> bytes:
    return hashlib.sha256("/".join(path.parts[-3:]).encode()).digest()


def named(paths: list[Path]) -> dict[str, Path]:
    return {f"{number:05d}{path.suffix}": path for number, path in enumerate(paths)}


def _of_dedup(files: Mapping[str, Path], work: Path) -> Iterator[Figure]:
    data = f"dedup of {len(files):,} images"
    store, counts = embedded(files, work / "set", ENCODER), dict[str, dict[str, float]]()
    for way in ("", _KEPT):
        if way:
            yield from _keeping(files, store, data)
        cost = cost_of(memaudit("dedup", store, "--out", work / f"dedup{len(way)}"))
        yield Figure(data + way, len(files), "CPU s", cost.cpu_seconds, asked="" if way else "<= 40")
        counts[way] = _results(work / f"dedup{len(way)}")["pixels"]
    yield Figure(data, len(files), "same verdicts with features kept", float(counts[""] == counts[_KEPT]))


def _keeping(files: Mapping[str, Path], store: Path, data: str) -> Iterator[Figure]:
    """One more reading of each file, and what it leaves."""
    cost = embedding(files, store, ENCODER, "--features")
    yield Figure(data, len(files), "keeping features, CPU s", cost.cpu_seconds)
    size = sum(path.stat().st_size for path in (store / "features").iterdir())
    yield Figure(data, len(files), "kept of an image, kB", size / len(files) / 1000)


def _of_audit(names: list[Path], options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    training, rest = names[:TRAINING], names[TRAINING:]
    control = [path for path in rest if path.suffix == ".jpg"][: options.control]
    new = [path for path in rest if path not in set(control)]
    copied = -(-options.generations // _COPIED)
    made = [_through_jpeg(path, work / "made" / f"{number}.jpg") for number, path in enumerate(training[:copied])]
    generations = [*made, *new][: options.generations]
    data = f"audit of {len(generations):,} generations and {len(control):,} held-out images"
    store = embedded(named(training), work / "training", ENCODER)
    lists = [write_manifest(work / f"{name}.csv", named(paths)) for name, paths in (("g", generations), ("c", control))]
    for way, asked, planted in (
        ("", "<= 120", ["--planted", "0"]),
        (_PLANTED, "", []),
        (_KEPT, "", ["--planted", "0"]),
    ):
        if way == _KEPT:
            embedding(named(training), store, ENCODER, "--features")
        out = work / f"audit{len(way)}"
        cost = cost_of(memaudit("audit", lists[0], "--against", store, "--control", lists[1], "--out", out, *planted))
        yield Figure(data + way, len(generations) + len(control), "CPU s", cost.cpu_seconds, asked=asked)
        found = _results(out)["searched"]["count"]
        yield Figure(data + way, len(generations), "generations with a match", found, note=f"{copied} copied")


def _through_jpeg(path: Path, out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as image:
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image.convert("RGBA"), mask=image.convert("RGBA").getchannel("A"))
    flat.save(out, quality=_QUALITY)
    return out


def _results(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads((folder / "report.json").read_text(encoding="utf-8"))["results"]
    return found


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", metavar="N", type=int, default=927, help="of the set that dedup is run on")
    add("--generations", metavar="N", type=int, default=150)
    add("--control", metavar="N", type=int, default=120, help="held-out photographs of the audit")


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures)
