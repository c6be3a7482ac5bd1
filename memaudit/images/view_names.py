"""Names of views, as reports and the gate know them: without a picture at hand, and without what makes one."""

from __future__ import annotations

from memaudit.errors import UsageError
from memaudit.images.windows import tile_windows

WHOLE = "whole"
CHOICES = ("none", "flips", "tiles", "all")
DEFAULT_VIEWS = "tiles"
TURNS = ("mirrored", "upside down", "turned 90", "turned 180", "turned 270", "transposed", "transversed")


def view_names(choice: str) -> tuple[str, ...]:
    """The names of the views of a `--views` option, as `views_of` makes them. Raises UsageError for anything else."""
    if choice not in CHOICES:
        raise UsageError(f"unknown --views {choice!r}: expected one of {', '.join(CHOICES)}")
    tiles = tuple(window.name for window in tile_windows())
    more = {"none": (), "flips": TURNS[:2], "tiles": tiles, "all": (*TURNS, *tiles)}
    return (WHOLE, *more[choice])
