"""A finished store, read by blocks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import digest_of
from memaudit.images.image_ref import first_frames_line, is_first_frame_alone
from memaudit.store.columns import Columns, joined
from memaudit.store.manifest import Manifest
from memaudit.store.places import Whereabouts
from memaudit.store.rows import naming, unit_rows
from memaudit.store.shard import CODES, Shard, gathered, open_shard, read_columns, require_whole, texts
from memaudit.types import Coverage, EncoderSpec, Float32, Int64, Status
from memaudit.words import plural

BLOCK_ROWS = 8192


class Block(NamedTuple):
    """A run of comparable store rows: positions (n,) int64 and unit embeddings (n, dim) float32."""

    rows: Int64
    embeddings: Float32


class StoredBlock(NamedTuple):
    """A run of comparable rows: positions (n,) int64 and embeddings (n, dim) as stored, of unit length but for
    float16 rounding."""

    rows: Int64
    embeddings: NDArray[np.float16]


class NamedBlock(NamedTuple):
    """A run of all rows from `first` on: image_ids (n,), status codes (n,) and embeddings (n, dim) as stored, which
    mean nothing where the status is not that of a comparable row."""

    first: int
    image_id: NDArray[np.object_]
    status: NDArray[np.uint8]
    embeddings: NDArray[np.float16]


class StoredFiles(NamedTuple):
    """Of a run of all rows from `first` on the sha256 of each file (n, 32) uint8, 0 where none was read, and the status
    codes (n,)."""

    first: int
    sha256: NDArray[np.uint8]
    status: NDArray[np.uint8]


class Store:
    """A finished store, opened for reading. as_written: uris are those of the shards, wherever the files are now.

    made_of: the stores that whoever opened this one has made it of; reports name them beside it. links_to: those of
    them whose files it reads, and which must stay as they are for as long.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, as_written: bool = False) -> None:
        self.folder = folder
        self.manifest = manifest
        self.made_of: tuple[Store, ...] = ()
        self.links_to: tuple[Store, ...] = ()
        self.whereabouts = Whereabouts(folder, manifest.places)
        self._as_written = as_written
        self._starts = np.cumsum([0, *(shard.rows for shard in manifest.shards)])

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a finished store. Costs one `stat` per shard; a shard's digest is re-computed when it is first read.

        Raises InputError if there is none, InconclusiveError if it is unfinished or a shard is missing or cut.
        """
        folder = Path(folder)
        manifest = Manifest.read(folder)
        if not manifest.complete:
            raise InconclusiveError(
                f"store {folder} is unfinished ({len(manifest.shards)} shards written): "
                f"run the same {manifest.command} command again, it continues"
            )
        for shard in manifest.shards:
            require_whole(folder / shard.name, shard)
        return cls(folder, manifest)

    @property
    def encoder(self) -> EncoderSpec:
        return self.manifest.encoder

    @cached_property
    def coverage(self) -> Coverage:
        """Comparable rows, of all that are not blank: of an image without content nothing can be said."""
        blank = sum(int((codes == CODES[Status.BLANK]).sum()) for _, codes in self._status_codes())
        return Coverage(self.comparable, len(self) - blank)

    @property
    def cut(self) -> int:
        """Number of rows whose archive ends early. Any of them stands for an unknown number of lost images."""
        return sum(shard.cut for shard in self.manifest.shards)

    @property
    def digest(self) -> str:
        """SHA-256 over the encoder's identity and the shards' digests: equal stores, equal digests."""
        return digest_of([self.encoder.identity, [shard.sha256 for shard in self.manifest.shards]])

    @property
    def comparable(self) -> int:
        """Number of rows with an embedding."""
        return sum(shard.ok for shard in self.manifest.shards)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return f"<Store {self.folder}: {len(self):,} rows, {self.encoder.name}>"

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[Block]:
        """Yield the comparable rows in order, at most `size` rows at a time: this bounds the memory.

        Raises InconclusiveError for a shard that cannot be read, InputError for an embedding that is none (NaN).
        """
        for rows, stored in self.stored_blocks(size):
            yield Block(rows, self._unit(stored))

    def stored_blocks(self, size: int = BLOCK_ROWS, first_shard: int = 0) -> Iterator[StoredBlock]:
        """As `blocks`, but the embeddings as they are stored, and from the given shard on."""
        shards = zip(self._starts, self.manifest.shards, strict=False)
        for start, shard in islice(shards, first_shard, None):
            with self._open(shard) as file:
                for low in range(0, shard.rows, size):
                    part = slice(low, min(low + size, shard.rows))
                    keep = np.flatnonzero(file["status"][part] == CODES[Status.OK])
                    if len(keep):
                        stored = file["embeddings"][part]
                        rows = (keep + (start + low)).astype(np.int64)
                        yield StoredBlock(rows, stored if len(keep) == len(stored) else stored[keep])

    def named_blocks(self, size: int = BLOCK_ROWS, *, names: bool = True) -> Iterator[NamedBlock]:
        """Yield all rows in order with what they are called, at most `size` at a time. names: False leaves them out.

        Raises InconclusiveError for a shard that cannot be read.
        """
        for start, shard in zip(self._starts, self.manifest.shards, strict=False):
            with self._open(shard) as file:
                for low in range(0, shard.rows, size):
                    part = slice(low, min(low + size, shard.rows))
                    ids = texts(file["image_id"][part]) if names else np.empty(0, object)
                    yield NamedBlock(int(start) + low, ids, file["status"][part], file["embeddings"][part])

    def iter_files(self) -> Iterator[StoredFiles]:
        """Yield what files all rows are of, one shard at a time."""
        for start, shard in zip(self._starts, self.manifest.shards, strict=False):
            with self._open(shard) as file:
                yield StoredFiles(int(start), file["sha256"][:], file["status"][:])

    def iter_image_ids(self, size: int = BLOCK_ROWS) -> Iterator[NDArray[np.object_]]:
        """Yield the image_ids of all rows in order, at most `size` at a time."""
        for shard in self.manifest.shards:
            with self._open(shard) as file:
                for low in range(0, shard.rows, size):
                    yield texts(file["image_id"][low : low + size])

    def comparable_rows(self) -> Int64:
        """Positions of the rows with an embedding, in order. Memory: 8 bytes a row."""
        return np.concatenate([np.empty(0, np.int64), *self.iter_comparable_rows()])

    def iter_comparable_rows(self) -> Iterator[Int64]:
        """The same, one shard's at a time."""
        for start, codes in self._status_codes():
            yield np.flatnonzero(codes == CODES[Status.OK]) + start

    def embeddings(self, rows: Int64) -> Float32:
        """Return the unit embeddings (len(rows), dim) float32 of the given rows, in the order given."""
        return self._unit(self.stored_embeddings(rows))

    def stored_embeddings(self, rows: Int64) -> NDArray[np.float16]:
        """Return the embeddings (len(rows), dim) as they are stored, in the order given."""
        wanted, back = np.unique(_positions(rows), return_inverse=True)
        result = np.empty((len(wanted), self.encoder.dim), np.float16)
        for shard, local, place in self._by_shard(wanted):
            with self._open(shard) as file:
                result[place] = gathered(file["embeddings"], local)
        return result[back]

    def columns(self, rows: Int64, only: Collection[str] = Columns._fields) -> Columns:
        """Return the columns of the given rows, in the order given; those beside `only` have no entries."""
        wanted, back = np.unique(_positions(rows), return_inverse=True)
        parts: list[Columns] = []
        for shard, local, _ in self._by_shard(wanted):
            with self._open(shard) as file:
                parts.append(self._located(read_columns(file, local, only)))
        read = joined(parts)
        return read._replace(**{name: getattr(read, name)[back] for name in only})

    def iter_columns(self, size: int = BLOCK_ROWS, only: Collection[str] = Columns._fields) -> Iterator[Columns]:
        """Yield the columns of all rows, in order, unreadable ones included; those beside `only` have no entries."""
        for shard in self.manifest.shards:
            with self._open(shard) as file:
                for low in range(0, shard.rows, size):
                    yield self._located(read_columns(file, slice(low, min(low + size, shard.rows)), only))

    def first_frames_alone(self, first_shard: int = 0) -> int:
        """How many rows, from the given shard on, are of a film, or a file of several pages, of which the first frame
        was looked at. Stores of earlier versions do not say. Reads a column of every shard."""
        count = 0
        for shard in self.manifest.shards[first_shard:]:
            with self._open(shard) as file:
                count += sum(map(is_first_frame_alone, file["metadata"].asstr()[:]))
        return count

    @property
    def not_read(self) -> tuple[str, ...]:
        """What its sources held that may be training images and is no row, in sentences. Stores of earlier versions do
        not say."""
        return tuple(each.line for each in self.manifest.not_read)

    def unsearched(self, films: int) -> tuple[str, ...]:
        """The same, and that of so many `films` the first frame alone is a row: what a search of it cannot find."""
        return (*self.not_read, *filter(None, [first_frames_line(films)]))

    @property
    def pictures_not_read(self) -> int:
        """How many these are, at least."""
        return sum(each.pictures for each in self.manifest.not_read)

    @property
    def count_not_read(self) -> str:
        """The same in a sentence, without the names of files; empty where there are none."""
        count, kind = self.pictures_not_read, "{} of the set's sources, in another form, {} not in its store"
        return plural(count, kind.format("picture", "is"), kind.format("pictures", "are")) if count else ""

    def require_current(self) -> None:
        """Raise InconclusiveError if the store, or one that it links to, is not the one that was opened: what was read
        of it may be of two states, and its digest names neither. Costs a `stat` per shard."""
        for part in self.links_to:
            part.require_current()
        try:
            manifest = Manifest.read(self.folder)
        except InputError as error:
            raise InconclusiveError(f"store {self.folder} was changed while it was read ({error}): run again") from None
        if manifest.shards != self.manifest.shards or not manifest.complete:
            raise InconclusiveError(
                f"store {self.folder} was changed while it was read: wait until nobody writes it, and run again"
            )
        for shard in self.manifest.shards:
            require_whole(self.folder / shard.name, shard)

    def all_columns(self) -> Columns:
        """The columns of all rows at once: memory grows with the rows (a few hundred bytes each)."""
        return joined(list(self.iter_columns()))

    def _located(self, columns: Columns) -> Columns:
        return columns if self._as_written else columns._replace(uri=self.whereabouts.located(columns.uri))

    @property
    def sources(self) -> tuple[str, ...]:
        """What it was made of, where that is now."""
        return tuple(map(self.whereabouts.find, self.manifest.sources))

    def lost_images(self, rows: Int64 | None = None) -> str:
        """Where the first image was looked for that is not there, in a sentence; empty where all are. rows: of these;
        None: of all, whose files are then looked for one by one. It is asked where some could not be read."""
        if self.made_of and rows is None:
            return next(filter(None, (part.lost_images() for part in self.made_of)), "")
        store = Store(self.folder, self.manifest, as_written=True)
        every = store.iter_columns(only=("image_id", "uri")) if rows is None else [store.columns(rows)]
        named = (each for columns in every for each in zip(columns.image_id, columns.uri, strict=True))
        lost = next(((image_id, uri) for image_id, uri in named if self.whereabouts.is_lost(uri)), None)
        if lost is None:
            return ""
        places = ", then ".join(map(str, self.whereabouts.tried(lost[1])))
        return (
            f"images of store {os.path.normpath(self.folder)} are not where it says: {lost[0]!r} was looked for at "
            f"{places}; put them there, move the store together with them, or embed them anew"
        )

    def are_lost(self, rows: Int64) -> NDArray[np.bool_]:
        """Whether the file of each row is at none of its places, (n,). Nobody asks for a URL, and of an image without a
        place nothing is known: these are not. Memory: a block."""
        store, found = Store(self.folder, self.manifest, as_written=True), np.empty(len(rows), bool)
        for low in range(0, len(rows), BLOCK_ROWS):
            part = slice(low, low + BLOCK_ROWS)
            found[part] = [self.whereabouts.is_lost(uri) for uri in store.columns(rows[part], only=["uri"]).uri]
        return found

    def _status_codes(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The first row and the status codes of each shard."""
        for start, shard in zip(self._starts, self.manifest.shards, strict=False):
            with self._open(shard) as file:
                yield int(start), file["status"][:]

    def _unit(self, vectors: NDArray[Any]) -> Float32:
        with naming(self.folder):
            return unit_rows(vectors)

    def _open(self, shard: Shard) -> AbstractContextManager[h5py.File]:
        return open_shard(self.folder / shard.name, shard, self.encoder.dim)

    def _by_shard(self, rows: Int64) -> Iterator[tuple[Shard, Int64, slice]]:
        """Split sorted unique rows by shard: the shard, rows within it, and their place in `rows`."""
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(self)):
            raise IndexError(f"row out of range for {self.folder}: {rows[0]}..{rows[-1]} of {len(self)}")
        bounds = np.searchsorted(rows, self._starts)
        for shard, start, low, high in zip(self.manifest.shards, self._starts, bounds[:-1], bounds[1:], strict=False):
            if high > low:
                yield shard, rows[low:high] - start, slice(int(low), int(high))


def _positions(rows: Int64) -> Int64:
    """Rows as int64, (n,). A mask would be read as the rows 0 and 1, again and again."""
    given = np.asarray(rows)
    if given.ndim != 1 or (len(given) and given.dtype.kind not in "iu"):
        raise UsageError(
            f"rows are {given.dtype} of shape {given.shape}: expected positions, whole numbers of shape (n,)"
        )
    return given.astype(np.int64)


def require_current(*stores: Store | None) -> None:
    """Raise InconclusiveError if one of the stores that a run has read was changed since it was opened."""
    for store in stores:
        if store is not None:
            store.require_current()


def require_same_encoder(left: Store, right: Store) -> None:
    """Raise InconclusiveError if the embeddings of the two stores cannot be compared."""
    if not left.encoder.same_as(right.encoder):
        raise InconclusiveError(
            f"stores of different encoders cannot be compared: {left.folder} has {left.encoder.identity}, "
            f"{right.folder} has {right.encoder.identity}; embed both with the same encoder"
        )
