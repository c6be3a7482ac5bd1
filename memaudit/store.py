"""The embedding store: a folder of HDF5 shards and `store.json`, written last.

A shard appears whole; the manifest lists a shard only after it is on the disk. Reading is by blocks, and a store
that misses a shard or was never finished refuses to be opened: it would answer "clean" for what it lacks.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import h5py
import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import appearing_whole, digest_of, read_json, sha256_of, write_json
from memaudit.images.image_ref import ARCHIVE_CUT
from memaudit.types import Coverage, EncoderSpec, Float32, Int64, Status

SCHEMA = "memaudit-store/1"
MANIFEST = "store.json"
BLOCK_ROWS = 8192
NO_FILE = "0" * 64  # the sha256 column of a row whose file was not read
IMAGES, FACES = "images", "faces"  # what the rows of a store are
ANOTHER_FILE = "the file is another one than was embedded"
_CHUNK_ROWS = 1024
_SHARD_NAME = re.compile(r"shard-\d{5,}\.h5")
_TEMPORARY_NAME = re.compile(rf"\.({_SHARD_NAME.pattern}|store\.json)\.\d+\.tmp")
_UNIT = 2e-3  # how far from 1 the length of a stored embedding may be: float16 rounding stays below 5e-4
_TEXT = h5py.string_dtype("utf-8")
_CODES = {Status.OK: 0, Status.BLANK: 1, Status.UNREADABLE: 2}
_STATUS = {code: status for status, code in _CODES.items()}


@dataclass(frozen=True)
class Row:
    """One image of a store. `embedding` is (dim,) float32 of unit length, or None unless status is OK."""

    image_id: str
    uri: str
    caption: str
    sha256: str
    width: int
    height: int
    status: Status
    error: str
    embedding: Float32 | None
    metadata: str = ""
    simplicity: float = math.nan


def is_same_file(data: bytes, sha256: str) -> bool:
    """Whether these bytes are the file of a row with this hash; True where the row was made of no file."""
    return sha256 == NO_FILE or hashlib.sha256(data).hexdigest() == sha256


class Columns(NamedTuple):
    """The columns of a run of rows, without their embeddings. Text as object arrays of str, sha256 as hex."""

    image_id: NDArray[np.object_]
    uri: NDArray[np.object_]
    caption: NDArray[np.object_]
    sha256: NDArray[np.object_]
    width: Int64
    height: Int64
    status: NDArray[np.object_]
    error: NDArray[np.object_]
    metadata: NDArray[np.object_]
    simplicity: Float32

    @property
    def file(self) -> NDArray[np.object_]:
        """What equal files share: their hash; the image_id stands for it where no file was read."""
        return np.where(self.sha256 == NO_FILE, self.image_id, self.sha256)

    def at(self, positions: NDArray[Any]) -> Columns:
        return Columns._make(column[positions] for column in self)


@dataclass(frozen=True)
class Shard:
    """A file of the store, with what is needed to know that it is whole. `cut`: rows whose archive ends early."""

    name: str
    rows: int
    ok: int
    cut: int
    bytes: int
    sha256: str
    content_sha256: str

    def __post_init__(self) -> None:
        """Raise ValueError for what no writer wrote: store.json may have been edited, or come from elsewhere."""
        counts = (self.rows, self.ok, self.cut, self.bytes)
        if not all(type(count) is int for count in counts) or self.rows < 1:
            raise ValueError(f"shard with counts {counts}")
        if min(self.ok, self.cut) < 0 or self.ok + self.cut > self.rows:
            raise ValueError(f"shard with counts {counts}")
        if not _SHARD_NAME.fullmatch(self.name):
            raise ValueError(f"shard called {self.name!r}")


class Block(NamedTuple):
    """A run of comparable store rows: positions (n,) int64 and unit embeddings (n, dim) float32."""

    rows: Int64
    embeddings: Float32


class StoredBlock(NamedTuple):
    """A run of comparable rows: positions (n,) int64 and embeddings (n, dim) as stored, of unit length but for
    float16 rounding."""

    rows: Int64
    embeddings: NDArray[np.float16]


@dataclass(frozen=True)
class Manifest:
    """What store.json holds. kind: IMAGES or FACES, whose rows are biometric templates; forgotten: digests of the
    image_ids that were removed from a store of faces and may not come back."""

    encoder: EncoderSpec
    shard_rows: int
    sources: tuple[str, ...]
    shards: tuple[Shard, ...] = ()
    complete: bool = False
    kind: str = IMAGES
    forgotten: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        of_faces = {"kind": FACES, "biometric_templates": True, "forgotten": list(self.forgotten)}
        return {
            "schema": SCHEMA,
            **(of_faces if self.kind == FACES else {}),
            "encoder": self.encoder.as_dict(),
            "shard_rows": self.shard_rows,
            "sources": list(self.sources),
            "rows": sum(s.rows for s in self.shards),
            "ok": sum(s.ok for s in self.shards),
            "complete": self.complete,
            "shards": [asdict(s) for s in self.shards],
        }

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises InputError if `folder` holds no store this version can read."""
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder} is no embedding store: it has no {MANIFEST} (make one with memaudit embed)")
        raw = read_json(folder / MANIFEST)
        if raw.get("schema") != SCHEMA:
            raise InputError(f"{folder / MANIFEST} has schema {raw.get('schema')!r}, this version reads {SCHEMA!r}")
        try:
            manifest = cls(
                encoder=_encoder_spec(raw["encoder"]),
                shard_rows=raw["shard_rows"],
                sources=tuple(raw["sources"]),
                shards=tuple(Shard(**entry) for entry in raw["shards"]),
                complete=raw["complete"] is True,
                kind=raw.get("kind", IMAGES),
                forgotten=tuple(map(str, raw.get("forgotten", ()))),
            )
            if type(manifest.shard_rows) is not int or manifest.as_dict() != raw:
                raise ValueError("its parts do not fit each other")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / MANIFEST} is damaged ({error!r}): restore it or embed again") from None
        return manifest


