"""Which runs have tables and lists that name somebody who was forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memaudit.faces.names import Tombstones
from memaudit.report.run_folder import BOUND, previous_runs

_OF_IDS = ("_id", "_face")  # how the names of columns end that hold ids
_AT_ONCE = 2**16


def naming_tables(out: Path, forgotten: Collection[str]) -> Iterator[Path]:
    """The folders of the run in `out`, finished or not, and of those put aside there, whose tables or lists name
    somebody who is forgotten (tombstones of image_ids), or cannot be read. Memory: a batch of rows."""
    stones = Tombstones(forgotten)
    for folder in (out, *previous_runs(out)):
        if any(_names(folder / name, stones) for name in BOUND if (folder / name).is_file()):
            yield folder


def _names(path: Path, stones: Tombstones) -> bool:
    read = _ids if path.suffix == ".parquet" else _lines
    try:
        return any(stones.named(image_id) for ids in read(path) for image_id in ids)
    except (OSError, ValueError, pa.ArrowException):
        return True  # as of a report that cannot be read: it may


def _ids(path: Path) -> Iterator[list[str]]:
    with pq.ParquetFile(path) as file:
        columns = [field.name for field in file.schema_arrow if field.name.endswith(_OF_IDS)]
        for batch in file.iter_batches(_AT_ONCE, columns=columns) if columns else ():
            for column in batch.columns:
                yield [str(value) for value in pc.unique(column).to_pylist() if value is not None]


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        while lines := list(islice(file, _AT_ONCE)):
            yield [line.removesuffix("\n") for line in lines]
