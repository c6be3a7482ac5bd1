"""Does a store of faces stand for the images that it is taken to stand for? Held against the store of those images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.reconcile import KEY, Keys, Table, file_key, text_key
from memaudit.faces.names import face_id, file_tombstone, tombstone
from memaudit.faces.rows import FaceRow, face_rows
from memaudit.images.parts import file_of
from memaudit.store import NO_FILE, Store
from memaudit.types import Coverage, Status

_FAULTS = ("missing", "changed", "forgotten", "unreadable")


class FaceCoverage(NamedTuple):
    """Of the images of a store, how many were searched for faces as they are. The others: those that the store of faces
    lacks (missing), has with another file (changed), was made to forget, wholly or in part (forgotten), or could not
    read (unreadable). by_name: covered by their image_id alone, for the store of images knows no file of them.
    others: images that only the store of faces has."""

    images: int
    covered: int
    missing: int
    changed: int
    forgotten: int
    unreadable: int
    by_name: int
    others: int

    @property
    def coverage(self) -> Coverage:
        return Coverage(self.covered, self.images)

    @property
    def absent(self) -> int:
        """Images of which the store of faces does not even say that they could not be read."""
        return self.missing + self.changed + self.forgotten

    def as_text(self) -> str:
        """What is wrong, in words; empty if nothing is."""
        return ", ".join(f"{getattr(self, name):,} {name}" for name in _FAULTS if getattr(self, name))


class _Image(NamedTuple):
    """What a store of faces says of an image. whole: no face of it was forgotten."""

    name: bytes
    file: bytes
    readable: bool
    whole: bool


def coverage_of(faces: Store, images: Store) -> FaceCoverage:
    """Hold the images of a store of faces against a store of images. Memory: 42 bytes an image of the store of faces.

    An image without content or without a face counts as searched: it has a row that says so. The pictures of a sheet
    and the frames of a film count with their file, of whose films the counts of faces tell.
    """
    stones = frozenset(faces.manifest.forgotten)
    table = _table(faces, stones)
    seen = np.zeros(len(table.files), bool)
    counts = dict.fromkeys(FaceCoverage._fields, 0)
    for columns in images.iter_columns():
        for image_id, sha256 in zip(columns.image_id, columns.sha256, strict=True):
            row = table.ids.row_of(text_key(image_id))
            if row < 0 and _is_with_its_file(image_id, table):
                continue
            seen[row] |= row >= 0
            counts[_state(table, row, sha256) if row >= 0 else _absence(image_id, sha256, stones)] += 1
            counts["by_name"] += row >= 0 and sha256 == NO_FILE
    images_in_all = sum(counts[name] for name in ("covered", *_FAULTS))
    return FaceCoverage(**{**counts, "images": images_in_all, "others": int((~seen).sum())})


class _Table(NamedTuple):
    """The images of a store of faces, by image_id."""

    ids: Table
    files: Keys
    readable: NDArray[np.bool_]
    whole: NDArray[np.bool_]


def _table(faces: Store, stones: frozenset[str]) -> _Table:
    names, files, readable, whole = bytearray(), bytearray(), bytearray(), bytearray()
    for image in _images(faces, stones):
        names += image.name
        files += image.file
        readable.append(image.readable)
        whole.append(image.whole)
    ids = Table.of(np.frombuffer(names, KEY), np.arange(len(readable)))
    return _Table(ids, np.frombuffer(files, KEY), np.frombuffer(readable, bool), np.frombuffer(whole, bool))


def _is_with_its_file(image_id: str, table: _Table) -> bool:
    """What transparency hides is seen on none."""
    file = file_of(image_id)
    return bool(file) and not image_id.startswith(f"{file}#channel=") and table.ids.row_of(text_key(file)) >= 0


def _state(table: _Table, row: int, sha256: str) -> str:
    if not table.readable[row]:
        return "unreadable"
    if not table.whole[row]:
        return "forgotten"
    same = sha256 == NO_FILE or table.files[row] == file_key(sha256).rstrip(b"\0")
    return "covered" if same else "changed"


def _absence(image_id: str, sha256: str, stones: frozenset[str]) -> str:
    return "forgotten" if stones & {tombstone(image_id), file_tombstone(sha256)} else "missing"


def _images(faces: Store, stones: frozenset[str]) -> Iterator[_Image]:
    """The rows of an image stand together. Its faces are numbered from 1 on: a number left out was forgotten, and so
    may be those after the last."""
    for parent, group in groupby(_rows(faces), lambda row: row.face.parent):
        rows = list(group)
        highest = max(row.face.number for row in rows)
        gaps = len(rows) < highest or tombstone(face_id(parent, highest + 1)) in stones
        whole = not (stones and highest and gaps)
        yield _Image(text_key(parent), file_key(rows[0].face.file), bool(highest) or rows[0].readable, whole)


class _Row(NamedTuple):
    face: FaceRow
    readable: bool


def _rows(faces: Store) -> Iterator[_Row]:
    for columns in faces.iter_columns():
        yield from map(_Row, face_rows(columns), (columns.status != Status.UNREADABLE).tolist())
