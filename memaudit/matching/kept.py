"""What pixels are compared by, kept beside the images of a store: then no file is read again, nor are its features
sought.

A folder within the store: `features.json` and, for each shard of the store, a file of records. A record is what
`read_reduced` makes of an image's file, bit for bit, so that verdicts are the same with it and without. What is of
another state of the store, or whose digest does not fit, is refused; what was made by other constants, another OpenCV
or another Pillow is not used, and files are read. Windows of images are cut from the files: they have no records.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray

from memaudit import machine
from memaudit.embedding.rows import ahead, counting
from memaudit.errors import InconclusiveError, InputError, MissingDependencyError
from memaudit.files import make_folder, open_regular, read_json, sealed, sha256_of, unsealed, whole_file, write_json
from memaudit.matching.pictures import READING, REDUCTION, Reduced, Sift, import_cv2, read_reduced
from memaudit.matching.shortfalls import Shortfall
from memaudit.store import Store
from memaudit.store.shard import Shard
from memaudit.types import Int64, Progress, Status, silent, unsaid

FOLDER, _MANIFEST = "features", "features.json"
_SCHEMA = "memaudit-features/1"
_HEAD = struct.Struct("<HHH")  # height and width of the pixels, features
_ROWS = 1024  # of a store, whose columns are read at once
_PLACE = np.dtype([("offset", "<u8"), ("length", "<u4"), ("sha256", "u1", 32)])
_HALF = "is made anew half-way"
_CHANGED = "was changed or cut, or no manifest names it,"
_AGAIN = "run memaudit embed again with --features, or delete {}"
_DAMAGED = "{} was changed, cut or removed: {}"


def identity() -> str:
    """Of what records are made by: those of others are not comparable. Patches of a library, and code that gives the
    same pixels, are no others."""
    opencv, pillow = (".".join(version.split(".")[:2]) for version in (import_cv2().__version__, PIL.__version__))
    return f"{REDUCTION}, reading {READING}, OpenCV {opencv}, Pillow {pillow}"


@dataclass(frozen=True)
class Records:
    """The entry of a file of records. shard: content digest of the store's shard; images: how many rows have one, which
    may share it; places: digest of the table at the file's end."""

    name: str
    shard: str
    rows: int
    images: int
    bytes: int
    places: str
    sha256: str

    def __post_init__(self) -> None:
        """Raise ValueError for what no writer wrote."""
        counts = (self.rows, self.images, self.bytes)
        if not all(type(count) is int and 0 <= count < 1 << 48 for count in counts) or self.images > self.rows:
            raise ValueError(f"records with counts {counts}")
        if os.path.basename(self.name) != self.name or not self.name.endswith(".records"):
            raise ValueError(f"records called {str(self.name)[:40]!r}")


class KeptCounts(NamedTuple):
    """images: how many have a record; bytes: of all records."""

    images: int
    bytes: int

    def __str__(self) -> str:
        each = self.bytes / max(1, self.images) / 1000
        return f"of {self.images:,} images, {self.bytes / 1e6:,.1f} MB ({each:,.0f} kB an image)"


# Records


def record_of(reduced: Reduced) -> bytes:
    """Bytes of one image: its size and number of features, their places and descriptors, and its pixels, packed."""
    height, width = reduced.pixels.shape[:2]
    sift = reduced.sift
    # Differences along a row: they pack better, and nothing is lost
    rows = np.diff(reduced.pixels, axis=1, prepend=np.zeros((height, 1, 3), np.uint8))
    places = sift.places.astype("<f4").tobytes()
    head = _HEAD.pack(height, width, len(sift.places))
    return head + places + sift.descriptors.tobytes() + zlib.compress(rows.tobytes(), 1)


def reduced_of(record: bytes) -> Reduced:
    """The way back. Raises ValueError, struct.error or zlib.error for what is no record."""
    height, width, count = _HEAD.unpack_from(record)
    places = np.frombuffer(record, "<f4", 2 * count, _HEAD.size).reshape(count, 2).astype(np.float32)
    low = _HEAD.size + places.nbytes
    descriptors = np.frombuffer(record, np.uint8, 128 * count, low).reshape(count, 128)
    rows = np.frombuffer(zlib.decompress(record[low + descriptors.nbytes :]), np.uint8).reshape(height, width, 3)
    return Reduced(np.cumsum(rows, axis=1, dtype=np.uint8), Sift(places, descriptors))


