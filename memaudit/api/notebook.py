"""How a result shows itself in a notebook: a small table, escaped, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Cells = Sequence[tuple[str, str]]
_CELL = "text-align:left;padding:2px 12px 2px 0"


def card(title: str, headline: str, cells: Cells) -> str:
    """HTML of a title, a sentence, and a table of names and values."""
    rows = "".join(
        f'<tr><th style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in cells
        if value
    )
    return f"<div><strong>{escape(title)}</strong><p>{escape(headline)}</p><table>{rows}</table></div>"


def grid(names: Sequence[str], rows: Sequence[Sequence[str]], more: int) -> str:
    """HTML of a table with a heading; more: how many rows are not shown."""
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    rest = f"<p>and {more:,} more rows</p>" if more > 0 else ""
    return f"<div><table><tr>{head}</tr>{body}</table>{rest}</div>"