def _encoder_spec(raw: dict[str, Any]) -> EncoderSpec:
    spec = EncoderSpec(**raw)
    text = (spec.name, spec.weights_sha256, spec.preprocessing, spec.source)
    if not all(isinstance(value, str) for value in text) or type(spec.dim) is not int or spec.dim < 1:
        raise ValueError(f"encoder {raw}")
    if not isinstance(spec.threshold, int | float):
        raise ValueError(f"encoder threshold {spec.threshold!r}")
    return spec


class Store:
    """A finished store, opened for reading."""

    def __init__(self, folder: Path, manifest: Manifest, unchanged: set[str] | None = None) -> None:
        """unchanged: names of shards whose digest was re-computed; what is read adds to it."""
        self.folder = folder
        self.manifest = manifest
        self._starts = np.cumsum([0, *(shard.rows for shard in manifest.shards)])
        self._unchanged = set[str]() if unchanged is None else unchanged

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a finished store. Costs one `stat` per shard; `verify_store` re-computes the digests.

        Raises InputError if there is none, InconclusiveError if it is unfinished or a shard is missing or cut.
        """
        folder = Path(folder)
        manifest = Manifest.read(folder)
        if not manifest.complete:
            raise InconclusiveError(
                f"store {folder} is unfinished ({len(manifest.shards)} shards written): "
                "run the same memaudit embed command again, it continues"
            )
        for shard in manifest.shards:
            _require_whole(folder / shard.name, shard)
        return cls(folder, manifest)

    @property
    def encoder(self) -> EncoderSpec:
        return self.manifest.encoder

    @cached_property
    def coverage(self) -> Coverage:
        """Comparable rows, of all that are not blank: of an image without content nothing can be said."""
        blank = sum(int((codes == _CODES[Status.BLANK]).sum()) for _, codes in self._status_codes())
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
            with self._reading(shard) as file:
                for low in range(0, shard.rows, size):
                    part = slice(low, min(low + size, shard.rows))
                    keep = np.flatnonzero(file["status"][part] == _CODES[Status.OK])
                    if len(keep):
                        stored = file["embeddings"][part]
                        rows = (keep + (start + low)).astype(np.int64)
                        yield StoredBlock(rows, stored if len(keep) == len(stored) else stored[keep])

    def comparable_rows(self) -> Int64:
        """Positions of the rows with an embedding, in order. Memory: 8 bytes a row."""
        return np.concatenate([np.empty(0, np.int64), *self.iter_comparable_rows()])

    def iter_comparable_rows(self) -> Iterator[Int64]:
        """The same, one shard's at a time."""
        for start, codes in self._status_codes():
            yield np.flatnonzero(codes == _CODES[Status.OK]) + start

    def embeddings(self, rows: Int64) -> Float32:
        """Return the unit embeddings (len(rows), dim) float32 of the given rows, in the order given."""
        return self._unit(self.stored_embeddings(rows))

    def stored_embeddings(self, rows: Int64) -> NDArray[np.float16]:
        """Return the embeddings (len(rows), dim) as they are stored, in the order given."""
        wanted, back = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        result = np.empty((len(wanted), self.encoder.dim), np.float16)
        for shard, local, place in self._by_shard(wanted):
            with self._reading(shard) as file:
                result[place] = _gathered(file["embeddings"], local)
        return result[back]

    def columns(self, rows: Int64) -> Columns:
        """Return the columns of the given rows, in the order given."""
        rows = np.asarray(rows, dtype=np.int64)
        wanted, back = np.unique(rows, return_inverse=True)
        parts: list[Columns] = []
        for shard, local, _ in self._by_shard(wanted):
            with self._reading(shard) as file:
                parts.append(_read_columns(file, local))
        return _joined(parts).at(back)

    def iter_columns(self, size: int = BLOCK_ROWS) -> Iterator[Columns]:
        """Yield the columns of all rows, in order, unreadable ones included."""
        for shard in self.manifest.shards:
            self._require_unchanged(shard)
            with self._reading(shard) as file:
                for low in range(0, shard.rows, size):
                    yield _read_columns(file, slice(low, min(low + size, shard.rows)))

    def _require_unchanged(self, shard: Shard) -> None:
        """Once for each shard: text has no checksum of its own, and on damaged text HDF5 may run without end."""
        if shard.name not in self._unchanged:
            _require_whole(self.folder / shard.name, shard)
            _require_unchanged(self.folder / shard.name, shard)
            self._unchanged.add(shard.name)

    def all_columns(self) -> Columns:
        """The columns of all rows at once: memory grows with the rows (a few hundred bytes each)."""
        return _joined(list(self.iter_columns()))

    def _status_codes(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """The first row and the status codes of each shard."""
        for start, shard in zip(self._starts, self.manifest.shards, strict=False):
            with self._reading(shard) as file:
                yield int(start), file["status"][:]

    def _unit(self, vectors: NDArray[Any]) -> Float32:
        try:
            return unit_rows(vectors)
        except InputError as error:
            raise InputError(f"store {self.folder} holds {error}: run memaudit verify") from None

    @contextmanager
    def _reading(self, shard: Shard) -> Iterator[h5py.File]:
        """Open a shard. What is not whole or not as the manifest says is an InconclusiveError."""
        path = self.folder / shard.name
        try:
            with h5py.File(path, "r") as file:
                if file["embeddings"].shape != (shard.rows, self.encoder.dim) or len(file["status"]) != shard.rows:
                    raise ValueError(f"it does not hold {shard.rows} embeddings of {self.encoder.dim} numbers")
                yield file
        except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:  # TypeError: a column of another type
            reason = " ".join(str(error).split())
            raise InconclusiveError(f"shard {path} cannot be read ({reason}): restore it, or embed again") from None

    def _by_shard(self, rows: Int64) -> Iterator[tuple[Shard, Int64, slice]]:
        """Split sorted unique rows by shard: the shard, rows within it, and their place in `rows`."""
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(self)):
            raise IndexError(f"row out of range for {self.folder}: {rows[0]}..{rows[-1]} of {len(self)}")
        bounds = np.searchsorted(rows, self._starts)
        for shard, start, low, high in zip(self.manifest.shards, self._starts, bounds[:-1], bounds[1:], strict=False):
            if high > low:
                yield shard, rows[low:high] - start, slice(int(low), int(high))


