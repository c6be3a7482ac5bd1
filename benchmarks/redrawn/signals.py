"""The pairs of a part, as pairs.py writes them: what each is, and its signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.copies.pairs import PAIRS
from memaudit.types import Float64

DRAWN = "redrawn"  # folder of a part
PEOPLE = 2  # strengths, of four, at which people call it the same picture
Row = dict[str, Any]


def signals_in(folder: Path, weights: Float64 | None = None) -> tuple[Float64, list[Row]]:
    """Signals (n, k) of the pairs of a part, of each by the frame with the larger weighted sum; and the rows."""
    rows: list[Row] = pq.read_table(folder / DRAWN / PAIRS).to_pylist()
    frames = [np.array(row["signals"]) for row in rows]
    best = [frame[np.argmax(frame.sum(axis=1) if weights is None else frame @ weights)] for frame in frames]
    return np.stack(best), rows
