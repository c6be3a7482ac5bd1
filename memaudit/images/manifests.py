"""Manifests: a row for each image with its path or URL, and whatever else is known of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from memaudit.errors import InputError
from memaudit.files import lines_in, reason_of
from memaudit.images.addresses import beside, unsigned
from memaudit.images.arrow_rows import arrow_table
from memaudit.images.cells import CAPTION_COLUMNS, ID_COLUMNS, PATH_COLUMNS, Cell, Row, as_metadata, first_of
from memaudit.images.image_ref import ImageRef
from memaudit.images.reading import open_binary
from memaudit.images.remote import plain_name
from memaudit.images.text_rows import TEXT_TABLES, text_rows

LIST = ".txt"
MANIFESTS = (*TEXT_TABLES, LIST)
_ARROW_ROWS = 1024


def iter_manifest(location: str) -> Iterator[ImageRef]:
    """Yield the images that a manifest names, in its order; paths are relative to the manifest.

    Columns: one of PATH_COLUMNS, and optionally one of ID_COLUMNS and CAPTION_COLUMNS; what is not taken for one of
    them becomes metadata. Without an id column the path is the image_id, without the signature of a signed URL.
    Raises InputError with the line for what cannot be understood.
    """
    for number, row in enumerate(_rows(location), start=1):
        yield _ref(location, f"manifest {unsigned(location)}, entry {number}", row)


def _rows(location: str) -> Iterator[Row]:
    name, shown = plain_name(location), unsigned(location)
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in MANIFESTS:
        with arrow_table("manifest", location) as table:
            yield from table.rows(_ARROW_ROWS)
        return
    try:
        with open_binary(location) as handle:
            if suffix == LIST:
                yield from ({"path": line.rstrip("\r\n")} for line in lines_in(handle) if line.strip())
            else:
                yield from (row for _, row in text_rows("manifest", shown, handle))
    except OSError as error:
        raise InputError(f"manifest {shown} cannot be read: {reason_of(error)}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"manifest {shown} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def _ref(manifest: str, entry: str, row: Row) -> ImageRef:
    place, image_id, caption = _place(row), first_of(row, ID_COLUMNS), first_of(row, CAPTION_COLUMNS)
    if not place.text:
        raise InputError(
            f"{entry}: no image path; expected one of the columns {', '.join(PATH_COLUMNS)}, found "
            f"{', '.join(row) or 'none'}"
        )
    for cell in (place, image_id):
        _require_single(entry, cell.column, row)
    try:
        uri = beside(manifest, place.text)
    except ValueError:  # NUL, or half a surrogate pair
        raise InputError(f"{entry}: {place.text!r} cannot be a path") from None
    used = {place.column, image_id.column, *([] if _is_several(row.get(caption.column)) else [caption.column])}
    return ImageRef(image_id.text or unsigned(place.text), uri, caption.text, as_metadata(row, used))


def _place(row: Row) -> Cell:
    """The path or URL; also that of Hugging Face's image that is stored by its path, {"bytes": null, "path": ...}."""
    found = first_of(row, PATH_COLUMNS)
    inner = row.get("image")
    if not found.text and isinstance(inner, dict):
        return Cell("image", first_of(inner, PATH_COLUMNS).text)
    return found


def _require_single(entry: str, column: str, row: Row) -> None:
    if _is_several(row.get(column)):
        raise InputError(f"{entry}: the column {column} holds {len(row[column])} values: give each image its own row")


def _is_several(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1