def unit_rows(vectors: NDArray[Any]) -> Float32:
    """Rescale rows to unit length in float32: float16 storage leaves lengths off by up to 5e-4.

    Raises InputError for a row of NaN or of length 0: it is similar to nothing, so it would pass for clean.
    """
    result = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(result, axis=1, keepdims=True)
    require_lengths(lengths)
    return np.asarray(result / lengths, dtype=np.float32)


def require_lengths(lengths: Float32) -> None:
    """Raise InputError unless these lengths of embeddings are all above 0 and finite."""
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError("an embedding with NaN or of length 0")


def require_same_encoder(left: Store, right: Store) -> None:
    """Raise InconclusiveError if the embeddings of the two stores cannot be compared."""
    if not left.encoder.same_as(right.encoder):
        raise InconclusiveError(
            f"stores of different encoders cannot be compared: {left.folder} has {left.encoder.identity}, "
            f"{right.folder} has {right.encoder.identity}; embed both with the same encoder"
        )


class StoreWriter:
    """Appends shards to a store. Use within `writing_store`, which holds the lock."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._unchanged: set[str] = set()

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(shard.rows for shard in self.manifest.shards)

    def write_shard(self, rows: Sequence[Row]) -> None:
        """Write the next shard; it counts only once the manifest lists it. Memory: the shard's file."""
        vectors = np.zeros((len(rows), self.manifest.encoder.dim), np.float16)
        for i, row in enumerate(rows):
            if row.embedding is not None:
                vectors[i] = row.embedding
        self.write_columns(_columns_of(rows), vectors)

    def write_columns(self, columns: Columns, embeddings: NDArray[np.float16]) -> None:
        """Write the next shard from columns and (rows, dim) unit embeddings; rows that are not OK hold zeros."""
        shard = self._written_shard(columns, embeddings)
        self._save(replace(self.manifest, shards=(*self.manifest.shards, shard), complete=False))

    def _written_shard(self, columns: Columns, embeddings: NDArray[np.float16], taken: Sequence[Shard] = ()) -> Shard:
        """Write a file under a number beyond all that are listed or `taken`: none of theirs is overwritten."""
        numbers = [int(shard.name[len("shard-") : -len(".h5")]) for shard in (*self.manifest.shards, *taken)]
        name = f"shard-{max(numbers, default=-1) + 1:05d}.h5"
        data = _shard_file(columns, embeddings)
        with appearing_whole(self.folder / name) as temporary:
            temporary.write_bytes(data)
        return Shard(
            name,
            rows=len(columns.image_id),
            # Counted without numpy, which asks the enum for attributes and swallows a Ctrl-C that comes meanwhile.
            ok=columns.status.tolist().count(Status.OK),
            cut=_cut_rows(columns),
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_sha256=content_digest(zip(columns.image_id, columns.sha256, strict=True)),
        )

    def remove_rows(
        self,
        doomed: Callable[[Columns], NDArray[np.bool_]],
        forgotten: Sequence[str],
        redacted: Callable[[Columns], Columns] = lambda columns: columns,
    ) -> None:
        """Write every shard with a doomed row anew, without it and with what is left `redacted`, then a manifest that
        lists the new files and `forgotten`, then delete the old ones. Killed before the manifest, nothing has changed;
        killed after it, the next call deletes what is left. Memory: a shard.

        redacted: returns the very columns it was given where nothing is to be changed.
        """
        self.remove_strays()
        shards: list[Shard] = []
        for shard in self.manifest.shards:
            store = Store(self.folder, replace(self.manifest, shards=(shard,)))
            columns = store.all_columns()
            kept = np.flatnonzero(~doomed(columns))
            left = redacted(columns)
            if len(kept) == shard.rows and left is columns:
                shards.append(shard)
            elif len(kept):
                shards.append(self._written_shard(left.at(kept), store.stored_embeddings(kept), shards))
        self._save(replace(self.manifest, shards=tuple(shards), forgotten=tuple(forgotten)))
        self.remove_strays()

    def remove_strays(self) -> None:
        """Delete files by our own names that the manifest does not list."""
        for name in _strays(self.folder, self.manifest):
            (self.folder / name).unlink()

    def written(self) -> Store:
        """What was written so far, for reading. Another one is needed after the next shard."""
        return Store(self.folder, self.manifest, self._unchanged)

    def whole_shards(self) -> int:
        """How many shards there are before the first that is missing or cut."""
        for count, shard in enumerate(self.manifest.shards):
            try:
                _require_whole(self.folder / shard.name, shard)
            except InconclusiveError:
                return count
        return len(self.manifest.shards)

    def require_whole(self) -> None:
        """Raise InconclusiveError for a shard that is missing or cut."""
        for shard in self.manifest.shards:
            _require_whole(self.folder / shard.name, shard)

    def keep_shards(self, count: int) -> None:
        """Begin again after the first `count` shards; files of the others are overwritten or removed at the end."""
        if count < len(self.manifest.shards):
            self._save(replace(self.manifest, shards=self.manifest.shards[:count], complete=False))

    def unfinish(self) -> None:
        """Say that more is to come: from here on the store does not open."""
        if self.manifest.complete:
            self._save(replace(self.manifest, complete=False))

    def finish(self) -> None:
        """Mark the store complete; remove shards that it no longer has, and what killed writers left."""
        self._save(replace(self.manifest, complete=True))
        self.remove_strays()

    def _save(self, manifest: Manifest) -> None:
        write_json(self.folder / MANIFEST, manifest.as_dict())
        self.manifest = manifest