# Writing


def keep_features(
    store: Store, workers: int = 0, progress: Progress = silent, tell: Callable[[str], None] = unsaid
) -> KeptCounts:
    """Write the records that a store lacks. Killed and called again, it goes on with the next shard; records of shards
    that are as they were stay, and are named at any time. Of an image whose file cannot be read, or is another by now,
    none is kept. tell: is given a sentence where images had records before and have none now.

    Memory: a few images, and what `lost_images` takes of a shard. Raises MissingDependencyError without OpenCV,
    InputError where the disk refuses, InconclusiveError where records of another make would be written anew, or such a
    run would go on, or a file that was changed would be replaced, although images are gone: these stay.
    """
    folder, made = store.folder / FOLDER, identity()
    make_folder(folder)
    listed, usable = _listed(folder, made)
    renewing = bool(listed) and (not usable or _is_renewed(folder))
    if renewing:
        what = "was made by other versions, which can still use it," if not usable else _HALF
        _require_images(store, store.iter_comparable_rows(), folder, what)
    before = {records.shard: records for records in listed}
    there, fewer = before if usable else {}, 0
    tick = counting(progress, "keeping features", 0, len(store))
    entries, row, threads = list[Records](), 0, workers or machine.cores()
    shards = store.manifest.shards
    with ThreadPoolExecutor(threads) as pool:
        for number, shard in enumerate(shards, start=1):
            entry = there.get(shard.content_sha256)
            if entry is None or not _is_whole(folder, entry):
                if os.path.lexists(path := _path_of(folder, shard)) and not renewing:
                    _require_images(store, [_comparable(store, row, shard)], path, _CHANGED)
                entry = _written(path, store, shard, row, pool, threads)
                known = before.get(shard.content_sha256, entry)
                fewer += max(0, known.images - entry.images)
                later = [there[each.content_sha256] for each in shards[number:] if each.content_sha256 in there]
                half_way = renewing and number < len(shards)
                write_json(folder / _MANIFEST, _manifest(made, [*entries, entry, *later], renewing=half_way))
            entries.append(entry)
            row += shard.rows
            tick(shard.rows)
    write_json(folder / _MANIFEST, _manifest(made, entries))
    wanted = {_MANIFEST, *(entry.name for entry in entries)}
    for path in folder.iterdir():
        if path.suffix == ".records" and path.name not in wanted:
            path.unlink()
    if fewer:
        tell(f"kept features: {fewer:,} fewer than before, of files that could not be read")
    return counts_of(entries)


def _comparable(store: Store, first: int, shard: Shard) -> Int64:
    """The rows of one shard, which begins at `first`, that have an embedding."""
    rows = np.arange(first, first + shard.rows)
    return np.asarray(rows[store.columns(rows, only=("status",)).status == Status.OK])


def _require_images(store: Store, parts: Iterable[Int64], path: Path, what: str) -> None:
    """Raise InconclusiveError where an image of these rows is gone: what is kept at `path` cannot be made anew."""
    lost = next(filter(None, (store.lost_images(rows) for rows in parts if len(rows))), "")
    if lost:
        raise InconclusiveError(
            f"{path} {what} and stays as it is: {lost}. To keep features of the images that are left, delete it"
        )


def counts_of(entries: list[Records]) -> KeptCounts:
    return KeptCounts(sum(entry.images for entry in entries), sum(entry.bytes for entry in entries))


def _manifest(made: str, entries: list[Records], *, renewing: bool = False) -> dict[str, Any]:
    """renewing: shards follow of which there are records of another make."""
    content = {"schema": _SCHEMA, "made_by": made, "records": [asdict(entry) for entry in entries]}
    return sealed({**content, "renewing": True} if renewing else content)


def _listed(folder: Path, made: str) -> tuple[list[Records], bool]:
    """What an earlier run left, nothing where its manifest was changed; and whether it is of this make."""
    try:
        return _entries(folder), _made_by(folder) == made
    except (InputError, InconclusiveError):
        return [], False


