"""A row of a table as files: its image, what else is bytes, its caption, and the rest as JSON."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pyarrow as pa

from memaudit.errors import InputError
from memaudit.exporting.suffixes import suffix_of
from memaudit.images.addresses import unsigned
from memaudit.images.arrow_rows import plain_rows
from memaudit.images.cells import CAPTION_COLUMNS, as_metadata, first_of
from memaudit.images.tables import content_of

_ODD = re.compile(r"[^\w-]+")


class CellFile(NamedTuple):
    """ending: with its dot; image: 0 for the image of the row, else -1."""

    ending: str
    data: bytes
    image: int = -1


def image_alone(image: str, row: pa.RecordBatch) -> list[CellFile]:
    """The image of a batch of one row, in its column `image`."""
    data = content_of(row.column(image)[0].as_py())
    return [CellFile(suffix_of(data), data, 0)]


def cells_as_files(location: str, image: str, row: pa.RecordBatch) -> list[CellFile]:
    """The files of a batch of one row, the one of its column `image` first.

    Raises InputError for bytes within lists and the like, which are no file and no JSON.
    """
    values = _values(row)
    cell = values.pop(image)
    data = content_of(cell)
    files = [CellFile(suffix_of(data), data, 0)]
    for name in [name for name, value in values.items() if _bytes_in(value) is not None]:
        inner = _bytes_in(values.pop(name)) or b""
        files.append(CellFile(f".{_ODD.sub('_', name)}{suffix_of(inner)}", inner))
    for name, value in values.items():
        if _holds_bytes(value):
            raise InputError(
                f"table {unsigned(location)} has bytes within the values of its column {name!r}, which are no file: "
                "take --to parquet or hf, where rows are copied as they are"
            )
    caption = first_of(values, CAPTION_COLUMNS)
    if caption.text and isinstance(values[caption.column], str):
        files.append(CellFile(".txt", caption.text.encode("utf-8", "backslashreplace")))
        values.pop(caption.column)
    if isinstance(cell, dict) and cell.get("path"):
        values = {**values, "image_path": cell["path"]}
    if rest := as_metadata(values):
        files.append(CellFile(".json", rest.encode("utf-8", "backslashreplace")))
    return files


def _values(row: pa.RecordBatch) -> dict[str, Any]:
    """Text whole, however long it is; all else as `plain_rows` has it."""
    plain = plain_rows(row)[0]
    texts = (name for name, value in plain.items() if isinstance(value, str) and row.column(name)[0].is_valid)
    return plain | {name: value for name in texts if isinstance(value := _text(row.column(name)[0]), str)}


def _text(cell: pa.Scalar) -> object:
    """The text of a cell that holds one; None for times and the like, which `plain_rows` makes text of."""
    kind = cell.type.value_type if pa.types.is_dictionary(cell.type) else cell.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or "string_view" in str(kind)
    return cell.as_py() if is_text else None


def _bytes_in(value: Any) -> bytes | None:
    """The bytes of a cell that is nothing else: plain, or Hugging Face's struct."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict) and value.keys() <= {"bytes", "path"} and isinstance(value.get("bytes"), bytes):
        return bytes(value["bytes"])
    return None


def _holds_bytes(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_bytes, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bytes)