@contextmanager
def writing_store(
    folder: Path,
    encoder: EncoderSpec,
    shard_rows: int,
    sources: Sequence[str],
    *,
    append: bool = False,
    kind: str = IMAGES,
) -> Iterator[StoreWriter]:
    """Open `folder` for writing: a new store, or the one begun there by the same encoder.

    Its manifest names the `sources`; with `append`, last, after those that the store was made from. What an unfinished
    store lacks is among its last sources, so it takes no others before they are all there.

    Raises InputError if the folder holds something else, or a store of another encoder or shard size, or if
    another process is writing it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"store {folder} is being written by another process: wait for it, or choose another --out"
        ) from None
    try:
        fresh = Manifest(encoder, shard_rows, tuple(sources), kind=kind)
        yield StoreWriter(folder, _begun(folder, fresh, append=append))
    finally:
        lock.release()


def _begun(folder: Path, fresh: Manifest, *, append: bool) -> Manifest:
    if not (folder / MANIFEST).exists():
        if append:
            raise UsageError(f"{folder} holds no store to append to: leave out --append to make one, or check --out")
        strangers = [p.name for p in folder.iterdir() if not p.name.startswith((".", "shard-"))]
        if strangers:
            raise UsageError(f"{folder} is not empty and holds no store (found {strangers[0]}): choose another --out")
        write_json(folder / MANIFEST, fresh.as_dict())
        return fresh
    begun = Manifest.read(folder)
    if begun.kind != fresh.kind:
        raise InputError(f"store {folder} holds {begun.kind}, not {fresh.kind}: choose another --out")
    if append:
        _require_pending(folder, begun, fresh.sources)
        others = tuple(source for source in begun.sources if source not in fresh.sources)
        fresh = replace(fresh, sources=others + fresh.sources)
    begun = replace(begun, sources=fresh.sources)
    if not begun.encoder.same_as(fresh.encoder):
        raise InputError(
            f"store {folder} was begun with encoder {begun.encoder.identity}, not {fresh.encoder.identity}: "
            "choose another --out, or the same --encoder"
        )
    if begun.shard_rows != fresh.shard_rows:
        raise InputError(
            f"store {folder} was begun with --shard-rows {begun.shard_rows}, not {fresh.shard_rows}: use the same"
        )
    return begun


def _require_pending(folder: Path, begun: Manifest, sources: tuple[str, ...]) -> None:
    """Raise InconclusiveError where appending would finish a store that still lacks images of other sources."""
    if not begun.complete and begun.sources[-len(sources) :] != sources:
        raise InconclusiveError(
            f"store {folder} is unfinished, it still lacks images of {', '.join(begun.sources)}: first run the command "
            "again that was interrupted, then append"
        )


def _strays(folder: Path, manifest: Manifest) -> list[str]:
    """Files by our own names that the manifest does not list."""
    known = {shard.name for shard in manifest.shards}
    names = sorted(path.name for path in folder.iterdir())
    return [n for n in names if _TEMPORARY_NAME.fullmatch(n) or (_SHARD_NAME.fullmatch(n) and n not in known)]


def content_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over (image_id, file sha256) in order: equal if and only if the same files have the same names."""
    digest = hashlib.sha256()
    for image_id, sha256 in pairs:
        digest.update(f"{len(image_id.encode())}:{image_id}{sha256}\n".encode())
    return digest.hexdigest()


