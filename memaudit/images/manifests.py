"""Manifests: a row for each image with its path or URL, and whatever else is known of it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.errors import InputError
from memaudit.images.image_ref import ImageRef
from memaudit.images.reading import is_url, open_binary

PATH_COLUMNS = ("path", "uri", "file", "filename", "image", "url")
ID_COLUMNS = ("image_id", "id", "key", "uid")
CAPTION_COLUMNS = ("caption", "text", "prompt")
Row = Mapping[str, Any]


def iter_manifest(location: str) -> Iterator[ImageRef]:
    """Yield the images that a manifest names, in its order; paths are relative to the manifest.

    Columns: one of PATH_COLUMNS, and optionally one of ID_COLUMNS and CAPTION_COLUMNS; the others become metadata.
    Raises InputError with the line for what cannot be understood.
    """
    read = _READERS[os.path.splitext(location)[1].lower()]
    try:
        with open_binary(location) as handle:
            for number, row in enumerate(read(location, handle), start=1):
                yield _ref(location, number, row)
    except OSError as error:
        raise InputError(f"manifest {location} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"manifest {location} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def _ref(manifest: str, number: int, row: Row) -> ImageRef:
    place = first_of(row, PATH_COLUMNS)
    if not place:
        raise InputError(
            f"manifest {manifest}, entry {number}: no image path; expected one of the columns "
            f"{', '.join(PATH_COLUMNS)}, found {', '.join(map(str, row)) or 'none'}"
        )
    try:
        uri = _resolved(manifest, place)
    except ValueError:  # NUL, or half a surrogate pair
        raise InputError(f"manifest {manifest}, entry {number}: {place!r} cannot be a path") from None
    return ImageRef(first_of(row, ID_COLUMNS) or place, uri, first_of(row, CAPTION_COLUMNS), as_metadata(row))


def _resolved(manifest: str, place: str) -> str:
    if is_url(place):
        return place
    if is_url(manifest):
        return f"{manifest.rpartition('/')[0]}/{place}"
    return os.path.realpath(os.path.join(os.path.dirname(manifest), place))


def first_of(row: Row, names: Sequence[str]) -> str:
    """The first of the named columns that holds something, as text."""
    return next((str(row[name]) for name in names if row.get(name) not in (None, "")), "")


def as_metadata(row: Row) -> str:
    """The columns beyond path, id and caption as a JSON object; empty when there are none."""
    known = {*PATH_COLUMNS, *ID_COLUMNS, *CAPTION_COLUMNS}
    rest = {str(name): value for name, value in row.items() if name not in known and value is not None}
    return json.dumps(rest, ensure_ascii=False, default=str) if rest else ""


def _read_csv(location: str, handle: IO[bytes]) -> Iterator[Row]:
    delimiter = "\t" if location.lower().endswith(".tsv") else ","
    # strict, because a quote that is never closed would swallow the lines after it
    reader = csv.DictReader(_text(handle, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row:  # where DictReader puts what is too much
                raise InputError(f"manifest {location}, line {reader.line_num}: more fields than the header has names")
            yield row
    except csv.Error as error:
        raise InputError(f"manifest {location}, line {reader.reader.line_num}: not valid CSV: {error}") from None


def _read_json_lines(location: str, handle: IO[bytes]) -> Iterator[Row]:
    for number, line in enumerate(_text(handle), start=1):
        if line.strip():
            yield _json_object(location, number, line.rstrip("\r\n"))


def _json_object(location: str, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise InputError(f"manifest {location}, line {number}: not valid JSON: {reason}") from None
    if not isinstance(row, dict):
        raise InputError(f"manifest {location}, line {number}: expected an object, found {type(row).__name__}")
    return row


def _read_list(location: str, handle: IO[bytes]) -> Iterator[Row]:
    for line in _text(handle):
        if line.strip():
            yield {"path": line.rstrip("\r\n")}


def _read_parquet(location: str, handle: IO[bytes]) -> Iterator[Row]:
    try:
        for batch in pq.ParquetFile(handle).iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise InputError(f"manifest {location} is damaged: {str(error).partition(chr(10))[0]}") from None


def _text(handle: IO[bytes], newline: str | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(handle, encoding="utf-8-sig", newline=newline)


_READERS: dict[str, Callable[[str, IO[bytes]], Iterator[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".txt": _read_list,
    ".parquet": _read_parquet,
}
MANIFESTS = tuple(name for name in _READERS if name != ".parquet")
