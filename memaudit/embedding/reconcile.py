"""What a store holds already, seen from the sources: which of its images are there unchanged, and which are new."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.said import Said
from memaudit.errors import InputError
from memaudit.images.addresses import unsigned
from memaudit.images.image_ref import ImageRef
from memaudit.images.opt_outs import opt_outs_in_file
from memaudit.images.remote import local_path
from memaudit.images.sources import read_image
from memaudit.store import NO_FILE, Store, counted
from memaudit.types import Int64, Status

Keys = NDArray[np.bytes_]
KEY = np.dtype("S16")  # 128 bits of a hash: nobody can make two files that agree in them


class Table(NamedTuple):
    """Row numbers by key, sorted. Memory: 24 bytes a key."""

    keys: Keys
    rows: Int64

    @classmethod
    def of(cls, keys: Keys, rows: Int64) -> Table:
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], rows[order])

    def joined(self, later: Table) -> Table:
        """With those of a table of later rows."""
        return Table.of(np.concatenate([self.keys, later.keys]), np.concatenate([self.rows, later.rows]))

    def row_of(self, key: bytes) -> int:
        """The first row with this key, or -1."""
        place = int(np.searchsorted(self.keys, key))
        found = place < len(self.keys) and self.keys[place] == key.rstrip(b"\0")
        return int(self.rows[place]) if found else -1

    def has(self, key: bytes, row: int) -> bool:
        """Whether this row has this key. A key may have several."""
        first, last = (int(np.searchsorted(self.keys, key, side)) for side in ("left", "right"))
        return row in self.rows[first:last]


class KnownFiles:
    """The files that a store has embeddings of, by hash: none of them needs to be embedded again.

    Any thread may ask while another one adds. They lie in tables of rising rows, each at least twice as large as the
    next: what is added costs a few small sorts, and not one of all that is known. Memory: 24 bytes a row.
    """

    def __init__(self) -> None:
        self._tables: tuple[Table, ...] = ()

    def row_of(self, sha256: str) -> int:
        """The first row that was embedded from this file, or -1."""
        key = file_key(sha256)
        return next((row for table in self._tables if (row := table.row_of(key)) >= 0), -1)

    def add(self, files: Iterable[tuple[int, str]]) -> None:
        """Add rows with the sha256 of their files, in rising order: of equal files the first one counts."""
        keys, rows = bytearray(), array("q")
        for row, sha256 in files:
            keys += file_key(sha256)
            rows.append(row)
        tables = [*self._tables, Table.of(np.frombuffer(keys, KEY), np.asarray(rows, dtype=np.int64))]
        while len(tables) > 1 and len(tables[-2].rows) < 2 * len(tables[-1].rows):
            tables[-2:] = [tables[-2].joined(tables[-1])]
        self._tables = tuple(tables)


def known_files(store: Store) -> KnownFiles:
    """The files of all rows with an embedding. Imported rows have none."""
    read = store.iter_columns(only=("status", "sha256"))
    files = (file for columns in read for file in zip(columns.status, columns.sha256, strict=True))
    known = KnownFiles()
    known.add(embedded_files(files, 0))
    return known


def embedded_files(files: Iterable[tuple[str, str]], start: int) -> Iterator[tuple[int, str]]:
    """Number (status, sha256) of successive rows from `start` on, and leave out what has no embedding or no file."""
    return (
        (row, sha256) for row, (status, sha256) in enumerate(files, start) if status == Status.OK and sha256 != NO_FILE
    )


class KnownRows(NamedTuple):
    """The rows of a store by image_id and by uri, and the key of each one's file (rows,). Memory: 64 bytes a row."""

    ids: Table
    uris: Table
    files: Keys

    def row_of(self, ref: ImageRef) -> int:
        """The row of an image, or -1."""
        return self.row_of_id(ref.image_id)

    def row_of_id(self, image_id: str) -> int:
        return self.ids.row_of(text_key(image_id))


def known_rows(store: Store) -> KnownRows:
    ids, uris, files = bytearray(), bytearray(), bytearray()
    for columns in store.iter_columns(only=("image_id", "uri", "sha256")):
        for image_id, uri, sha256 in zip(columns.image_id, columns.uri, columns.sha256, strict=True):
            ids += text_key(image_id)
            uris += place_key(uri)
            files += file_key(sha256)
    rows = np.arange(len(store))
    by_id, by_uri = (Table.of(np.frombuffer(keys, KEY), rows) for keys in (ids, uris))
    return KnownRows(by_id, by_uri, np.frombuffer(files, KEY))


class ImageState(StrEnum):
    """What the sources say of an image beside what the store says."""

    NEW = "new"
    SAME = "same"
    OTHER_FILE = "other file"
    READABLE_NOW = "readable now"
    UNREADABLE_NOW = "unreadable now"
    MOVED = "moved"  # the same file at another place than the store says
    OTHER_NAME = "other name"  # the store has this very place under another image_id