def _is_whole(folder: Path, entry: Records) -> bool:
    try:
        return sha256_of(folder / entry.name) == entry.sha256
    except OSError:
        return False


def _path_of(folder: Path, shard: Shard) -> Path:
    return folder / f"{shard.content_sha256[:32]}.records"


def _written(path: Path, store: Store, shard: Shard, first: int, pool: ThreadPoolExecutor, threads: int) -> Records:
    """The records of one shard, its rows from `first` on."""
    places = np.zeros(shard.rows, _PLACE)
    with whole_file(path) as file:
        packed = ahead(pool, _packed, _images(store, first, shard.rows), 2 * threads)
        for i, record in enumerate(_each_once(packed, file, places)):
            places[i] = record
        table = places.tobytes()
        file.write(table)
        size = file.tell()
    images = int((places["length"] > 0).sum())
    digest = hashlib.sha256(table).hexdigest()
    return Records(path.name, shard.content_sha256, shard.rows, images, size, digest, sha256_of(path))


def _images(store: Store, first: int, rows: int) -> Iterator[tuple[str, str]]:
    """Uri and sha256 of each row; no sha256 for what was not embedded."""
    for low in range(first, first + rows, _ROWS):
        columns = store.columns(np.arange(low, min(low + _ROWS, first + rows)))
        for uri, sha256, status in zip(columns.uri, columns.sha256, columns.status, strict=True):
            yield uri, sha256 if status == Status.OK else ""


def _packed(image: tuple[str, str]) -> tuple[str, bytes]:
    uri, sha256 = image
    reduced = read_reduced(uri, sha256) if sha256 else ""
    return sha256, b"" if isinstance(reduced, str) else record_of(reduced)


def _each_once(packed: Iterator[tuple[str, bytes]], file: IO[bytes], places: NDArray[Any]) -> Iterator[Any]:
    """Where each record lies; equal files share one."""
    known = dict[str, int]()
    for i, (sha256, record) in enumerate(packed):
        if record and sha256 in known:
            yield places[known[sha256]]
            continue
        known[sha256] = i
        offset = file.tell()
        file.write(record)
        yield offset, len(record), np.frombuffer(hashlib.sha256(record).digest(), np.uint8)


# Reading


class KeptFile:
    """A file of records, of which any thread may read."""

    def __init__(self, path: Path, entry: Records) -> None:
        self._path = path
        length = entry.rows * _PLACE.itemsize
        table = self._read(entry.bytes - length, length)
        if hashlib.sha256(table).hexdigest() != entry.places:
            raise self._damaged()
        self._places = np.frombuffer(table, _PLACE)

    def reduced(self, row: int) -> Reduced | None:
        """That of a row of the shard; None where nothing is kept of it. Raises InconclusiveError for bytes that are not
        those that were written."""
        place = self._places[row]
        if not place["length"]:
            return None
        record = self._read(int(place["offset"]), int(place["length"]))
        if hashlib.sha256(record).digest() != place["sha256"].tobytes():
            raise self._damaged()
        return reduced_of(record)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with open_regular(self._path) as file:
                file.seek(max(0, offset))
                return file.read(length)
        except OSError:
            raise self._damaged() from None

    def _damaged(self) -> InconclusiveError:
        return InconclusiveError(_DAMAGED.format(self._path, _AGAIN.format(self._path.parent)))


class KeptImage(NamedTuple):
    """Where the record of an image is."""

    file: KeptFile
    row: int

    def reduced(self) -> Reduced | None:
        return self.file.reduced(self.row)


class KeptFeatures:
    """Those of a store, in its `folder`."""

    def __init__(self, folder: Path, entries: list[Records]) -> None:
        self.folder = folder
        self._files = [partial(KeptFile, folder / entry.name, entry) for entry in entries]
        self._open = dict[int, KeptFile]()
        self._starts = np.cumsum([0, *(entry.rows for entry in entries)])

    @classmethod
    def at(cls, folder: Path) -> KeptFeatures:
        """Those that `features_of` found fit."""
        return cls(folder, _entries(folder))

    def images(self, rows: Int64) -> NDArray[np.object_]:
        """Where the records of these rows are, (n,) of `KeptImage`. Memory: 44 bytes for each row of their shards."""
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        found = np.empty(len(rows), object)
        for i, (number, row) in enumerate(zip(shard.tolist(), (rows - self._starts[shard]).tolist(), strict=True)):
            if number not in self._open:
                self._open[number] = self._files[number]()
            found[i] = KeptImage(self._open[number], row)
        return found


