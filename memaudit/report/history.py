"""The page of a history: the rate of one audit after another, with its interval, and what is new since the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memaudit.report.page import percent, percent_down, percent_up, write_page

WIDTH, HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 56
_STEPS = (1, 2, 5)
LISTED = 100  # matches of a list on the page


@dataclass(frozen=True)
class Entry:
    """An audit. found of measured units, with the rate and its ends (None: nothing was measured). training_set: its
    digest; other_set: another one than that of the audit before. break_: why it cannot be compared with that one.
    model: as whoever ran it calls it."""

    name: str
    created: str
    found: int
    measured: int
    value: float | None
    low: float
    high: float
    findings: int
    training_set: str
    other_set: bool = False
    break_: str = ""
    conclusive: bool = True
    model: str = ""

    @property
    def rate(self) -> str:
        return percent(self.value)

    @property
    def interval(self) -> str:
        return f"{percent_down(self.low)} to {percent_up(self.high)}"


@dataclass(frozen=True)
class Since:
    """What differs between the last audit and the one before. why: it could not be compared; warnings: which of the
    two is inconclusive."""

    before: str
    after: str
    sentence: str = ""
    caveat: str = ""
    sets: str = ""
    why: str = ""
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """An entry in the chart: its places, and whether it is drawn full or hollow. line: to the one before, if any."""

    x: float
    y: float | None
    low: float
    high: float
    hollow: bool
    label: str
    day: str
    line: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Chart:
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]
    borders: tuple[float, ...]
    words: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = field(default=WIDTH - _RIGHT)
    base: int = field(default=HEIGHT - _BOTTOM)


def chart_of(entries: Sequence[Entry]) -> Chart:
    """Entries from left to right, as far apart from each other; the axis begins at 0 and ends above the highest end."""
    top, ticks = _axis(max((entry.high for entry in entries if entry.value is not None), default=0.0))
    step = (WIDTH - _LEFT - _RIGHT) / len(entries)

    def height(share: float) -> float:
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share / top, 1)

    marks, borders = list[Mark](), list[float]()
    for number, entry in enumerate(entries):
        x = round(_LEFT + step * (number + 0.5), 1)
        y = None if entry.value is None else height(entry.value)
        before = marks[-1] if marks and not entry.break_ else None
        line = (before.x, before.y, x, y) if before and before.y is not None and y is not None else None
        label = f"{entry.name}: {entry.rate}, {entry.interval} ({entry.found:,} of {entry.measured:,})"
        marks.append(
            Mark(x, y, height(entry.low), height(entry.high), not entry.conclusive, label, entry.created, line)
        )
        if entry.other_set:
            borders.append(round(x - step / 2, 1))
    words = "; ".join(f"{entry.created} {entry.rate}" for entry in entries)
    return Chart(tuple(marks), tuple((height(tick), _short(tick)) for tick in ticks), tuple(borders), words)


def _axis(highest: float) -> tuple[float, list[float]]:
    """The end of the axis, and three to six places on it."""
    size = 1.0
    while size / 10 >= max(highest, 1e-6) / 5:
        size /= 10
    step = next((each * size / 10 for each in (*_STEPS, 10) if each * size / 10 * 5 >= highest), size)
    count = max(1, int(highest / step + 0.999999))
    return count * step, [number * step for number in range(count + 1)]


def _short(share: float) -> str:
    return f"{100 * share:.4g}%"


def write_history(path: Path, entries: Sequence[Entry], unit: str, since: Since | None) -> None:
    """Write the page. unit: what rates are of."""
    write_page(path, "history.html", entries=entries, unit=unit, since=since, chart=chart_of(entries), listed=LISTED)
