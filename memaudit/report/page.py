"""The HTML page: one file, no script from elsewhere, every string escaped."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.files import open_regular, write_text
from memaudit.report.model import Bin, WhyBand

if TYPE_CHECKING:
    import jinja2

_LAST_LINE = re.compile(rb"<!-- sha256 of all above: ([0-9a-f]{64}) -->\n\Z")
_LAST = 100  # bytes: it has fewer, and so has a digest
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # a caption must not steer whoever prints the page


def write_page(path: Path, template: str, **values: object) -> None:
    """Render a template of this package to `path`. Its last line is the digest of all above."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _rendered(path, template, values))
    body = text.rstrip("\n").encode("utf-8", "backslashreplace").decode() + "\n"
    write_text(path, f"{body}<!-- sha256 of all above: {sha256(body.encode()).hexdigest()} -->\n")


def text_of(template: str, **values: object) -> str:
    """A template of this package, filled in."""
    return _environment().get_template(template).render(**values)


def _rendered(path: Path, template: str, values: Mapping[str, object]) -> str:
    from jinja2 import UndefinedError

    try:
        return _environment().get_template(template).render(**values)
    except UndefinedError as error:
        raise InputError(f"{path} cannot be made: its report lacks what the page shows ({error}): run again") from None


def digest_of_page(path: Path) -> tuple[str | None, str]:
    """The digest that a page says it has, None for none, and the one that it has."""
    return digests_of_page([path.read_bytes()])[:2]


class PageDigests(NamedTuple):
    """written: the one that a page says it has, None for none; found: the one that it has; names_report: whether the
    digest of a report stands in it."""

    written: str | None
    found: str
    names_report: bool


def digests_of_page(chunks: Iterable[bytes], report: str = "") -> PageDigests:
    """Of a page of these bytes. Memory: a chunk."""
    code, kept, named = sha256(), b"", False
    for chunk in chunks:
        data = kept + chunk
        named = named or report.encode() in data
        code.update(data[:-_LAST])
        kept = data[-_LAST:]
    last = _LAST_LINE.search(kept)
    code.update(kept[: last.start()] if last else kept)
    return PageDigests(last[1].decode() if last else None, code.hexdigest(), named)


def has_digest(path: Path) -> bool:
    """Whether a file ends as a page of this package does. Memory: its last line. Raises OSError."""
    with open_regular(path) as handle:
        handle.seek(max(0, handle.seek(0, io.SEEK_END) - _LAST))
        return _LAST_LINE.search(handle.read(_LAST)) is not None


@cache
def _environment() -> jinja2.Environment:
    """Compiling the templates takes longer than filling them in."""
    import jinja2  # who verifies a report may have none

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("memaudit.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        percent_up=percent_up,
        percent_down=percent_down,
        share=two_digits,
        share_up=two_digits_up,
        share_down=two_digits_down,
        thousands=lambda n: f"{n:,}",
        p_value=p_value,
    )
    environment.globals["tallest"] = tallest
    environment.globals["highest"] = highest
    return environment


@cache
def script_of(*names: str) -> tuple[str, str]:
    """The script of a page, of one file or several, and the digest by which the page's policy names it: a browser runs
    no other."""
    folder = resources.files("memaudit.report").joinpath("templates")
    script = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
    return script, b64encode(sha256(script.encode()).digest()).decode()


def percent(share: float | None, rounding: str = ROUND_HALF_EVEN) -> str:
    """A share with as many digits as it deserves: 12.3 %, 0.45 %, 0.006 %; never 0 % for what is not 0."""
    if share is None:
        return "not measured"
    value = Decimal(repr(100 * share))
    if value in (0, 100):
        rounded = value.quantize(Decimal(1))
    elif value > Decimal("99.9"):
        rounded = min(value.quantize(Decimal("0.0001"), rounding=rounding), Decimal("99.9999"))
    elif value >= 1:
        rounded = value.quantize(Decimal("0.1"), rounding=rounding)
    else:
        rounded = value.quantize(Decimal((0, (1,), value.adjusted() - 1)), rounding=rounding)
    return f"{rounded:f}\N{NO-BREAK SPACE}%"


def percent_up(share: float | None) -> str:
    """An upper bound: rounded up, so that what is printed is still a bound."""
    return percent(share, ROUND_CEILING)


def percent_down(share: float | None) -> str:
    """A lower bound, rounded down."""
    return percent(share, ROUND_FLOOR)


def two_digits(share: float | None, rounding: str = ROUND_HALF_EVEN) -> str:
    """A share with two digits: 12 %, 5.9 %, 0.45 %; with more where two would make 100 % of less."""
    if share is None:
        return "not measured"
    value = Decimal(repr(100 * share))
    if value in (0, 100):
        return percent(share)
    rounded = value.quantize(Decimal((0, (1,), value.adjusted() - 1)), rounding=rounding)
    return percent(share, rounding) if rounded >= 100 else f"{rounded:f}\N{NO-BREAK SPACE}%"


def two_digits_up(share: float | None) -> str:
    """An upper bound: rounded up."""
    return two_digits(share, ROUND_CEILING)


def two_digits_down(share: float | None) -> str:
    """A lower bound: rounded down."""
    return two_digits(share, ROUND_FLOOR)


def p_value(p: float) -> str:
    """A p-value with two significant digits, without an exponent where people read it."""
    return f"{p:.2g}" if p >= 0.0001 else f"{p:.1e}"


def tallest(*histograms: Sequence[Bin]) -> float:
    """The largest share that a bin has of its histogram: the top of the plot's axis."""
    totals = [sum(bin_.count for bin_ in bins) for bins in histograms]
    shares = [bin_.count / total for bins, total in zip(histograms, totals, strict=True) if total for bin_ in bins]
    return max(shares, default=1.0)


def highest(bands: Sequence[WhyBand]) -> float:
    """The top of an axis for the rates of bands: twice the largest, or where the whiskers end, as where all are 0; a
    quarter is round."""
    rates = [rate for band in bands for rate in (band.came_back, band.training) if rate]
    largest = max(rate.value or 0.0 for rate in rates)
    end = max(rate.high for rate in rates)
    wanted = min(end, max(2 * largest, 0.01)) if largest else end
    tops = (4 * step * 10.0**power for power in range(-7, 0) for step in (1, 2, 2.5, 5))
    return next((top for top in tops if top >= wanted and top <= 1), 1.0)


class Interval(Protocol):
    """A rate's two-sided interval."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def interval(rate: Interval) -> str:
    """`12.0 % to 20.6 %` of a rate's two-sided interval."""
    return f"{percent_down(rate.low)} to {percent_up(rate.high)}"


_AT_ONCE = 2**20  # values


def histogram(values: NDArray[np.float32], low: float, high: float, bins: int) -> list[Bin]:
    """Counts in equal bins of [low, high]; what lies below `low` falls into the first. Memory: a block."""
    counts, edges = np.histogram([], bins=bins, range=(low, high))
    for start in range(0, len(values), _AT_ONCE):
        part = np.asarray(values[start : start + _AT_ONCE], dtype=float)
        counts += np.histogram(np.clip(part[np.isfinite(part)], low, high), bins=bins, range=(low, high))[0]
    return [
        Bin(low=round(float(edges[i]), 4), high=round(float(edges[i + 1]), 4), count=int(counts[i]))
        for i in range(bins)
    ]