def verify_store(folder: str | Path) -> list[str]:
    """Re-compute every digest and invariant of a store; return one line for each fault, none if it is sound.

    Checked: shards present, listed and unchanged, every column there, rows finite and of unit length, image_ids unique.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    faults = [] if manifest.complete else [f"{folder} is unfinished: run the same memaudit embed command again"]
    if manifest.complete:
        faults += [f"{name} is not listed in {MANIFEST}" for name in _strays(folder, manifest)]
    store, seen = Store(folder, manifest), set[bytes]()
    for shard in manifest.shards:
        try:
            _require_whole(folder / shard.name, shard)
            _require_unchanged(folder / shard.name, shard)
            faults += _row_faults(store, shard, seen)
        except InconclusiveError as error:
            faults.append(str(error))
    return faults


def _require_unchanged(path: Path, shard: Shard) -> None:
    if (found := sha256_of(path)) != shard.sha256:
        raise InconclusiveError(
            f"shard {path} was changed: its sha256 is {found[:12]}…, not the recorded {shard.sha256[:12]}…"
        )


def _row_faults(store: Store, shard: Shard, seen: set[bytes]) -> list[str]:
    """`seen` collects 16-byte digests of image_ids, so that memory stays small beside the ids themselves."""
    faults = []
    with store._reading(shard) as file:
        faults += _column_faults(file, shard)
        if (ok := int((file["status"][:] == _CODES[Status.OK]).sum())) != shard.ok:
            faults.append(f"{shard.name}: {ok} rows are comparable, {MANIFEST} says {shard.ok}")
        for low in range(0, shard.rows, BLOCK_ROWS):
            part = slice(low, low + BLOCK_ROWS)
            lengths = np.linalg.norm(file["embeddings"][part].astype(np.float32), axis=1)
            wrong = (file["status"][part] == _CODES[Status.OK]) & ~(np.abs(lengths - 1) < _UNIT)
            faults += [
                f"{shard.name} row {low + row}: embedding of length {lengths[row]:.4g}, expected 1"
                for row in np.flatnonzero(wrong)
            ]
            for image_id in file["image_id"][part]:
                key = hashlib.blake2b(image_id, digest_size=16).digest()
                if key in seen:
                    faults.append(f"{shard.name}: image_id {image_id.decode()!r} occurs twice")
                seen.add(key)
    return faults


def _column_faults(file: h5py.File, shard: Shard) -> list[str]:
    """Read every column once. One that is not there, or is of another type, raises as it would when it is needed."""
    lengths = {name: len(file[name]) for name in Columns._fields}
    faults = [f"{shard.name}: column {n} has {found} rows" for n, found in lengths.items() if found != shard.rows]
    parts = (slice(low, low + BLOCK_ROWS) for low in range(0, shard.rows, BLOCK_ROWS))
    cut = sum(_cut_rows(_read_columns(file, part)) for part in parts)
    if cut != shard.cut:
        faults.append(f"{shard.name}: the archives of {cut} rows end early, {MANIFEST} says {shard.cut}")
    return faults


def _cut_rows(columns: Columns) -> int:
    return sum(ARCHIVE_CUT in error for error in columns.error)


def _require_whole(path: Path, shard: Shard) -> None:
    if not path.is_file():
        raise InconclusiveError(f"shard {path} is missing ({shard.rows} rows): restore it, or embed again")
    if (size := path.stat().st_size) != shard.bytes:
        raise InconclusiveError(f"shard {path} has {size} bytes, expected {shard.bytes}: restore it, or embed again")


def _columns_of(rows: Sequence[Row]) -> Columns:
    def text(name: str) -> NDArray[np.object_]:
        return np.array([getattr(row, name) for row in rows], dtype=object)

    def whole(name: str) -> Int64:
        return np.array([getattr(row, name) for row in rows], dtype=np.int64)

    return Columns(
        image_id=text("image_id"),
        uri=text("uri"),
        caption=text("caption"),
        sha256=text("sha256"),
        width=whole("width"),
        height=whole("height"),
        status=text("status"),
        error=text("error"),
        metadata=text("metadata"),
        simplicity=np.array([row.simplicity for row in rows], dtype=np.float32),
    )


def _shard_file(columns: Columns, embeddings: NDArray[np.float16]) -> bytes:
    """The HDF5 file of a shard. Made in memory, because the HDF5 library crashes when a disk runs full.

    Numbers carry checksums: a flipped bit is an error when it is read, not another similarity.
    """
    hashes = np.frombuffer(bytes.fromhex("".join(columns.sha256)), np.uint8).reshape(len(embeddings), 32)
    image = io.BytesIO()
    with h5py.File(image, "w", libver="latest") as file:
        _add(file, "embeddings", embeddings)
        _add(file, "sha256", hashes)
        _add(file, "status", np.array([_CODES[status] for status in columns.status], np.uint8))
        _add(file, "width", columns.width.astype(np.int32))
        _add(file, "height", columns.height.astype(np.int32))
        _add(file, "simplicity", columns.simplicity)
        for name in ("image_id", "uri", "caption", "error", "metadata"):
            values = [value.encode("utf-8", "surrogateescape") for value in getattr(columns, name)]
            file.create_dataset(name, data=values, dtype=_TEXT)
    return image.getvalue()


def _add(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    chunks = (min(len(values), _CHUNK_ROWS), *values.shape[1:])
    file.create_dataset(name, data=values, chunks=chunks, fletcher32=True)


def _gathered(dataset: h5py.Dataset, rows: Int64) -> NDArray[Any]:
    """The given sorted rows, chunk by chunk: h5py's own selection by position takes ten times as long."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows // _CHUNK_ROWS)) + 1)
    read = []
    for part in parts:
        low = part[0] // _CHUNK_ROWS * _CHUNK_ROWS
        read.append(dataset[low : low + _CHUNK_ROWS][part - low])
    return np.concatenate(read)


def _read_columns(file: h5py.File, part: slice | Int64) -> Columns:
    return Columns(
        image_id=file["image_id"].asstr()[part],
        uri=file["uri"].asstr(errors="surrogateescape")[part],  # a file name may be any bytes
        caption=file["caption"].asstr()[part],
        sha256=np.array([bytes(row).hex() for row in file["sha256"][part]], dtype=object),
        width=file["width"][part].astype(np.int64),
        height=file["height"][part].astype(np.int64),
        status=np.array([_STATUS[int(code)] for code in file["status"][part]], dtype=object),
        error=file["error"].asstr()[part],
        metadata=file["metadata"].asstr()[part],
        simplicity=file["simplicity"][part],
    )


def _joined(parts: list[Columns]) -> Columns:
    if not parts:
        empty = np.empty(0, dtype=object)
        none = np.empty(0, dtype=np.int64)
        return Columns(empty, empty, empty, empty, none, none, empty, empty, empty, np.empty(0, np.float32))
    return Columns._make(np.concatenate(column) for column in zip(*parts, strict=True))
