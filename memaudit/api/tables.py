"""The columns of a run: Parquet files, read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.api.notebook import grid
from memaudit.api.places import Scratch
from memaudit.errors import InputError
from memaudit.report.bindings import require_sha256
from memaudit.words import plural

R = TypeVar("R")
_SHOWN = 10


@dataclass(frozen=True, repr=False)
class Table:
    """One of the tables that a run wrote.

    >>> dedup = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"))
    >>> dedup.pairs.to_arrow().column("left_id").to_pylist()
    ['0003.png']
    """

    path: Path
    scratch: Scratch | None = field(default=None, compare=False)
    sha256: str | None = field(default=None, compare=False)

    def to_arrow(self) -> pa.Table:
        """All rows. Raises InconclusiveError if the file is not the one that the run wrote, InputError if it is damaged
        and the run, of an earlier version, did not keep its digest."""
        return self._read(pq.read_table)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self._read(pq.read_schema).names)

    def _read(self, how: Callable[[Path], R]) -> R:
        if self.sha256 is not None:
            require_sha256(self.path, self.sha256)
        elif not self.path.exists():
            raise InputError(f"{self.path} is not there: the run wrote no such table")
        try:
            return how(self.path)
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{self.path} cannot be read: {' '.join(str(error).split())}") from None

    def __len__(self) -> int:
        return int(self._read(pq.read_metadata).num_rows)

    def __repr__(self) -> str:
        return f"<Table {self.path.stem}: {plural(len(self), 'row')} of {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        first = self.to_arrow().slice(0, _SHOWN)
        rows = [[*row.values()] for row in first.to_pylist()]
        return grid(self.columns, rows, len(self) - len(rows))