class ComparedImage(NamedTuple):
    """An image of the sources beside the store's: its row there, -1 if it is new. said: what the sources say of one
    whose file is the same; otherwise: the store says something else."""

    image_id: str
    row: int
    state: ImageState
    said: Said | None = None
    otherwise: bool = False


def compare(known: KnownRows, ref: ImageRef) -> ComparedImage:
    """Reads the file only of an image that the store has under this image_id."""
    row = known.row_of(ref)
    if row < 0:
        row = known.uris.row_of(place_key(ref.uri))
        return ComparedImage(ref.image_id, row, ImageState.NEW if row < 0 else ImageState.OTHER_NAME)
    data = _read(ref)
    state = _state_of(known.files[row], file_key(_sha256(data)).rstrip(b"\0"))
    if state is not ImageState.SAME:
        return ComparedImage(ref.image_id, row, state)
    if known.files[row] and not known.uris.has(place_key(ref.uri), row):
        state = ImageState.MOVED
    return ComparedImage(ref.image_id, row, state, Said(ref.caption, ref.metadata, opt_outs_in_file(data or b"")))


def _state_of(stored: bytes, found: bytes) -> ImageState:
    """Keys as numpy hands them out: without the NULs at their end, so that of no file nothing is left."""
    if stored == found:
        return ImageState.SAME
    return (
        ImageState.OTHER_FILE if stored and found else ImageState.UNREADABLE_NOW if stored else ImageState.READABLE_NOW
    )


class Reconciliation(NamedTuple):
    """current (rows,) bool: the sources have this row's image, with the same file. odd: the first image of which they
    say something else, or None; other: the first whose file, or name, is another one. moved: rows whose image the
    sources have at another place. readable, unreadable: rows whose file could not be read and now can, and the other
    way about. otherwise: rows of the same file of which the sources say something else."""

    current: NDArray[np.bool_]
    odd: ComparedImage | None
    other: ComparedImage | None
    moved: Int64
    readable: Int64
    unreadable: Int64
    otherwise: Int64

    def so_far(self) -> Reconciliation:
        """The same of a store that is not done: a file that cannot be read at one time is no other file."""
        current = self.current.copy()
        current[self.readable] = current[self.unreadable] = True
        return self._replace(current=current, odd=self.other)


def reconcile(
    rows: int, compared: Iterable[ComparedImage], *, in_order: bool, tick: Callable[[int], None]
) -> Reconciliation:
    """Hold the rows against the sources, until all were seen. With `in_order` they must have the same row numbers and
    places, too."""
    current, odd, other, unseen = np.zeros(rows, bool), None, None, rows
    otherwise = array("q")
    of = {state: array("q") for state in (ImageState.MOVED, ImageState.READABLE_NOW, ImageState.UNREADABLE_NOW)}
    for place, image in enumerate(compared if rows else ()):
        if image.state not in (ImageState.NEW, ImageState.SAME, ImageState.MOVED):
            odd = odd or image
            other = other or (None if image.state in of else image)
        if image.state in (ImageState.NEW, ImageState.OTHER_NAME):
            continue
        if image.state in of:
            of[image.state].append(image.row)
        if image.otherwise:
            otherwise.append(image.row)
        if image.state is ImageState.MOVED and not in_order:
            current[image.row] = True
        else:
            current[image.row] = image.state is ImageState.SAME and (image.row == place or not in_order)
        unseen -= 1
        tick(1)
        if not unseen:
            break
    found = (np.asarray(each, dtype=np.int64) for each in (*of.values(), otherwise))
    return Reconciliation(current, odd, other, *found)


def require_distinct(image_ids: Callable[[], Iterable[str]]) -> int:
    """Count image_ids; raise InputError for a repeated one. Called twice if need be. Memory: 8 bytes an id."""
    found = counted(image_ids)
    if found.repeated is not None:
        raise InputError(f"image_id {found.repeated!r} occurs twice in the sources: give each image its own id")
    return found.number


def text_key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=KEY.itemsize).digest()


def place_key(uri: str) -> bytes:
    """The same for a path and for the URL of it, and for a URL that was signed anew."""
    return text_key(unsigned(local_path(uri)))


def file_key(sha256: str) -> bytes:
    return bytes.fromhex(sha256[: 2 * KEY.itemsize])


def _read(ref: ImageRef) -> bytes | None:
    try:
        return bytes_of(ref)
    except (OSError, InputError):  # which its row says, once it is embedded
        return None


def _sha256(data: bytes | None) -> str:
    return NO_FILE if data is None else hashlib.sha256(data).hexdigest()


def bytes_of(ref: ImageRef) -> bytes:
    return read_image(ref.uri) if ref.data is None else ref.data
