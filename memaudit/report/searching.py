"""The page of a search in a model: listed pictures beside what was drawn of them, by rank among held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from memaudit.errors import InputError
from memaudit.extraction.retained import GIVEN_BACK, RETAINED_FROM, Retained, Searched
from memaudit.files import sha256_of
from memaudit.report.inline import Inline, inline
from memaudit.report.page import write_page

SHOWN = 60  # pictures that are on the page
_SIDE, _ROOM = 300, 1 << 18


class _Shown(NamedTuple):
    result: Retained
    picture: Inline
    drawing: Inline


def write_search_page(
    path: Path,
    pictures: Sequence[Retained],
    held_out: Sequence[Searched],
    headline: str,
    warnings: Sequence[str],
    pipeline: str,
) -> None:
    """Write the page. pipeline: its digest."""
    write_page(
        path,
        "search.html",
        shown=[_shown(each, path.parent) for each in pictures[:SHOWN]],
        pictures=pictures,
        held_out=held_out,
        losses=_spread(held_out),
        headline=headline,
        warnings=warnings,
        pipeline=pipeline,
        retained_from=RETAINED_FROM,
        given_back=GIVEN_BACK,
    )


def _shown(result: Retained, folder: Path) -> _Shown:
    drawn = folder / result.picture.drawing
    try:
        drawing = inline(str(drawn), sha256_of(drawn), _SIDE, _ROOM)
    except (OSError, InputError):
        drawing = Inline("", "the drawing cannot be read")
    return _Shown(result, inline(result.picture.uri, result.picture.sha256, _SIDE, _ROOM), drawing)


def _spread(held_out: Sequence[Searched]) -> str:
    """From the least to the largest loss, and the one in the middle."""
    losses = sorted(each.loss for each in held_out)
    return f"{losses[0]:.4g} to {losses[-1]:.4g}, half below {losses[len(losses) // 2]:.4g}" if losses else "none"
