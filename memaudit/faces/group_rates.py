"""Rates of matched faces by what the metadata says of their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import UsageError
from memaudit.faces.results import GroupRate
from memaudit.faces.rows import face_rows
from memaudit.statistics import rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Int64

MOST_VALUES = 50  # of a metadata column that are told apart, the commonest


class Scored(NamedTuple):
    """Faces that were searched, and which of them matched. side: "generated", or "held-out", whose matches are all
    false."""

    side: str
    store: Store
    rows: Int64
    matched: NDArray[np.bool_]


def require_columns(identity: str, by: Sequence[str], *stores: Store | None) -> None:
    """Raise UsageError for a metadata column that no face has: a slip of the pen would pass for one single group."""
    missing = {"--identity": {identity} - {""}, "--faces-by": set(by)}
    for columns in (part for store in stores if store is not None for part in store.iter_columns()):
        if not any(missing.values()):
            return
        found = {name for row in face_rows(columns) for name in row.own}
        missing = {option: names - found for option, names in missing.items()}
    for option, names in missing.items():
        if names:
            raise UsageError(f"{option} {min(names)}: no face has metadata of that name (look at memaudit info)")


def group_rates(names: Sequence[str], sides: Sequence[Scored]) -> tuple[GroupRate, ...]:
    """The rate for each value of each column `names`, side by side; a face without the column has the value ""."""
    return tuple(rate for side in sides for rate in _of_side(names, side)) if names else ()


def _of_side(names: Sequence[str], scored: Scored) -> Iterator[GroupRate]:
    given = face_rows(scored.store.columns(scored.rows))
    for name in names:
        values = np.array([entry.told(name) for entry in given], dtype=object)
        distinct, counts = np.unique(values, return_counts=True)
        for value in distinct[np.argsort(-counts, kind="stable")][:MOST_VALUES]:
            chosen = values == value
            total = int(chosen.sum())
            rate = rate_of(int(scored.matched[chosen].sum()), Coverage(total, total))
            yield GroupRate(scored.side, name, str(value), rate)
