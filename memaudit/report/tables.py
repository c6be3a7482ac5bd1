"""Parquet and text tables of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.files import appearing_whole, write_text


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """Write named columns (equal length) as a Parquet file that appears whole."""
    with appearing_whole(path) as temporary:
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), temporary)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """One entry a line. Newlines inside an entry are escaped, so that a line stays an entry."""
    write_text(path, "".join(line.replace("\\", "\\\\").replace("\n", "\\n") + "\n" for line in lines))
