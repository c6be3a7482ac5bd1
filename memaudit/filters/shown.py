"""Which images a page shows of a filter that was applied, chosen in passing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float64, Int64

DROPPED, KEPT = 24, 12


def _none() -> tuple[Float64, Int64]:
    return np.empty(0), np.empty(0, np.int64)


@dataclass
class Shown:
    """Rows of the first store: `DROPPED` of the dropped, drawn at random, and the `KEPT` of the kept with the highest
    scores. Memory: these."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _dropped: tuple[Float64, Int64] = field(default_factory=_none)
    _kept: tuple[Float64, Int64] = field(default_factory=_none)

    def add(self, first: int, dropped: NDArray[np.bool_], kept: NDArray[np.bool_], score: Float64) -> None:
        """A run of rows from `first` on: what is dropped and kept of them, and their scores, NaN for none."""
        here, there = np.flatnonzero(dropped), np.flatnonzero(kept & np.isfinite(score))
        self._dropped = _least(self._dropped, self.random.random(len(here)), here + first, DROPPED)
        self._kept = _least(self._kept, -score[there], there + first, KEPT)

    @property
    def dropped(self) -> Int64:
        """In the order of the store."""
        return np.sort(self._dropped[1])

    @property
    def kept(self) -> Int64:
        """The highest score first."""
        return self._kept[1]


def _least(before: tuple[Float64, Int64], keys: Float64, rows: Int64, count: int) -> tuple[Float64, Int64]:
    """Those with the least keys, by their keys and rows."""
    if len(keys) > count:
        few = np.argpartition(keys, count)[: count + 1]
        keys, rows = keys[few], rows[few]
    all_keys, all_rows = np.concatenate([before[0], keys]), np.concatenate([before[1], rows])
    order = np.lexsort((all_rows, all_keys))[:count]
    return all_keys[order], all_rows[order]
