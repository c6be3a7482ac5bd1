"""Parquet and text tables of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.files import appearing_whole, write_text
from memaudit.records import Int64


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Write named columns (equal length) as a Parquet file that appears whole. Lists and objects are text."""
    with appearing_whole(path) as temporary:
        pq.write_table(pa.table({name: _column(values) for name, values in columns.items()}), temporary)


def _column(values: Any) -> pa.Array:
    """Text is typed even where no row tells so: a run without findings has the same schema as one with."""
    is_number = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    return pa.array(values) if is_number else pa.array(values, type=pa.string())


def rank_of(ids: NDArray[np.object_]) -> Int64:
    """The place of each id in their order. As objects: fixed-width text would give every id the room of the longest."""
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    return rank


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """One entry a line. Newlines inside an entry are escaped, so that a line stays an entry."""
    write_text(path, "".join(line.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for line in lines))
