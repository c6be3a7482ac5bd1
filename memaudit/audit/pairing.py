"""The pairing: which training image a generation's prompt was taken from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memaudit.errors import InputError
from memaudit.records import Int64
from memaudit.store import Store

GENERATION_COLUMNS = ("generation", "query_id")
REFERENCE_COLUMNS = ("image_id", "reference_id", "training_id")


@dataclass(frozen=True)
class Prompted:
    """One line of a pairing file."""

    reference_id: str
    prompt: str


def read_pairing(path: str | Path) -> dict[str, Prompted]:
    """Read a CSV of generation, image_id and optionally prompt; keys are generations' image_ids.

    Raises InputError for an unreadable file, absent columns, no line at all, a line with more fields than columns
    (an unquoted comma), an empty or a repeated generation.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            header = list(reader.fieldnames or ())
            generation = _column(path, header, GENERATION_COLUMNS)
            reference = _column(path, header, REFERENCE_COLUMNS)
            return _collected(path, reader, generation, reference)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"pairing {path} cannot be read: {error}") from None


def _column(path: Path, header: Sequence[str], names: tuple[str, ...]) -> str:
    for name in names:
        if name in header:
            return name
    raise InputError(f"pairing {path} has no column {names[0]!r}: its header is {', '.join(header) or 'empty'}")


def _collected(path: Path, reader: csv.DictReader[str], generation: str, reference: str) -> dict[str, Prompted]:
    pairing: dict[str, Prompted] = {}
    for row in reader:
        place = f"pairing {path}, line {reader.line_num}"
        key, target = row[generation], row[reference]
        if reader.restkey in row:
            raise InputError(f"{place}: more fields than columns; put a text with commas in quotes")
        if not key or not target:
            raise InputError(f"{place}: the generation or its training image_id is empty")
        if key in pairing:
            raise InputError(f"{place}: generation {key!r} occurs twice")
        pairing[key] = Prompted(target, row.get("prompt") or "")
    if not pairing:
        raise InputError(f"pairing {path} has a header and no line: name at least one generation, or leave it out")
    return pairing


def rows_of(store: Store, image_ids: set[str]) -> dict[str, int]:
    """The store rows of the given image_ids, those that it has. Memory: the ids asked for."""
    found: dict[str, int] = {}
    start = 0
    for columns in store.iter_columns():
        for offset, image_id in enumerate(columns.image_id):
            if image_id in image_ids:
                found[image_id] = start + offset
        start += len(columns.image_id)
    return found


def paired_rows(generations: Store, references: Store, pairing: Mapping[str, Prompted]) -> Int64:
    """For each row of the generations the reference row of its prompt; -1 where there is none."""
    known = rows_of(references, {entry.reference_id for entry in pairing.values()})
    ids = (image_id for columns in generations.iter_columns() for image_id in columns.image_id)
    rows = (known.get(pairing[i].reference_id, -1) if i in pairing else -1 for i in ids)
    return np.fromiter(rows, dtype=np.int64, count=len(generations))
