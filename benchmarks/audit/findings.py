"""What an audit found: its matches, how many of them are true, and pictures of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageOps

from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure, rate
from memaudit.types import Int64

PART_CELL = 210  # pixels of the contact sheet


class Finding(NamedTuple):
    """A row of matches.parquet."""

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


def is_true(finding: Finding) -> bool:
    return finding.query.rpartition("/")[0] == finding.reference


def rated(data: str, measure: str, found: Int64, of: int, asked: str = "", note: str = "") -> Figure:
    """A rate with its interval; one value for each independent draw, each of at most `of`."""
    value = rate(found, np.full(len(found), of))
    if value is None:
        raise BenchmarkError(f"{data}: nothing to measure {measure} by")
    return Figure(data, len(found), measure, *value, asked, note)


def said(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


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
            with Image.open(paths[image_id.partition("#")[0]]) as opened:
                picture = ImageOps.contain(opened.convert("RGBA"), (PART_CELL - 6, PART_CELL - 6))
            sheet.paste(picture, (left + side * PART_CELL, top), picture)
        draw.text(
            (left, top + PART_CELL), f"{number} {finding.query[-34:]} {finding.kind} {finding.similarity:.2f}", "black"
        )
    sheet.save(out)
