"""Parquet and text tables of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.files import whole_file, write_text
from memaudit.matching.overlap import Overlaps
from memaudit.types import Float64, Int64

_GROUP_ROWS = 2**18


@dataclass(frozen=True)
class Ids:
    """A text column that is looked up part by part: names[rows]. It never stands in memory as a whole.

    names: text of Arrow, which several columns may share (`as_text`).
    """

    names: Any
    rows: NDArray[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Any:
        return self.names.take(pa.array(self.rows[part])).cast(pa.string())


def as_text(values: Iterable[str]) -> Any:
    """Text of Arrow, of any length in all."""
    return pa.array(values, type=pa.large_string())


@dataclass(frozen=True)
class Lists:
    """A column of lists of numbers: the rows of `values` (m, length) at the places `rows` (m,), sorted; of `count` rows
    the others are null."""

    values: Float64
    rows: Int64
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, part: slice) -> Any:
        low, high, _ = part.indices(self.count)
        first, last = np.searchsorted(self.rows, (low, high))
        place = np.full(high - low, -1, np.int32)
        place[self.rows[first:last] - low] = np.arange(last - first)
        flat = pa.array(np.ascontiguousarray(self.values[first:last]).ravel(), type=pa.float64())
        lists = pa.FixedSizeListArray.from_arrays(flat, self.values.shape[1])
        return lists.take(pa.array(place, mask=place < 0))


def overlap_columns(overlaps: Overlaps, rows: Int64, count: int, boxes: tuple[str, str]) -> dict[str, Lists]:
    """Where images lie on each other, of the `rows` of a table of `count`: `alignment`, the matrix row by row, and the
    two boxes by their names."""
    values = (overlaps.matrix.reshape(-1, 6), overlaps.query_box, overlaps.reference_box)
    return {name: Lists(part, rows, count) for name, part in zip(("alignment", *boxes), values, strict=True)}


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Write named columns (equal length) as a Parquet file that appears whole. Lists, objects and `Ids` are text.

    Memory: a quarter of a million rows, however long the columns.
    """
    rows = len(next(iter(columns.values())))
    schema = pa.schema([(name, _type(values)) for name, values in columns.items()])
    with whole_file(path) as file, pq.ParquetWriter(file, schema) as writer:
        for low in range(0, max(1, rows), _GROUP_ROWS):
            part = slice(low, low + _GROUP_ROWS)
            writer.write_table(pa.table([_array(columns[field.name][part], field.type) for field in schema], schema))


def _array(values: Any, kind: pa.DataType) -> Any:
    return values if isinstance(values, pa.Array) else pa.array(values, type=kind)


def _type(values: Any) -> pa.DataType:
    """Text is typed even where no row tells so: a run without findings has the same schema as one with."""
    if isinstance(values, Lists):
        return pa.list_(pa.float64(), values.values.shape[1])
    is_number = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    return pa.from_numpy_dtype(values.dtype) if is_number else pa.string()


def rank_of(ids: NDArray[np.object_]) -> Int64:
    """The place of each id in their order. As objects: fixed-width text would give every id the room of the longest."""
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    return rank


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """One entry a line, as it is. image_ids are lines; those of stores of memaudit 0.2 and before may hold line breaks,
    which are escaped, so that a line stays an entry."""
    write_text(path, "".join(map(as_line, lines)))


def as_line(entry: str) -> str:
    """An entry with the end of its line."""
    return entry.replace("\r", "\\r").replace("\n", "\\n") + "\n"
