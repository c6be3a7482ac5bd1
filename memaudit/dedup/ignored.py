"""Pairs that a person has ruled out: they are no near-duplicates, whatever their similarity."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memaudit.errors import InputError
from memaudit.files import reason_of, sha256_of, text_lines
from memaudit.images.text_rows import require_once
from memaudit.similarity import Pairs
from memaudit.store import Columns
from memaudit.types import Int64

LEFT, RIGHT = "left_id", "right_id"


@dataclass(frozen=True)
class RuledOut:
    """The pairs of a file, each once, and the file's sha256. `lines`: where each stands, for messages."""

    path: Path
    digest: str
    pairs: tuple[tuple[str, str], ...]
    lines: tuple[int, ...]


def read_ruled_out(path: str | Path) -> RuledOut:
    """Read a CSV with columns left_id and right_id; further columns are passed over, sides may be in any order.

    The same pair may come again: such files grow. Raises InputError for an unreadable file, an absent column, no line
    at all, a line with more fields than columns (an unquoted comma), an empty id, an image paired with itself.
    """
    path = Path(path)
    try:
        digest = sha256_of(path)
        found = _collected(path, csv.DictReader(text_lines(path, newline=""), strict=True, skipinitialspace=True))
    except UnicodeDecodeError:
        raise InputError(f"ignored pairs {path} are no CSV in UTF-8: write {LEFT},{RIGHT} and a pair a line") from None
    except (OSError, csv.Error) as error:
        raise InputError(f"ignored pairs {path} cannot be read: {reason_of(error)}") from None
    return RuledOut(path, digest, tuple(found), tuple(found.values()))


def _collected(path: Path, reader: csv.DictReader[str]) -> dict[tuple[str, str], int]:
    reader.fieldnames = header = [name.strip() for name in reader.fieldnames or ()]
    require_once(f"ignored pairs {path}", header)
    for name in (LEFT, RIGHT):
        if name not in header:
            raise InputError(f"ignored pairs {path} have no column {name!r}: the header is {', '.join(header)[:200]!r}")
    found: dict[tuple[str, str], int] = {}
    for row in reader:
        left, right = row[LEFT], row[RIGHT]
        place = f"ignored pairs {path}, line {reader.line_num}"
        if reader.restkey in row:
            raise InputError(f"{place}: more fields than columns; put an image_id with commas in quotes")
        if not left or not right:
            raise InputError(f"{place}: {LEFT} or {RIGHT} is empty")
        if left == right:
            raise InputError(f"{place}: {left[:80]!r} is paired with itself; a pair has two images")
        found.setdefault((min(left, right), max(left, right)), reader.line_num)
    if not found:
        raise InputError(f"ignored pairs {path} have a header and no line: name at least one pair, or leave it out")
    return found


def ruled_out_rows(ruled_out: RuledOut, columns: Columns) -> Int64:
    """The rows (n, 2) of the pairs. Raises InputError for an image_id that the store does not have."""
    wanted = {image_id for pair in ruled_out.pairs for image_id in pair}
    row_of = {image_id: row for row, image_id in enumerate(columns.image_id) if image_id in wanted}
    for pair, line in zip(ruled_out.pairs, ruled_out.lines, strict=True):
        for image_id in pair:
            if image_id not in row_of:
                raise InputError(
                    f"ignored pairs {ruled_out.path}, line {line}: the store has no image_id {image_id[:80]!r}"
                )
    return np.array([[row_of[left], row_of[right]] for left, right in ruled_out.pairs], dtype=np.int64)


def ruled_out_positions(apart: Int64, stands_for: Int64, rows: Int64) -> Int64:
    """The ruled-out rows (n, 2) as positions in `rows` of the images that stand for them, each pair once, left < right.

    What is ruled out for an image is so for its exact duplicates: they are the same picture. Pairs of images that
    are not compared (blank, unreadable, in the other set) fall away.
    """
    ends = stands_for[apart]
    inside = np.isin(ends, rows).all(axis=1)
    positions = np.sort(np.searchsorted(rows, ends[inside]), axis=1)
    return np.unique(positions, axis=0).astype(np.int64).reshape(-1, 2)


def without(pairs: Pairs, apart: Int64) -> Pairs:
    """The pairs without the ruled-out ones (n, 2). Memory: a byte a pair, and the pairs among images ruled out."""
    if not len(apart) or not len(pairs.left):
        return pairs
    involved = np.zeros(int(max(pairs.left.max(), pairs.right.max(), apart.max())) + 1, bool)
    involved[apart] = True
    suspects = np.flatnonzero(involved[pairs.left] & involved[pairs.right])
    known = set(map(tuple, apart.tolist()))
    ends = zip(pairs.left[suspects].tolist(), pairs.right[suspects].tolist(), strict=True)
    keep = np.ones(len(pairs.left), bool)
    keep[suspects] = [(min(end), max(end)) not in known for end in ends]
    return pairs.where(keep)
