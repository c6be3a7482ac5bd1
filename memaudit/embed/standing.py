"""What a store holds already, seen from the sources: which of its images are there unchanged, and which are new."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.images.reading import read_bytes
from memaudit.records import ImageRef, Int64, Status
from memaudit.store import NO_FILE, Store

Keys = NDArray[np.bytes_]
_KEY = np.dtype("S16")  # 128 bits of a hash: nobody can make two files that agree in them


class Table(NamedTuple):
    """Row numbers by key, sorted. Memory: 24 bytes a key."""

    keys: Keys
    rows: Int64

    @classmethod
    def of(cls, keys: Keys, rows: Int64) -> Table:
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], rows[order])

    def row_of(self, key: bytes) -> int:
        """The first row with this key, or -1."""
        place = int(np.searchsorted(self.keys, key))
        found = place < len(self.keys) and self.keys[place] == key.rstrip(b"\0")
        return int(self.rows[place]) if found else -1


class KnownFiles:
    """The files that a store has embeddings of, by hash: none of them needs to be embedded again.

    Any thread may ask while another one adds. Memory: 24 bytes a row.
    """

    def __init__(self) -> None:
        self._table = Table(np.empty(0, _KEY), np.empty(0, np.int64))

    def row_of(self, sha256: str) -> int:
        """The first row that was embedded from this file, or -1."""
        return self._table.row_of(_file_key(sha256))

    def add(self, files: Iterable[tuple[int, str]]) -> None:
        """Add rows with the sha256 of their files, in rising order: of equal files the first one counts."""
        keys, rows = bytearray(), array("q")
        for row, sha256 in files:
            keys += _file_key(sha256)
            rows.append(row)
        old = self._table
        self._table = Table.of(
            np.concatenate([old.keys, np.frombuffer(keys, _KEY)]),
            np.concatenate([old.rows, np.asarray(rows, dtype=np.int64)]),
        )


def known_files(store: Store) -> KnownFiles:
    """The files of all rows with an embedding. Imported rows have none."""
    files = (file for columns in store.iter_columns() for file in zip(columns.status, columns.sha256, strict=True))
    known = KnownFiles()
    known.add(embedded_files(files, 0))
    return known


def embedded_files(files: Iterable[tuple[str, str]], start: int) -> Iterator[tuple[int, str]]:
    """Number (status, sha256) of successive rows from `start` on, and leave out what has no embedding or no file."""
    return (
        (row, sha256) for row, (status, sha256) in enumerate(files, start) if status == Status.OK and sha256 != NO_FILE
    )


class Standing(NamedTuple):
    """The rows of a store by image_id, and the key of each one's file (rows,). Memory: 40 bytes a row."""

    ids: Table
    files: Keys

    def row_of(self, ref: ImageRef) -> int:
        """The row of an image, or -1."""
        return self.ids.row_of(_id_key(ref.image_id))


def standing_of(store: Store) -> Standing:
    ids, files = bytearray(), bytearray()
    for columns in store.iter_columns():
        for image_id, sha256 in zip(columns.image_id, columns.sha256, strict=True):
            ids += _id_key(image_id)
            files += _file_key(sha256)
    return Standing(Table.of(np.frombuffer(ids, _KEY), np.arange(len(store))), np.frombuffer(files, _KEY))


class Sighting(NamedTuple):
    """An image of the sources in the store: its row, -1 if there is none, and whether it has the same file."""

    image_id: str
    row: int
    same: bool


def sight(standing: Standing, ref: ImageRef) -> Sighting:
    """Reads the file only of an image that the store has."""
    row = standing.row_of(ref)
    same = row >= 0 and _file_key(sha256_of(ref)).rstrip(b"\0") == standing.files[row]
    return Sighting(ref.image_id, row, same)


class Survey(NamedTuple):
    """current (rows,) bool: the sources have this row's image, with the same file. changed: the image_id of the first
    one with another file, or None."""

    current: NDArray[np.bool_]
    changed: str | None


def survey(rows: int, sightings: Iterable[Sighting], *, in_order: bool, tick: Callable[[int], None]) -> Survey:
    """Hold the rows against the sources, until all were seen. With `in_order` they must have the same places, too."""
    current, changed, unseen = np.zeros(rows, bool), None, rows
    for place, (image_id, row, same) in enumerate(sightings if rows else ()):
        if row < 0:
            continue
        current[row] = same and (row == place or not in_order)
        changed = image_id if changed is None and not same else changed
        unseen -= 1
        tick(1)
        if not unseen:
            break
    return Survey(current, changed)


def require_distinct(image_ids: Callable[[], Iterable[str]]) -> int:
    """Count image_ids; raise InputError for a repeated one. Called twice if need be. Memory: 8 bytes an id."""
    keys = array("Q", map(_short_key, image_ids()))
    values, counts = np.unique(np.asarray(keys), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if suspects:
        seen: set[str] = set()
        for image_id in image_ids():
            if _short_key(image_id) in suspects:
                if image_id in seen:
                    raise InputError(f"image_id {image_id!r} occurs twice in the sources: give each image its own id")
                seen.add(image_id)
    return len(keys)


def _short_key(image_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(image_id.encode(), digest_size=8).digest(), "big")


def _id_key(image_id: str) -> bytes:
    return hashlib.blake2b(image_id.encode(), digest_size=_KEY.itemsize).digest()


def _file_key(sha256: str) -> bytes:
    return bytes.fromhex(sha256[: 2 * _KEY.itemsize])


def sha256_of(ref: ImageRef) -> str:
    """The hash of an image's file, NO_FILE if it cannot be read."""
    try:
        return hashlib.sha256(bytes_of(ref)).hexdigest()
    except OSError:
        return NO_FILE


def bytes_of(ref: ImageRef) -> bytes:
    return read_bytes(ref.uri) if ref.data is None else ref.data
