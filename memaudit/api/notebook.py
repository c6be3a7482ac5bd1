"""How a result shows itself in a notebook: a small table, escaped, without a script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import isnan
from pathlib import Path

from memaudit.words import plural

Cells = Sequence[tuple[str, str]]
_TABLE = '<table style="margin:0">'  # notebooks put tables in the middle
_CELL = "text-align:left;vertical-align:top;padding:2px 12px 2px 0"


@dataclass(frozen=True)
class Picture:
    """A JPEG that stands in a cell."""

    path: Path


def card(title: str, headline: str, cells: Cells) -> str:
    """HTML of a title, a sentence, and a table of names and values; cells without a value are left out."""
    rows = "".join(f"<tr>{_row('th', [name])}{_row('td', [value])}</tr>" for name, value in cells if value)
    return f"<div>{_heading(title, headline)}{_TABLE}{rows}</table></div>"


def grid(
    names: Sequence[str], rows: Sequence[Sequence[object]], more: int = 0, *, title: str = "", headline: str = ""
) -> str:
    """HTML of a table with column names, under a title and a sentence; more: how many rows are left out."""
    body = "".join(f"<tr>{_row('td', row)}</tr>" for row in rows)
    rest = f"<p>and {plural(more, 'more row')}</p>" if more > 0 else ""
    return f"<div>{_heading(title, headline)}{_TABLE}<tr>{_row('th', names)}</tr>{body}</table>{rest}</div>"


def _cell(value: object, digits: str = ".4f") -> str:
    """A value as HTML: numbers short, pictures shown, nothing for what is not there."""
    if isinstance(value, Picture):
        return f'<img height="96" src="data:image/jpeg;base64,{b64encode(value.path.read_bytes()).decode()}">'
    if isinstance(value, list | tuple):
        pictures = any(isinstance(each, Picture) for each in value)
        return (" " if pictures else ", ").join(_cell(each, ".3g") for each in value)
    if value is None or (isinstance(value, float) and isnan(value)):
        return ""
    return escape(format(value, digits) if isinstance(value, float) else str(value))


def _heading(title: str, headline: str) -> str:
    strong = f"<strong>{escape(title)}</strong>" if title else ""
    return f"{strong}<p>{escape(headline)}</p>" if headline else strong


def _row(tag: str, cells: Iterable[object]) -> str:
    return "".join(f'<{tag} style="{_CELL}">{_cell(cell)}</{tag}>' for cell in cells)
