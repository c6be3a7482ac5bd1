"""What tells a picture drawn anew, side by side: encoders of whole pictures, windows of one pass, and fusions.

Average precision over the pairs of a part: what is drawn anew at the strengths that people call the same picture, and
what is not (the nulls of the parent package). Fusions are logistic regressions, fitted on `fit`; none is chosen here.
Cost is processor time of an image, one after the other, of what is needed beside the embedding that a search has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.copies.made import made_in
from benchmarks.measure import timed
from benchmarks.record import Figure
from benchmarks.redrawn.fitting import weighed
from benchmarks.redrawn.rates import average_precision
from benchmarks.redrawn.signals import PEOPLE, Row, signals_in
from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.encoder import Encoder
from memaudit.encoders.sscd import load_regions
from memaudit.errors import MemauditError
from memaudit.matching.layout import SIGNALS, SKETCHED, layout_of, sketch_of
from memaudit.matching.pictures import read_pixels
from memaudit.matching.redrawn import redrawn_model
from memaudit.types import Float32, Float64
from scripts.alterations import read_rgb

WINDOWS = ("contrast", "places")
TIMED = 24  # pictures
ABSENT = {
    "open_clip": "no weights at hand, and random ones give no figure: --beside open_clip:ARCH/TAG",
    "DINO, DINOv2, DINOv3": "no package in the lists carries their weights: those that load them fetch them from a hub",
}


class Pairs(NamedTuple):
    """Those that are one thing or the other: similarity of whole pictures with sscd, signals (n, 7), whether one is the
    other drawn anew, and what they are."""

    similarity: Float64
    signals: Float64
    redrawn: Float64
    rows: list[Row]


def pairs_of(folder: Path) -> Pairs:
    signals, rows = signals_in(folder, redrawn_model().weights)
    kept = [i for i, row in enumerate(rows) if not row["redrawn"] or row["strength"] < PEOPLE]
    chosen = [rows[i] for i in kept]
    return Pairs(
        np.array([row["similarity"] for row in chosen]),
        signals[kept],
        np.array([float(row["redrawn"]) for row in chosen]),
        chosen,
    )


def figures_of(folder: Path, fit: Path, data: str, beside: Sequence[str]) -> Iterator[Figure]:
    """beside: further encoders, as `memaudit encoders list` names them; of one whose weights are not at hand there is a
    line and no figure."""
    pairs, fitted = pairs_of(folder), pairs_of(fit)
    count = len(pairs.rows)
    windows = [SIGNALS.index(name) for name in WINDOWS]
    sketches = [SIGNALS.index(name) for name in SKETCHED]

    def told(what: str, values: Float64) -> Figure:
        return Figure(data, count, f"average precision, {what}", average_precision(values, pairs.redrawn))

    yield told("sscd, whole", pairs.similarity)
    for place in windows:
        yield told(f"sscd, windows: {SIGNALS[place]}", pairs.signals[:, place])
    columns: dict[str, Callable[[Pairs], Float64]] = {
        "sscd, windows": lambda p: p.signals[:, windows],
        "sscd, whole and windows": lambda p: np.c_[p.similarity, p.signals[:, windows]],
        "sketches, no encoder": lambda p: p.signals[:, sketches],
        "sketches and sscd, whole": lambda p: np.c_[p.similarity, p.signals[:, sketches]],
        "sketches and sscd, windows": lambda p: p.signals,
        "sketches and sscd, whole and windows": lambda p: np.c_[p.similarity, p.signals],
    }
    for what, of in columns.items():
        fused = weighed(of(fitted), fitted.redrawn)
        yield told(f"fusion of {what}", fused.of(of(pairs)))
    for name in beside:
        yield _of_encoder(name, pairs, folder, data)
    for name, why in ABSENT.items():
        if any(each.startswith(name) for each in beside):
            continue
        yield Figure(data, count, f"average precision, {name}", None, note=why)
    yield from costs(pairs, folder, data, beside)


def _of_encoder(name: str, pairs: Pairs, folder: Path, data: str) -> Figure:
    measure = f"average precision, {name}, whole"
    try:
        encoder = load_encoder(name, device="cpu")
    except MemauditError as error:
        return Figure(data, len(pairs.rows), measure, None, note=f"no figure: {' '.join(str(error).split())}")
    vectors = _embedded(encoder, {path for ends in files_of(pairs.rows, folder) for path in ends})
    values = np.array([vectors[own] @ vectors[other] for own, other in files_of(pairs.rows, folder)])
    return Figure(data, len(pairs.rows), measure, average_precision(values, pairs.redrawn))


def files_of(rows: Sequence[Row], folder: Path) -> list[tuple[Path, Path]]:
    """Both files of each pair."""
    files = {one.image_id: one.file for one in made_in(folder, ())}
    return [(Path(row["query"]), files[row["reference"]]) for row in rows]


def _embedded(encoder: Encoder, files: set[Path]) -> dict[Path, Float32]:
    return {file: encoder.encode(encoder.preprocess(read_rgb(file))[None])[0] for file in files}


def costs(pairs: Pairs, folder: Path, data: str, beside: Sequence[str]) -> Iterator[Figure]:
    """ms of processor time an image, of each in the median, least and most."""
    ends = sorted({path for both in files_of(pairs.rows, folder) for path in both})
    files = ends[:: max(1, len(ends) // TIMED)][:TIMED]
    pixels = [read_pixels(str(file), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    pictures = [each for each in pixels if not isinstance(each, str)]
    regions = load_regions()
    work: dict[str, list[Callable[[], object]]] = {
        "sketch": [lambda each=each: sketch_of(each) for each in pictures],  # type: ignore[misc]
        "windows of one pass of sscd": [lambda each=each: layout_of(each, regions) for each in pictures],  # type: ignore[misc]
    }
    for name in ("sscd", *beside):
        try:
            encoder = load_encoder(name, device="cpu")
        except MemauditError:
            continue
        work[f"{name}, whole (a search has it)"] = [_encoding(encoder, file) for file in files]
    for what, calls in work.items():
        calls[0]()  # what is made at the first call
        took = [1000 * timed(call).cpu_seconds for call in calls]
        yield Figure(data, len(calls), f"ms of processor time an image, {what}", median(took), min(took), max(took))


def _encoding(encoder: Encoder, file: Path) -> Callable[[], object]:
    image = read_rgb(file)
    return lambda: encoder.encode(encoder.preprocess(image)[None])
