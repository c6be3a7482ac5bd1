"""Rows of Parquet files, Arrow streams and Arrow files, as plain values."""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from memaudit.errors import InputError
from memaudit.images.addresses import unsigned
from memaudit.images.arrow_sizes import oversized_batch
from memaudit.images.formats import why_not_there
from memaudit.images.image_ref import CUT_TEXT, MOST_TEXT
from memaudit.images.reading import is_url, open_binary
from memaudit.images.text_rows import require_once

_FILE_MAGIC = b"ARROW1"
_AT_ONCE = 64 << 20  # bytes of rows, where their mean is near what they are
_MOST_BATCH = 256  # rows that are read at once where only some are wanted
_MOST_ROWS_PER_BYTE = 8
_MOST_VALUES_PER_ROW = 1000
_MOST_TEXT_AT_ONCE = 256 << 20  # bytes of a column in a row group
Batches = Callable[[int, list[str] | None], Iterator[pa.RecordBatch]]


class AbsentTableError(InputError):
    """No file is where the table was: its rows are gone, as a file of one image is that was deleted."""


class ArrowTable(NamedTuple):
    """A table that is open. batches: at most so many rows at a time, of the columns named or of all; from the first row
    on at each call, while no earlier one is read on."""

    schema: pa.Schema
    batches: Batches
    parquet: pq.ParquetFile | None = None

    def rows(self, size: int, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        for batch in self.batches(size, columns):
            yield from plain_rows(batch)


@contextmanager
def arrow_table(what: str, location: str) -> Iterator[ArrowTable]:
    """Open a table by its extension: .arrow is a stream or a file of Arrow's, anything else Parquet.

    Raises InputError, which calls it by `what` and its location, for what is neither, is damaged, has a column twice,
    or text that is no UTF-8; AbsentTableError where there is no file.
    """
    place, state = f"{what} {unsigned(location)}", "cannot be read"
    opened = _arrow if location.partition("?")[0].lower().endswith(".arrow") else _parquet
    try:
        with opened(location) as table:
            require_once(place, table.schema.names)
            state = "is damaged"
            yield table
    except pa.ArrowException as error:
        if pointer := _pointer(location):
            raise InputError(f"{place} is {pointer}") from None
        raise InputError(f"{place} {state}: {str(error).partition(chr(10))[0]}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is damaged: text that is not UTF-8 ({error.reason})") from None
    except OSError as error:
        kind = AbsentTableError if error.errno == errno.ENOENT else InputError
        raise kind(f"{place} {state}: {str(error.strerror or error).partition(chr(10))[0]}") from None


def _pointer(location: str) -> str:
    """What a file is that only stands for the table."""
    with suppress(OSError), open_binary(location) as handle:
        return why_not_there(handle.read(64))
    return ""


def rows_at(table: ArrowTable, wanted: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The wanted rows, in rising order, each as a batch of one row. Of a Parquet file only the row groups are read that
    hold one. There are fewer where the table is shorter."""
    for start, batch in _batches_with(table, wanted):
        for row in wanted[bisect_left(wanted, start) : bisect_left(wanted, start + batch.num_rows)]:
            yield batch.slice(row - start, 1)


def _batches_with(table: ArrowTable, wanted: Sequence[int]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches with the number of their first row."""
    start = 0
    if table.parquet is None:
        for batch in table.batches(_MOST_BATCH, None):
            yield start, batch
            start += batch.num_rows
        return
    metadata = table.parquet.metadata
    size = min(_MOST_BATCH, _rows_at_once(metadata))
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        place, start = start, start + rows
        if bisect_left(wanted, place) < bisect_left(wanted, start):
            for batch in table.parquet.iter_batches(size, row_groups=[group]):
                yield place, batch
                place += batch.num_rows


def schema_as_written(location: str) -> pa.Schema:
    """The columns of a table as its file has them: `arrow_table` reads text as dictionaries. Raises as it does."""
    with arrow_table("table", location) as table:
        if table.parquet is None:
            return table.schema
        with open_binary(location) as handle:
            return pq.read_schema(handle)


@contextmanager
def _parquet(location: str) -> Iterator[ArrowTable]:
    with open_binary(location) as handle:
        metadata = pq.read_metadata(handle)
        texts = [field.name for field in metadata.schema.to_arrow_schema() if _is_text(field.type)]
        _require_sound(location, metadata, handle.seek(0, os.SEEK_END), texts)
        # A value that is there a million times is kept once
        file = pq.ParquetFile(handle, metadata=metadata, read_dictionary=texts)
        most = _rows_at_once(metadata)

        def batches(size: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
            return file.iter_batches(min(size, most), columns=columns)  # type: ignore[no-any-return]

        yield ArrowTable(file.schema_arrow, batches, file)


def _require_sound(location: str, metadata: pq.FileMetaData, size: int, texts: Collection[str]) -> None:
    """Raise InputError for more rows, values in a row, or text in a row than a file of so many bytes has for images."""
    table = f"table {unsigned(location)}"
    if metadata.num_rows > _MOST_ROWS_PER_BYTE * size:
        raise InputError(f"{table} has {metadata.num_rows:,} rows in {size:,} bytes: no list of images")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            rows, unpacked, where = max(group.num_rows, 1), column.total_uncompressed_size, column.path_in_schema
            much = ""
            if column.num_values > _MOST_VALUES_PER_ROW * rows:
                much = f"{column.num_values:,} values"
            elif where in texts and unpacked > max(_MOST_TEXT_AT_ONCE, MOST_TEXT * rows):
                much = f"{unpacked:,} bytes of text"
            if much:
                raise InputError(f"{table} has {much} in {rows:,} rows of {where[:80]!r}: take it out")


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """Rows of at most `_AT_ONCE` bytes, by their mean in the row group with the largest ones."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    largest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
    return max(1, int(_AT_ONCE / max(largest, 1)))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


@contextmanager
def _arrow(location: str) -> Iterator[ArrowTable]:
    with open_binary(location) if is_url(location) else pa.memory_map(location) as handle:
        is_file = handle.read(len(_FILE_MAGIC)) == _FILE_MAGIC
        if unpacked := oversized_batch(handle, is_file):
            raise InputError(
                f"table {unsigned(location)} has {unpacked:,} bytes in one batch: write it in smaller ones"
            )
        opened = pa.ipc.open_file if is_file else pa.ipc.open_stream

        def batches(size: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
            handle.seek(0)
            with opened(handle) as reader:
                read = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
                yield from _parts(read, size, columns)

        handle.seek(0)
        with opened(handle) as reader:
            schema = reader.schema
        yield ArrowTable(schema, batches)


def _parts(batches: Iterator[pa.RecordBatch], size: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        chosen = batch if columns is None else batch.select(columns)
        chosen.validate(full=True)  # damaged offsets lead out of the file, to where reading kills the process
        for low in range(0, chosen.num_rows, size):
            yield chosen.slice(low, size)


def plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of a batch; times, whatever their unit and range, as text."""
    if not batch.num_columns:
        return [{} for _ in range(batch.num_rows)]
    columns = [_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    """Python's own dates end in year 9999 and know no nanoseconds."""
    return [_value(cell) for cell in column] if _holds_time(column.type) else _bounded(column).to_pylist()


def _bounded(column: pa.Array) -> pa.Array:
    """Text that is longer than any that is kept is cut before it becomes values: it will be left out."""
    if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
        return pa.DictionaryArray.from_arrays(column.indices, _bounded(column.dictionary))
    if _is_text(column.type) and (pc.max(pc.binary_length(column)).as_py() or 0) > MOST_TEXT:
        return pc.utf8_slice_codeunits(column, 0, CUT_TEXT)
    return column


def _holds_time(kind: pa.DataType) -> bool:
    inner = [kind.value_type] if pa.types.is_dictionary(kind) else [kind.field(i).type for i in range(kind.num_fields)]
    if isinstance(kind, pa.BaseExtensionType):
        inner = [kind.storage_type]
    return _is_time(kind) or any(map(_holds_time, inner))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def _value(cell: pa.Scalar) -> Any:
    kind = cell.type
    if not cell.is_valid:
        return None
    if pa.types.is_duration(kind):
        return f"{cell.value} {kind.unit}"
    if _is_time(kind):
        return _time_as_text(cell)
    if pa.types.is_struct(kind):
        return {kind.field(i).name: _value(cell[i]) for i in range(kind.num_fields)}
    if pa.types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType):
        return _value(cell.value)
    values = getattr(cell, "values", None)  # of any kind of list, and of a map
    return cell.as_py() if values is None else [_value(entry) for entry in values]


def _time_as_text(cell: pa.Scalar) -> str:
    """As ISO 8601 has it; a time with a zone is that of UTC."""
    kind = cell.type
    zone = "Z" if pa.types.is_timestamp(kind) and kind.tz else ""
    if zone:
        cell = cell.cast(pa.timestamp(kind.unit))
    text = str(cell.cast(pa.string()).as_py())
    return (text.rstrip("0").rstrip(".") if "." in text else text) + zone
