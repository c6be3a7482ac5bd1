"""What an audit, or another tool, found of the copies and among the clean images; and what that comes to."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageOps

from benchmarks.alterations import SETTINGS
from benchmarks.audit.pictures import Pictures, copy_id
from benchmarks.measure import BenchmarkError
from benchmarks.peers import Pair
from benchmarks.record import Figure, rate
from memaudit.types import Int64, Status

RECALL, KINDS = "recall", "kinds of found copies"
ASKED, ASKED_OF_EACH = ">= 0.97", ">= 0.90"
SHARED = Path(__file__).with_name("shared.csv")
PART_CELL = 210  # pixels of the contact sheet


class Finding(NamedTuple):
    """A row of matches.parquet, or what a peer paired: that has no view and no kind."""

    query: str
    reference: str
    similarity: float
    rank: int
    view: str
    kind: str

    def __str__(self) -> str:
        query, reference = ("/".join(name.split("/")[-2:]) for name in (self.query, self.reference))
        return f"{query} = {reference} ({', '.join(filter(None, (self.kind, f'{self.similarity:.2f}', self.view)))})"


def read_findings(out: Path) -> list[Finding]:
    names = {
        **dict(zip(Finding._fields, Finding._fields, strict=True)),
        "query": "query_id",
        "reference": "reference_id",
    }
    table = pq.read_table(out / "matches.parquet", columns=list(names.values()))
    return [Finding(*row) for row in zip(*(table[name].to_pylist() for name in names.values()), strict=True)]


def without_content(out: Path) -> int:
    """Generations that were not compared: a part cut from a plain sky is blank, and cannot be found."""
    status = pq.read_table(out / "scores.parquet", columns=["status"])["status"].to_pylist()
    return sum(value != Status.OK for value in status)


def ranked(pairs: Sequence[Pair]) -> list[Finding]:
    """As findings; equally similar references of a query have the same rank."""
    of_query: dict[str, list[float]] = {}
    for pair in pairs:
        of_query.setdefault(pair.query, []).append(pair.similarity)
    ranks = (1 + sum(other > pair.similarity for other in of_query[pair.query]) for pair in pairs)
    return [Finding(*pair, rank, "", "") for pair, rank in zip(pairs, ranks, strict=True)]


def kinds_of(pictures: Pictures) -> dict[str, list[str]]:
    """Sources, all and by kind: three bands of colour hold little to align."""
    clips = [name for name in pictures.sources if name in pictures.clip_art]
    others = [name for name in pictures.sources if name not in pictures.clip_art]
    kinds = {"": pictures.sources, " of photographs and paintings": others, " of clip-art": clips}
    return {kind: names for kind, names in kinds.items() if names}


def shared() -> frozenset[tuple[str, str]]:
    """Clean images and references that show one drawing, by their names; looked at."""
    with SHARED.open(encoding="utf-8", newline="") as handle:
        return frozenset((row["clean"], row["reference"]) for row in csv.DictReader(handle))


def is_true(finding: Finding) -> bool:
    return finding.query.rpartition("/")[0] == finding.reference


def copies_figures(
    pictures: Pictures, findings: Sequence[Finding], data: str, promises: bool = False
) -> Iterator[Figure]:
    """Recall over all copies and by setting; matches with another reference; clean images with a match."""

    def figure(measure: str, found: Iterable[int], of: int, asked: str = "", note: str = "") -> Figure:
        values = np.array(list(found), np.int64)
        return rated(data, measure, values, of, asked if promises else "", note)

    true = {f.query: f for f in findings if is_true(f)}
    counts = {s: Counter(setting for setting in SETTINGS if copy_id(s, setting) in true) for s in pictures.sources}
    for kind, of_kind in kinds_of(pictures).items():
        asked = "" if kind else ASKED
        yield figure(f"{RECALL}{kind}", (counts[name].total() for name in of_kind), len(SETTINGS), asked)
    for setting in SETTINGS:
        yield figure(f"recall, {setting}", (count[setting] for count in counts.values()), 1, ASKED_OF_EACH)
    yield Figure(data, len(true), "found copies whose source is named first", sum(f.rank == 1 for f in true.values()))
    kinds = Counter(f.kind for f in true.values())
    yield Figure(data, len(true), KINDS, len(kinds), note=said(kinds))
    clean = set(pictures.clean)
    wrong = [f for f in findings if f.query not in clean and not is_true(f)]
    note = "; ".join(map(str, wrong))
    yield Figure(data, len(findings), "matches of copies with another reference", len(wrong), note=note)
    false = [f for f in findings if f.query in clean]
    looked_at = shared()
    for measure, asked, found in (
        ("clean images with a match", "", false),
        ("false findings", "0", [f for f in false if (f.query, f.reference) not in looked_at]),
    ):
        flagged = {f.query for f in found}
        note = "; ".join(map(str, found))
        yield figure(measure, (c in flagged for c in pictures.clean), 1, asked, note)


def rated(data: str, measure: str, found: Int64, of: int, asked: str = "", note: str = "") -> Figure:
    """A rate with its interval; one value for each independent draw, each of at most `of`."""
    value = rate(found, np.full(len(found), of))
    if value is None:
        raise BenchmarkError(f"{data}: nothing to measure {measure} by")
    return Figure(data, len(found), measure, *value, asked, note)


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def write_sheets(pictures: Pictures, findings: Sequence[Finding], generations: Mapping[str, Path], out: Path) -> None:
    """Contact sheets beside `out`: of clean images with a match, and of copies that are named after another source."""
    paths, clean = {**pictures.files, **generations}, set(pictures.clean)
    false, wrong = (
        [f for f in findings if (f.query in clean) == of_clean and not is_true(f)] for of_clean in (True, False)
    )
    write_sheet(false, paths, out.with_name(f"{out.name}-clean.png"))
    write_sheet(wrong, paths, out.with_name(f"{out.name}-wrong.png"))


def write_sheet(findings: Sequence[Finding], paths: Mapping[str, Path], out: Path, most: int = 120) -> None:
    """Generation and reference side by side, four findings in a row, for whoever judges them. Nothing: no file."""
    findings = findings[:most]
    if not findings:
        return
    width, height, columns = 2 * PART_CELL, PART_CELL + 20, 4
    sheet = Image.new("RGB", (columns * width, -(-len(findings) // columns) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, finding in enumerate(findings):
        left, top = number % columns * width, number // columns * height
        for side, image_id in enumerate((finding.query, finding.reference)):
            with Image.open(paths[image_id]) as opened:
                picture = ImageOps.contain(opened.convert("RGBA"), (PART_CELL - 6, PART_CELL - 6))
            sheet.paste(picture, (left + side * PART_CELL, top), picture)
        draw.text(
            (left, top + PART_CELL), f"{number} {finding.query[-34:]} {finding.kind} {finding.similarity:.2f}", "black"
        )
    sheet.save(out)
