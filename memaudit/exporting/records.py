"""What was written of a shard: each file with its digest, kept beside it; a shard with such a record is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.errors import InputError
from memaudit.files import sha256_of, whole_file

FOLDER = "files"
_KEY = b"memaudit"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("sample", "image_id", "file")),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)


class Entry(NamedTuple):
    """A file of a sample, as it is called in the export. image_id: "" for what is no image."""

    sample: str
    image_id: str
    file: str
    size: int
    sha256: str

    @classmethod
    def of(cls, sample: str, image_id: str, file: str, data: bytes) -> Entry:
        return cls(sample, image_id, file, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Record:
    """A finished shard. file: of the shard, from the export's folder; "" where its files stand there one by one."""

    file: str
    bytes: int
    sha256: str
    samples: int
    files: int

    def is_sound(self, out: Path, entries: Iterator[Entry]) -> bool:
        """Whether what was written is still there, byte by byte."""
        if self.file:
            return _is(out / self.file, self.bytes, self.sha256)
        return all(_is(out / entry.file, entry.size, entry.sha256) for entry in entries)


def _is(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and sha256_of(path) == sha256
    except OSError:
        return False


def record_path(out: Path, name: str) -> Path:
    return out / FOLDER / f"{name}.parquet"


def write_record(path: Path, record: Record, entries: Sequence[Entry]) -> None:
    schema = _SCHEMA.with_metadata({_KEY: json.dumps(asdict(record), sort_keys=True)})
    columns = list(zip(*entries, strict=True)) or [()] * len(_SCHEMA)
    table = pa.table([pa.array(column, kind) for column, kind in zip(columns, _SCHEMA.types, strict=True)], schema)
    with whole_file(path) as file:
        pq.write_table(table, file)


def read_record(path: Path) -> Record | None:
    """None where there is none, or it cannot be read: then the shard is written again."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return Record(**json.loads(metadata[_KEY]))
    except (OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        return None


def entries_of(path: Path) -> Iterator[Entry]:
    """The files of a record. Raises InputError if it is damaged."""
    try:
        for batch in pq.ParquetFile(path).iter_batches():
            yield from map(Entry._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
