"""Tables with images inside: Parquet files, and the Arrow files of a Hugging Face dataset on disk."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from memaudit.errors import InputError
from memaudit.images.addresses import beside, unsigned
from memaudit.images.arrow_rows import ArrowTable, arrow_table, plain_rows
from memaudit.images.cells import (
    CAPTION_COLUMNS,
    ID_COLUMNS,
    PATH_COLUMNS,
    Row,
    as_metadata,
    columns_called,
    first_of,
)
from memaudit.images.formats import shows_images_as_text
from memaudit.images.image_ref import ImageRef
from memaudit.images.passed_over import IN_COLUMNS, PassedOver

IMAGE_COLUMNS = ("image", "jpg", "png", "webp", "img", "image_bytes", "bytes")
_NO_IMAGES = {*PATH_COLUMNS, *ID_COLUMNS, *CAPTION_COLUMNS} - {"image", "file"}  # whose bytes are text
_BATCH_ROWS = 16
_BEGINNING = 256  # characters of a text in which an image as base64 begins
_LOOKED_AT = 16  # cells of a column of bytes whose name does not tell
_ROW = re.compile(r"(?P<location>.+\.(parquet|arrow)(\?[^#]*)?)#row=(?P<row>\d+)", re.DOTALL | re.IGNORECASE)
_HUGGING_FACE_STATE = "state.json"
_BEGINNINGS = re.compile(  # a bare JPEG XL's two bytes begin a hash, too, and no hash is longer than 64
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|II\*\0|MM\0\*|BM....\0\0\0\0|....ftyp|\xff\x0a.{63}|\0\0\0\x0cJXL ",
    re.DOTALL,
)


class UnplacedImagesError(InputError):
    """A table holds images where no reader of ours looks for them: passing it over would lose them in silence."""


def holds_images(location: str) -> bool:
    """Whether a table holds the images themselves. Raises InputError if it cannot be read, UnplacedImagesError if it
    does, but not as one image a row in one column."""
    with arrow_table("table", location) as table:
        return _image_column(location, table) is not None


def _image_column(location: str, table: ArrowTable) -> str | None:
    """The column with the images' bytes, plain or in a struct with a field `bytes`; None if there is none.

    A column of another name is it if it is the only one with images, by the first bytes of its first cells.
    """
    schema = table.schema
    plain: list[str] = [
        field.name for field in schema if _is_bytes(field.type) and field.name.casefold() not in _NO_IMAGES
    ]
    if known := columns_called(tuple(plain), IMAGE_COLUMNS):
        return known[0]
    others = [field.name for field in schema if field.name not in plain and _holds(field.type)]
    shown = [name for name in (*plain, *others) if _shows_images(table, name)]
    if len(shown) == 1 and shown[0] in plain:
        return str(shown[0])
    if shown:
        kinds = ", ".join(f"{name} ({_kind(schema.field(name).type)})" for name in shown)
        raise UnplacedImagesError(
            f"table {unsigned(location)} holds images that are not read, in {kinds}: give it one image a row, in a "
            f"column of one of the names {', '.join(IMAGE_COLUMNS)}; or take it out of the source"
        )
    return plain[0] if len(plain) == 1 and not columns_called(tuple(schema.names), PATH_COLUMNS) else None


def _kind(kind: pa.DataType) -> pa.DataType:
    """What the values of a column are; text is read as a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_bytes(kind: pa.DataType) -> bool:
    """Bytes of one image: plain, shared, padded, or Hugging Face's struct."""
    if pa.types.is_dictionary(kind):
        return _is_bytes(kind.value_type)
    if pa.types.is_struct(kind):
        return any(kind.field(i).name == "bytes" and _is_bytes(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_fixed_size_binary(kind):
        return bool(kind.byte_width > 64)  # what is shorter is a hash
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or "binary_view" in str(kind))


def _holds(kind: pa.DataType) -> bool:
    """Whether there are bytes anywhere in a column, or text, which may be base64."""
    inner = [kind.value_type] if pa.types.is_dictionary(kind) else [kind.field(i).type for i in range(kind.num_fields)]
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or "string_view" in str(kind)
    return is_text or _is_bytes(kind) or any(map(_holds, inner))


def _shows_images(table: ArrowTable, column: str) -> bool:
    cells = (row[column] for batch in table.batches(_BATCH_ROWS, [column]) for row in plain_rows(batch))
    found = islice((data for cell in islice(cells, 4 * _LOOKED_AT) for data in _bytes_in(cell)), _LOOKED_AT)
    return any(map(_begins_as_image, found))


def _begins_as_image(data: bytes) -> bool:
    return bool(_BEGINNINGS.match(data)) or shows_images_as_text(data[:_BEGINNING])


def _bytes_in(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value[:_BEGINNING].encode("utf-8", "replace")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _bytes_in(inner)


def iter_table(location: str, name: str, passed: PassedOver, *, contents: bool) -> Iterator[ImageRef]:
    """Yield the images of a Parquet file, or of an Arrow file as Hugging Face's `save_to_disk` writes it, in row order,
    with their bytes if `contents`. Pictures in further columns are counted as passed over. Memory: a few rows.

    image_id is an id column if there is one, else `name` # row. Raises InputError if no column holds images.
    """
    with arrow_table("table", location) as table:
        image = require_image_column(location, table)
        columns = [column for column in table.schema.names if contents or column != image]
        others = [field.name for field in table.schema if field.name != image and _holds(field.type)]
        further: Counter[str] = Counter()
        for number, row in enumerate(table.rows(_BATCH_ROWS if contents else 1024, columns)):
            cell = row.pop(image, None)
            further.update({column: count for column in others if (count := _pictures_in(row[column]))})
            ref = _ref(location, name, number, row, cell)
            yield ref if contents else replace(ref, data=None)
    for column, count in further.items():
        passed.add(f"{name}: {column}", IN_COLUMNS, count)


def _pictures_in(cell: Any) -> int:
    """How many pictures begin in a cell. Two bytes, all that a bare JPEG XL begins with, do not tell: those of one
    embedding in 65,536 are the same."""
    return sum(_begins_as_image(data) and data[:2] != b"\xff\x0a" for data in _bytes_in(cell))


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


def require_image_column(location: str, table: ArrowTable) -> str:
    image = _image_column(location, table)
    if image is None:
        raise InputError(
            f"table {unsigned(location)} has no column with images: expected bytes in one of "
            f"{', '.join(IMAGE_COLUMNS)}, found {', '.join(table.schema.names)}"
        )
    return image


class TablePlace(NamedTuple):
    location: str
    row: int


def table_place(uri: str) -> TablePlace | None:
    """What a uri says of a row of a table; None for every other uri."""
    found = _ROW.fullmatch(uri)
    return TablePlace(found["location"], int(found["row"])) if found else None


def read_row(uri: str) -> bytes | None:
    """The bytes of one image of a table, by the uri `LOCATION#row=NUMBER`; None if the uri is of another kind.

    Of a Parquet file only the row group is opened that holds the row: a report shows a few rows of a table that may
    hold millions.
    """
    place = table_place(uri)
    if place is None:
        return None
    location, row = place
    with arrow_table("table", location) as table:
        image = require_image_column(location, table)
        file = table.parquet
        if file is None:
            return _bytes_at(row, table.batches(_BATCH_ROWS, [image]), image)
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
            return content_of(batch.column(image)[row].as_py())
        row -= batch.num_rows
    return None


def _ref(location: str, name: str, number: int, row: Row, cell: Any) -> ImageRef:
    image_id, caption = first_of(row, ID_COLUMNS), first_of(row, CAPTION_COLUMNS)
    used = {image_id.column, *([] if isinstance(row.get(caption.column), list) else [caption.column])}
    uri, content = f"{location}#row={number}", content_of(cell)
    path = _path_in(cell)
    try:
        by_path = beside(location, path) if path and not content else ""
    except ValueError:  # NUL, or half a surrogate pair: it stays an empty cell
        by_path = ""
    return ImageRef(
        image_id.text or f"{name}#{number}",
        by_path or uri,
        caption.text,
        as_metadata(row, used),
        None if by_path else content,
    )


def content_of(cell: Any) -> bytes:
    """The bytes in a cell, plain or in a struct; none in an empty cell: a download that failed."""
    return (cell.get("bytes") if isinstance(cell, dict) else cell) or b""


def _path_in(cell: Any) -> str:
    """Where Hugging Face left an image that it did not read in."""
    return first_of(cell, ("path",)).text if isinstance(cell, dict) else ""