def features_of(store: Store) -> KeptFeatures | None:
    """Those that are kept of a store; None where there are none, and where they are of another make (`not_used`).

    Raises InconclusiveError for some of this make that are of another state of the store; files that are damaged raise
    it when they are read.
    """
    folder = store.folder / FOLDER
    if not os.path.lexists(folder):
        return None
    if _other_make(folder):
        return None
    if why := _unfit(store, folder):
        raise InconclusiveError(why)
    return KeptFeatures.at(folder)


def whole_features_of(store: Store) -> KeptFeatures | None:
    """The same. Raises at once for files that are damaged, as far as a `stat` of each tells: for what would read them
    hours later."""
    found = features_of(store)
    if found and (why := _cut(found.folder)):
        raise InconclusiveError(why)
    return found


def not_used(store: Store) -> Shortfall | None:
    """That what is kept of a store is of another make, so that files are read; None where it is not, and where
    `features_of` raises."""
    folder = store.folder / FOLDER
    try:
        made = _other_make(folder) if os.path.lexists(folder) else ""
    except MissingDependencyError:
        return None
    if not made:
        return None
    now = identity()
    advice = f"they are by {made:.120}, and pixels are compared by {now}: memaudit embed --features makes them anew"
    return Shortfall("kept features are not used, files are read", advice)


def kept_counts(store: Store) -> KeptCounts | None:
    """How many images of a store have a record, of whatever make; None where nothing is kept. Raises as
    `features_of`."""
    folder = store.folder / FOLDER
    if not os.path.lexists(folder):
        return None
    if why := _unfit(store, folder):
        raise InconclusiveError(why)
    return counts_of(_entries(folder))


def feature_faults(store: Store) -> list[str]:
    """As `verify_store`, for what is kept of a store: every byte is read."""
    folder = store.folder / FOLDER
    if not os.path.lexists(folder):
        return []
    if why := _unfit(store, folder):
        return [why]
    changed = [entry.name for entry in _entries(folder) if not _is_whole(folder, entry)]
    return [_DAMAGED.format(folder / name, _AGAIN.format(folder)) for name in changed]


def _unfit(store: Store, folder: Path) -> str:
    """Why what is kept must not be used; nothing if it may."""
    again = _AGAIN.format(folder)
    try:
        entries = _entries(folder)
    except (InputError, InconclusiveError) as error:
        return f"{folder} is unfinished or damaged ({error}): {again}"
    if [entry.shard for entry in entries] != [shard.content_sha256 for shard in store.manifest.shards]:
        return f"{folder} is unfinished, or of another state of {store.folder}: {again}"
    return ""


def _cut(folder: Path) -> str:
    """Which file is not there, or not as long as it was; nothing if all are."""
    paths = ((folder / entry.name, entry.bytes) for entry in _entries(folder))
    changed = next((path for path, size in paths if not _is_as_long(path, size)), None)
    return _DAMAGED.format(changed, _AGAIN.format(folder)) if changed else ""


def _is_as_long(path: Path, size: int) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def _content(folder: Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    content = unsealed(path, read_json(path))
    if content.get("schema") != _SCHEMA:
        raise InputError(f"{path} has schema {str(content.get('schema'))[:80]!r}, this version reads {_SCHEMA!r}")
    return content


def _made_by(folder: Path) -> str:
    return str(_content(folder).get("made_by"))


def _other_make(folder: Path) -> str:
    """What records were made by, if by something else; nothing where that cannot be read, as `_unfit` says."""
    try:
        made = _made_by(folder)
    except (InputError, InconclusiveError):
        return ""
    return made if made != identity() else ""


def _is_renewed(folder: Path) -> bool:
    """Whether a run that was to replace records of another make ended early."""
    return bool(_content(folder).get("renewing"))


def _entries(folder: Path) -> list[Records]:
    try:
        return [Records(**entry) for entry in _content(folder)["records"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / _MANIFEST} is damaged ({error})") from None
