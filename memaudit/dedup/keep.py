"""Keep rules: which image of a group stays, by what the store says of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from memaudit.errors import InputError, UsageError
from memaudit.store import IMAGES, Columns, Store
from memaudit.types import Float64, Int64

CLEANEST = "cleanest"
PLAIN = (CLEANEST, "largest", "first")
BEST = "best:"
MEASURED = ("width", "height", "simplicity")  # columns that every store has
_LISTED = 20


def require_rule(rule: str) -> None:
    """Raise UsageError for what is no keep rule, whatever the store."""
    if rule not in PLAIN and not (rule.startswith(BEST) and len(rule) > len(BEST)):
        raise UsageError(f"unknown keep rule {rule!r}: expected one of {', '.join(PLAIN)} or {BEST}COLUMN")


def why_blind(rule: str, match: str, store: Store, *, files: bool) -> str | None:
    """Why the keep rule has to do without pixels; "" where it has not, None for a rule that asks for none."""
    if rule != CLEANEST:
        return None
    if match == "none":
        return "--match none"
    if store.manifest.kind != IMAGES:
        return f"the rows of the store are {store.manifest.kind}, no whole images"
    return "" if files else "the store does not say where its images are"


def keep_rank(columns: Columns, rule: str, store: Store | None = None) -> Int64:
    """The place of each row in the order of preference (0: kept first); a total order, independent of row order.

    largest: most pixels first; cleanest: the same, until those with near-duplicates are read (cleanest.py). first: by
    image_id. best:COLUMN: the highest value first, rows without one last. Ties by image_id. store: where metadata are
    read that the columns do not hold. Raises UsageError for a column that the store does not have, InputError for one
    that is not numeric.
    """
    # As objects: an array of fixed-width text gives every id the room of the longest.
    by_id = np.argsort(columns.image_id, kind="stable")
    order = by_id[np.argsort(-_worth(columns, rule, store)[by_id], kind="stable")]  # NaN comes last
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _worth(columns: Columns, rule: str, store: Store | None) -> Float64:
    if rule in (CLEANEST, "largest"):
        return np.asarray(columns.width * columns.height, dtype=np.float64)
    if rule == "first":
        return np.zeros(len(columns.width))
    name = rule.removeprefix(BEST)
    if name in MEASURED:
        return np.asarray(getattr(columns, name), dtype=np.float64)
    parts = store.iter_columns(only=["metadata"]) if store else [columns]
    return _metadata_numbers(columns, chain.from_iterable(part.metadata for part in parts), name)


def _metadata_numbers(columns: Columns, metadata: Iterable[str], name: str) -> Float64:
    values, names = np.full(len(columns.image_id), np.nan), set[str]()
    for row, text in enumerate(metadata):
        entries = metadata_of(text)
        names |= entries.keys()
        if name in entries:
            values[row] = _number(entries[name], name, columns.image_id[row])
    if name not in names:
        there = [*MEASURED, *sorted(names)]
        more = f" and {len(there) - _LISTED} more" if len(there) > _LISTED else ""
        raise UsageError(f"--keep {BEST}{name}: no such column; the store has {', '.join(there[:_LISTED])}{more}")
    if np.isnan(values).all():
        raise UsageError(f"--keep {BEST}{name}: no image has a value in this column")
    return values


def metadata_of(text: str) -> dict[str, Any]:
    """What the source said of an image; nothing for text that is no JSON object."""
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _number(value: Any, name: str, image_id: str) -> float:
    """A manifest's numbers are text. Nothing, empty text and NaN count as missing."""
    if value is None or value == "":
        return math.nan
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return float(value)
    except (ValueError, OverflowError):
        raise InputError(
            f"--keep {BEST}{name}: the column must be numeric, but image {image_id[:80]!r} has {str(value)[:40]!r}"
        ) from None
