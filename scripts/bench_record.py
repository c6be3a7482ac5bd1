"""What a benchmark writes down, and how it measures a command: the machine, the versions, seconds, peak memory."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

# A process's peak includes that of the process it was forked from, so a small one stands between.
_LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
seconds = time.perf_counter() - start
said = done.stdout.strip().rpartition("\\n")[2]
used = resource.getrusage(resource.RUSAGE_CHILDREN)
scale = 1 if sys.platform == "darwin" else 1024
cost = [seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * scale / 1e6, said]
print(json.dumps([done.returncode, cost]))
"""


class BenchmarkError(Exception):
    """Why there is no figure, in one line."""


class Cost(NamedTuple):
    """What a command took: wall time with its start, processor time, peak resident memory; the last line it said."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str


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


def of_rounds(data: str, count: int, measure: str, values: Sequence[float], asked: str = "") -> Figure:
    return Figure(data, count, measure, median(values), min(values), max(values), asked)


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end. Raises BenchmarkError, with the last thing it said, if it fails."""
    launched = [sys.executable, "-I", "-c", _LAUNCHER, *map(str, command)]
    done = subprocess.run(launched, capture_output=True, text=True, check=False)
    code, cost = json.loads(done.stdout or '["none", []]')
    if code:
        said = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"{Path(command[0]).name} ended with exit code {code}: {said}")
    return Cost(*cost)


def memaudit(*arguments: str | Path) -> list[str | Path]:
    """The command line of memaudit as this interpreter runs it, from whatever folder."""
    return [sys.executable, "-m", "memaudit", *arguments, "--quiet"]


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


def write_figures(figures: Sequence[Figure], benchmark: str, folder: Path, about: dict[str, str]) -> Path:
    """Add the figures to results/BENCHMARK-MACHINE.csv, one line each, with date, machine and versions."""
    setting = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), **machine(), **about}
    name = re.sub(r"[^a-z0-9]+", "-", f"{setting['cpu']} {setting['cores']} cores".lower()).strip("-")
    path = folder / f"{benchmark}-{name}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*_earlier(path), *({**setting, **_as_text(figure)} for figure in figures)]
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[-1]), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _earlier(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
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
