"""The folder of a filter: filter.json, which is all that it knows; labels.csv; next.csv, whom to label next."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from memaudit.errors import InputError, UsageError
from memaudit.files import digest_of, open_regular, read_json, reason_of, sealed, unsealed, write_json, write_text
from memaudit.filters.estimate import AtCut, Estimate
from memaudit.filters.probe import Probe
from memaudit.images.text_rows import text_rows
from memaudit.types import EncoderSpec, Float64

SCHEMA = "memaudit-filter/1"
FILTER, LABELS, NEXT = "filter.json", "labels.csv", "next.csv"
_COLUMNS = ("image_id", "label", "why", "score", "stratum", "inclusion", "uri", "sha256")


@dataclass(frozen=True)
class Trained:
    """What a probe learned from: labelled images, and random ones that were taken for negatives; ridge and mean log
    loss out of fold (None: too few labels) as of `fit_probe`."""

    positive: int
    negative: int
    presumed: int
    ridge: float
    loss: float | None


@dataclass(frozen=True)
class Filter:
    """A probe and what is known of it.

    planes, intercept, slope, offset: the probe's; rounds: of training so far; text: the prompt, if there was one.
    stores: digests of the stores that the strata are of; low, rows: the strata, the lowest of which has no low, and how
    many images without a label each had when the sample was drawn; sample: stratum of each image that was drawn;
    settled: of each that had a label by then. recall, precision: what a cut must find, and
    what share of it must be of the class; labels: the digest of those that were read;
    looks: how often a sample was looked at; looked: the digest of what was seen last; cut: the stratum below which the
    cut lies.
    """

    name: str
    encoders: tuple[EncoderSpec, ...]
    planes: tuple[tuple[float, ...], ...]
    intercept: float
    slope: float
    offset: float
    rounds: int
    text: str
    trained: Trained
    stores: tuple[str, ...]
    low: tuple[float, ...]
    rows: tuple[int, ...]
    sample: dict[str, int]
    settled: dict[str, int]
    recall: float
    precision: float = 0.0
    labels: str = ""
    looks: int = 0
    looked: str = ""
    estimate: Estimate | None = None
    cut: int | None = None

    @property
    def probe(self) -> Probe:
        planes = tuple(np.array(plane, np.float32) for plane in self.planes)
        return Probe(planes, self.intercept, self.slope, self.offset)

    @property
    def borders(self) -> Float64:
        """The logit from which on a row is in a stratum, of each."""
        return np.array([*self.low, -np.inf])

    @property
    def at_cut(self) -> AtCut | None:
        """What the cut finds, by the sample."""
        if self.estimate is None or self.cut is None:
            return None
        return next(each for each in self.estimate.cuts if each.stratum == self.cut)

    @property
    def cut_logit(self) -> float | None:
        return None if self.cut is None else self.low[self.cut]

    @property
    def cut_probability(self) -> float | None:
        at = self.cut_logit
        return None if at is None else float(self.probe.probabilities(np.array([at]))[0])

    @property
    def digest(self) -> str:
        return digest_of(msgspec.to_builtins(self))


class NextImage(NamedTuple):
    """An image to label. why: uncertain, missed or sample; of a sample its stratum, and the chance with which each
    image of it was drawn."""

    image_id: str
    why: str
    score: float
    stratum: int | None
    inclusion: float | None
    uri: str
    sha256: str


def is_filter(folder: Path) -> bool:
    return (folder / FILTER).is_file()


def read_filter(folder: Path) -> Filter:
    """Raises InputError where there is no filter, InconclusiveError for one that was changed."""
    path = folder / FILTER
    if not path.is_file():
        raise InputError(f"{folder} holds no filter: expected a folder that memaudit filter train made")
    content = unsealed(path, read_json(path))
    if content.pop("schema", None) != SCHEMA:
        raise InputError(f"{path} is no filter that this version reads: expected schema {SCHEMA}")
    try:
        found = msgspec.convert(content, Filter)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is no valid filter: {error}") from None
    _require_sound(path, found)
    return found


def _require_sound(path: Path, found: Filter) -> None:
    """What fits the types may still be no filter."""
    planes = [len(plane) for plane in found.planes] == [encoder.dim for encoder in found.encoders]
    strata = len(found.rows) == len(found.low) + 1 and list(found.low) == sorted(found.low, reverse=True)
    cuts = found.cut is None or (found.estimate is not None and 0 <= found.cut < len(found.low))
    sample = all(0 <= each < len(found.rows) for each in (*found.sample.values(), *found.settled.values()))
    if not (planes and found.planes and strata and cuts and sample and found.slope > 0):
        raise InputError(f"{path} is no valid filter: its planes, strata, sample and cut do not fit together")


def write_filter(folder: Path, found: Filter, images: list[NextImage] | None) -> None:
    """Write whom to label next (None: as it is), then the filter."""
    if images is not None:
        _write_next(folder / NEXT, images)
    write_json(folder / FILTER, sealed({"schema": SCHEMA, **msgspec.to_builtins(found)}))


def _write_next(path: Path, images: list[NextImage]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in images:
        stratum = "" if each.stratum is None else each.stratum + 1
        inclusion = "" if each.inclusion is None else f"{each.inclusion:.6g}"
        writer.writerow((each.image_id, "", each.why, f"{each.score:.4f}", stratum, inclusion, each.uri, each.sha256))
    write_text(path, text.getvalue())


def read_next(folder: Path) -> list[NextImage]:
    """Whom to label next. Raises InputError where that cannot be read."""
    read_filter(folder)
    path = folder / NEXT
    try:
        with open_regular(path) as handle:
            return [
                _next_image(f"{path}, line {number}", row) for number, row in text_rows("images", str(path), handle)
            ]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None


def _next_image(place: str, row: object) -> NextImage:
    cells = {name: str(value or "") for name, value in row.items()} if isinstance(row, dict) else {}
    if not set(_COLUMNS) - {"label"} <= set(cells):
        raise InputError(f"{place}: expected the columns {', '.join(_COLUMNS)}, as memaudit filter train writes them")
    try:
        score = float(cells["score"])
        stratum = int(cells["stratum"]) - 1 if cells["stratum"] else None
        inclusion = float(cells["inclusion"]) if cells["inclusion"] else None
    except ValueError:
        raise InputError(f"{place}: score, stratum or inclusion is no number") from None
    return NextImage(cells["image_id"], cells["why"], score, stratum, inclusion, cells["uri"], cells["sha256"])


def require_name(name: str) -> None:
    if not name.strip() or len(name) > 80:
        raise UsageError("the name of a class is its folder's: expected 1 to 80 characters")
