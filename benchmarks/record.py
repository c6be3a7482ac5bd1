"""What a benchmark writes down: its figures, with date, machine and versions, one line each."""

from __future__ import annotations

import csv
import io
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

from memaudit.files import write_text
from memaudit.statistics import ratio_interval
from memaudit.types import CONFIDENCE, Int64


@dataclass(frozen=True)
class Figure:
    """A line of the table. `asked` is what docs promise, such as `>= 0.90`; `note` why a figure is missing."""

    data: str
    count: int
    measure: str
    median: float | None
    least: float | None = None
    most: float | None = None
    asked: str = ""
    note: str = ""


class Rate(NamedTuple):
    """A share and the ends of its interval."""

    value: float
    low: float
    high: float


def of_rounds(data: str, count: int, measure: str, values: Sequence[float], asked: str = "") -> Figure:
    return Figure(data, count, measure, median(values), min(values), max(values), asked)


def rate(found: Int64, true: Int64) -> Rate | None:
    """Sum of found ÷ sum of true, by independent draw (a family, a source); None where there was nothing to find."""
    found, true = found[true > 0], true[true > 0]
    if not len(true):
        return None
    return Rate(float(found.sum() / true.sum()), *ratio_interval(found, true, CONFIDENCE))


def machine() -> dict[str, str]:
    return {"cpu": _processor(), "cores": str(os.cpu_count()), "system": platform.system()}


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions(*packages: str) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "none"
    return found


@dataclass(frozen=True)
class Recorder:
    """Adds figures to FOLDER/BENCHMARK-MACHINE.csv. setting: what stands beside each, by column."""

    path: Path
    setting: Mapping[str, str]

    @classmethod
    def of(cls, benchmark: str, folder: Path, about: Mapping[str, str]) -> Recorder:
        setting = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), **machine(), **about}
        name = re.sub(r"[^a-z0-9]+", "-", f"{setting['cpu']} {setting['cores']} cores".lower()).strip("-")
        return cls(folder / f"{benchmark}-{name}.csv", setting)

    def add(self, figure: Figure) -> None:
        """The table appears whole. Its columns are those of this figure, then those that only earlier ones have."""
        rows = [*self._earlier(), {**self.setting, **_as_text(figure)}]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys([*rows[-1], *rows[0]])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())

    def _earlier(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))


def _as_text(figure: Figure) -> dict[str, str]:
    values = asdict(figure).items()
    return {key: "" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for key, v in values}


def show(figure: Figure) -> None:
    value = figure.note if figure.median is None else f"{figure.median:.4g}"
    if figure.least is not None:
        value += f" ({figure.least:.4g} .. {figure.most:.4g})"
    asked = f"   asked {figure.asked}" if figure.asked else ""
    print(f"{figure.data}, {figure.count:,}: {figure.measure} {value}{asked}", flush=True)
    if figure.note and figure.median is not None:
        print(f"    {figure.note}", flush=True)
