"""Rows of CSV, TSV, JSON and JSON lines, each with the line that it ends in."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import IO, Any, NamedTuple

from memaudit.errors import InputError
from memaudit.files import lines_in, once
from memaudit.images.cells import Row
from memaudit.images.remote import plain_name

MOST_JSON = 256 << 20  # bytes of an array, which is read at once


class NumberedRow(NamedTuple):
    """A row and where it stands: the line that it ends in, or its place in an array, from 1."""

    number: int
    row: Row


def text_rows(what: str, location: str, handle: IO[bytes]) -> Iterator[NumberedRow]:
    """The rows of a text file, by its extension; what has none of TEXT_TABLES is read as a CSV. Memory: one row; a JSON
    array as a whole.

    Names of columns are stripped of blanks. Raises InputError, which calls the file by `what` and `location`, for
    what cannot be understood: a column twice, a line with more fields than names, JSON that holds no object.
    """
    suffix = os.path.splitext(plain_name(location))[1].lower()
    place = f"{what} {location}"
    try:
        yield from _READERS.get(suffix, _csv_rows)(place, handle)
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text ({error.reason}): save it as UTF-8") from None


def require_once(place: str, names: Sequence[str]) -> None:
    """Raise InputError for a column that is there twice: which of the two is meant nobody can tell."""
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{place} has the column {name[:80]!r} {count} times: give each a name of its own")


def _csv_rows(place: str, handle: IO[bytes]) -> Iterator[NumberedRow]:
    lines = lines_in(handle, newline="")
    first = next(lines, "")
    # Blanks after the commas of the header are blanks after all commas: `path, caption`
    spaced = any(name.startswith(" ") for name in next(csv.reader([first]), []))
    # strict, because a quote that is never closed would swallow the lines after it
    reader = csv.reader(chain([first] if first else [], lines), strict=True, skipinitialspace=spaced)
    try:
        names = _header(place, next(reader, []))
        for fields in filter(None, reader):
            if len(fields) > len(names):
                raise InputError(
                    f"{place}, line {reader.line_num}: more fields than the header has names; put a text with commas "
                    "in quotes"
                )
            yield NumberedRow(reader.line_num, dict(zip_longest(names, fields)))
    except csv.Error as error:
        raise InputError(f"{place}, line {reader.line_num}: not valid CSV: {error}") from None


def _header(place: str, fields: Iterable[str]) -> list[str]:
    """The columns' names; a column without one goes by its number."""
    names = [name.strip() or f"column {number}" for number, name in enumerate(fields, start=1)]
    require_once(place, names)
    return names


def _tsv_rows(place: str, handle: IO[bytes]) -> Iterator[NumberedRow]:
    """A field is what stands between two tabs: by convention nothing is quoted, and a line is a row. Some programs
    quote all the same; a field that is in quotes from its first character to its last loses them."""
    names: list[str] = []
    for number, line in enumerate(lines_in(handle, newline=""), start=1):
        line = line.rstrip("\r\n")
        fields = [_unquoted(field) for field in line.split("\t")]
        if not names:
            names = _header(place, fields)
        elif line and len(fields) != len(names):
            raise InputError(
                f"{place}, line {number}: {len(fields)} field(s), but the header has {len(names)} names; in a TSV no "
                "field can hold a tab or a line break: write such a table as .csv"
            )
        elif line:
            yield NumberedRow(number, dict(zip(names, fields, strict=True)))


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    whole = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if whole else field


def _json_lines(place: str, handle: IO[bytes]) -> Iterator[NumberedRow]:
    for number, line in enumerate(lines_in(handle), start=1):
        if line.strip():
            value = _parsed(f"{place}, line {number}", line.rstrip("\r\n"))
            yield NumberedRow(number, _object(f"{place}, line {number}", value, "a JSON array goes into a .json file"))


def _json_rows(place: str, handle: IO[bytes]) -> Iterator[NumberedRow]:
    """An array of objects."""
    data = handle.read(MOST_JSON + 1)
    if len(data) > MOST_JSON:
        raise InputError(f"{place} is larger than {MOST_JSON >> 20} MiB, and read at once: write JSON lines, .jsonl")
    value = _parsed(place, data.decode("utf-8-sig"))
    if not isinstance(value, list):
        kind = "object" if isinstance(value, dict) else type(value).__name__
        raise InputError(
            f"{place} holds a JSON {kind}: expected an array of objects, one for each row; or write JSON lines, .jsonl"
        )
    for number, entry in enumerate(value, start=1):
        yield NumberedRow(number, _object(f"{place}, entry {number}", entry))


def _parsed(place: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise InputError(f"{place}: not valid JSON: {reason}") from None


def _object(place: str, value: Any, advice: str = "") -> Row:
    if isinstance(value, dict):
        return value
    more = f"; {advice}" if advice and isinstance(value, list) else ""
    raise InputError(f"{place}: expected an object, found {type(value).__name__}{more}")


_READERS: dict[str, Callable[[str, IO[bytes]], Iterator[NumberedRow]]] = {
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
    ".json": _json_rows,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}
TEXT_TABLES = tuple(_READERS)
