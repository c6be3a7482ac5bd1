"""Tables with images inside: Parquet files, and the Arrow files of a Hugging Face dataset on disk."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.errors import InputError
from memaudit.images.image_ref import ImageRef
from memaudit.images.manifests import CAPTION_COLUMNS, ID_COLUMNS, as_metadata, first_of
from memaudit.images.reading import open_binary

IMAGE_COLUMNS = ("image", "jpg", "png", "webp", "img", "image_bytes", "bytes")
_BATCH_ROWS = 16
_ROW = re.compile(r"(?P<location>.+\.(parquet|arrow))#row=(?P<row>\d+)", re.DOTALL | re.IGNORECASE)
_HUGGING_FACE_STATE = "state.json"


def image_column(schema: pa.Schema) -> str | None:
    """The column with the images' bytes, plain or in a struct with a field `bytes`; None if there is none."""
    binary = [field.name for field in schema if _holds_bytes(field.type)]
    return next((name for name in IMAGE_COLUMNS if name in binary), binary[0] if len(binary) == 1 else None)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def iter_parquet(location: str, name: str, *, contents: bool) -> Iterator[ImageRef]:
    """Yield the images of a Parquet file in row order, with their bytes if `contents`. Memory: a few rows.

    image_id is an id column if there is one, else `name` # row. Raises InputError if no column holds images.
    """
    with _parquet(location) as file:
        columns = _columns(location, file.schema_arrow, contents)
        batches = file.iter_batches(batch_size=_BATCH_ROWS if contents else 1024, columns=columns)
        yield from _refs(location, name, batches, image_column(file.schema_arrow) or "")


@contextmanager
def _parquet(location: str) -> Iterator[pq.ParquetFile]:
    try:
        handle = open_binary(location)
    except OSError as error:
        raise InputError(f"table {location} cannot be read: {error.strerror or error}") from None
    with handle:
        try:
            yield pq.ParquetFile(handle)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"table {location} is damaged: {_first_line(error)}") from None


def iter_arrow(location: str, name: str, *, contents: bool) -> Iterator[ImageRef]:
    """The same for an Arrow stream file, as Hugging Face `save_to_disk` writes it."""
    with _arrow(location) as stream:
        columns = _columns(location, stream.schema, contents)
        batches = (part for batch in stream for part in _parts(batch.select(columns), contents))
        yield from _refs(location, name, batches, image_column(stream.schema) or "")


@contextmanager
def _arrow(location: str) -> Iterator[pa.RecordBatchReader]:
    try:
        with pa.memory_map(location) as handle, pa.ipc.open_stream(handle) as stream:
            yield stream
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"table {location} is damaged: {_first_line(error)}") from None


def _parts(batch: pa.RecordBatch, contents: bool) -> Iterator[pa.RecordBatch]:
    step = _BATCH_ROWS if contents else 1024
    for low in range(0, batch.num_rows, step):
        yield batch.slice(low, step)


def schema_of(location: str) -> pa.Schema:
    """The schema of a Parquet or Arrow stream file. Raises InputError if it is neither."""
    try:
        if location.lower().endswith(".arrow"):
            with pa.memory_map(location) as handle, pa.ipc.open_stream(handle) as stream:
                return stream.schema
        with open_binary(location) as handle:
            return pq.ParquetFile(handle).schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"table {location} cannot be read: {_first_line(error)}") from None


def is_listed(location: str) -> bool:
    """Whether an Arrow file is a part of its Hugging Face dataset, not one of the caches beside it.

    Raises InputError when the folder's state.json cannot be understood or names a file that is not there.
    """
    folder, name = os.path.split(location)
    state = os.path.join(folder, _HUGGING_FACE_STATE)
    if not os.path.isfile(state):
        return True
    try:
        with open(state, encoding="utf-8") as handle:
            names = [entry["filename"] for entry in json.load(handle)["_data_files"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{state} cannot be understood: {error!r}") from None
    for missing in (n for n in names if not os.path.isfile(os.path.join(folder, n))):
        raise InputError(f"dataset {folder} lacks its file {missing}: restore it")
    return name in names


def _columns(location: str, schema: pa.Schema, contents: bool) -> list[str]:
    image = _image_column_of(location, schema)
    return [name for name in schema.names if contents or name != image]


def _image_column_of(location: str, schema: pa.Schema) -> str:
    image = image_column(schema)
    if image is None:
        raise InputError(
            f"table {location} has no column with images: expected bytes in one of {', '.join(IMAGE_COLUMNS)}, "
            f"found {', '.join(schema.names)}"
        )
    return image


def read_row(uri: str) -> bytes | None:
    """The bytes of one image of a table, by the uri `LOCATION#row=NUMBER`; None if the uri is of another kind."""
    match = _ROW.fullmatch(uri)
    if match is None:
        return None
    location, row = match["location"], int(match["row"])
    if location.lower().endswith(".arrow"):
        with _arrow(location) as stream:
            return _bytes_at(row, stream, _image_column_of(location, stream.schema))
    return _read_parquet_row(location, row)


def _read_parquet_row(location: str, row: int) -> bytes | None:
    """Open only the row group that holds the row: a report shows a few rows of a table that may hold millions."""
    with _parquet(location) as file:
        image = _image_column_of(location, file.schema_arrow)
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return _bytes_at(row, file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[image]), image)
            row -= rows
    return None


def _bytes_at(row: int, batches: Iterable[pa.RecordBatch], image: str) -> bytes | None:
    """The image in the given row, counted over the batches; None if there are fewer rows."""
    for batch in batches:
        if row < batch.num_rows:
            return _content(batch.column(image)[row].as_py())
        row -= batch.num_rows
    return None


def _refs(location: str, name: str, batches: Iterator[pa.RecordBatch], image: str) -> Iterator[ImageRef]:
    start = 0
    for batch in batches:
        for offset, row in enumerate(batch.to_pylist()):
            cell = row.pop(image, None)
            yield _ref(location, name, start + offset, row, cell)
        start += batch.num_rows


def _ref(location: str, name: str, number: int, row: Mapping[str, Any], cell: Any) -> ImageRef:
    image_id = first_of(row, ID_COLUMNS) or f"{name}#{number}"
    return ImageRef(
        image_id, f"{location}#row={number}", first_of(row, CAPTION_COLUMNS), as_metadata(row), _content(cell)
    )


def _content(cell: Any) -> bytes:
    """The bytes in a cell, plain or in a struct; none in an empty cell: a download that failed."""
    return (cell.get("bytes") if isinstance(cell, dict) else cell) or b""


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
