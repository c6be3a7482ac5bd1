"""What a cell of a table says, as text; and which columns say what, whatever their names' case."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from memaudit.errors import InputError

PATH_COLUMNS = (
    *("path", "uri", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image", "url"),
    "image_url",
)
ID_COLUMNS = ("image_id", "id", "key", "uid")
CAPTION_COLUMNS = ("caption", "text", "prompt")
_KNOWN = frozenset((*PATH_COLUMNS, *ID_COLUMNS, *CAPTION_COLUMNS))
Row = Mapping[str, Any]
_SHORT_BYTES = 64  # a hash; what is longer is content
# Wherever one of these stands, some reader of lines ends the line: those of str.splitlines.
_LINE_BREAK = re.compile("[\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")


class Cell(NamedTuple):
    """What was found, and in which column; "" and "" for nothing."""

    column: str
    text: str


_NOTHING = Cell("", "")


def first_of(row: Row, names: Sequence[str]) -> Cell:
    """The first of the named columns that holds something."""
    for column in columns_called(tuple(row), tuple(names)):
        if text := text_of(row[column]):
            return Cell(column, text)
    return _NOTHING


@lru_cache(maxsize=256)
def columns_called(columns: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the columns that go by the names, in the names' order: by the very name, else in whatever case."""
    exact = set(columns)
    folded = {column.casefold(): column for column in reversed(columns)}
    found = (name if name in exact else folded.get(name) for name in names)
    return tuple(name for name in found if name is not None)


def text_of(value: Any) -> str:
    """A value as text: nothing for None and NaN, bytes as UTF-8, of a list its first text, nothing of a mapping."""
    match value:
        case str():
            return value
        case None | Mapping():
            return ""
        case float():
            return "" if math.isnan(value) else str(value)
        case bytes():
            return os.fsdecode(value)
        case list() | tuple():
            return next(filter(None, map(text_of, value)), "")
    return str(value)


def as_metadata(row: Row, used: Collection[str] = ()) -> str:
    """The columns that were not `used`, as a JSON object; empty when there are none. Long bytes are named by digest."""
    rest = {name: _plain(value) for name, value in row.items() if name not in used and not _is_empty(name, value)}
    return json.dumps(rest, ensure_ascii=False) if rest else ""


def _is_empty(name: str, value: Any) -> bool:
    is_text = not isinstance(value, list | tuple | Mapping)
    return value is None or (name.casefold() in _KNOWN and is_text and not text_of(value))


def _plain(value: Any) -> Any:
    """What JSON can hold of a value; NaN and infinity, which it cannot, are null."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return _bytes_as_text(value)
        case Mapping():
            return {str(key): _plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_plain(entry) for entry in value]
    return str(value)


def _bytes_as_text(value: bytes) -> str:
    try:
        text = value.decode()
        if text.isprintable():
            return text
    except UnicodeDecodeError:
        pass
    if len(value) <= _SHORT_BYTES:
        return value.hex()
    return f"{len(value):,} bytes, sha256 {hashlib.sha256(value).hexdigest()}"


def storable(text: str) -> str:
    """Escape what UTF-8 columns cannot hold: bytes of odd file names, halves of surrogate pairs, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def storable_uri(text: str) -> str:
    """The same for a uri, which may hold the bytes of odd file names as they are."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape").replace("\0", "\\0")
    except UnicodeEncodeError:
        return storable(text)


def storable_id(text: str) -> str:
    """The same for an image_id, which is one line besides: lists of image_ids have one a line."""
    return _LINE_BREAK.sub(lambda found: found[0].encode("unicode_escape").decode(), storable(text))


def lines_of(image_ids: Iterable[str]) -> str:
    """A list of image_ids, one a line. Raises InputError for one that is no line: those of stores of memaudit 0.2 and
    before may have line breaks, and a list would name other images."""
    ids = list(image_ids)
    if bad := [name for name in ids if "\n" in name or "\r" in name]:
        raise InputError(f"image_id {bad[0][:80]!r} has a line break in it: a list of lines cannot name it")
    return "".join(f"{name}\n" for name in ids)
