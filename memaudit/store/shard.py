"""A shard: an HDF5 file with the columns and the embeddings of a run of rows, and its entry in the manifest."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError
from memaudit.files import sha256_as_it_is
from memaudit.images.image_ref import ARCHIVE_CUT
from memaudit.store.columns import Columns
from memaudit.types import Int64, Status

SHARD_NAME = re.compile(r"shard-\d{5,}\.h5")
_SHA256 = re.compile("[0-9a-f]{64}")
_plain: set[str] = set()  # by content: once it was looked at, it stays so
CODES = {Status.OK: 0, Status.BLANK: 1, Status.UNREADABLE: 2}
CUT = "cut"  # the one column that a shard need not have: where it is not, cut_in_0_1 says it all
_CHUNK_ROWS = 1024
_TEXT = h5py.string_dtype("utf-8")
_UNREAD: NDArray[Any] = np.empty(0, object)
_Reader = Callable[[h5py.File, slice | Int64], NDArray[Any]]
_STATUS = {code: status for status, code in CODES.items()}


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

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("shard-").removesuffix(".h5"))

    def __post_init__(self) -> None:
        """Raise ValueError for what no writer wrote: store.json may have been edited, or come from elsewhere."""
        counts = (self.rows, self.ok, self.cut, self.bytes)
        if not all(type(count) is int for count in counts) or self.rows < 1:
            raise ValueError(f"shard with counts {counts}")
        if min(self.ok, self.cut) < 0 or self.ok + self.cut > self.rows:
            raise ValueError(f"shard with counts {counts}")
        if not SHARD_NAME.fullmatch(self.name):
            raise ValueError(f"shard called {self.name[:40]!r}")
        if not all(_SHA256.fullmatch(digest) for digest in (self.sha256, self.content_sha256)):
            raise ValueError(f"shard {self.name} with digests that are none")


def shard_name(number: int) -> str:
    return f"shard-{number:05d}.h5"


def require_whole(path: Path, shard: Shard) -> None:
    if not path.is_file():
        raise InconclusiveError(f"shard {path} is missing ({shard.rows} rows): restore it, or embed again")
    if (size := path.stat().st_size) != shard.bytes:
        raise InconclusiveError(f"shard {path} has {size} bytes, expected {shard.bytes}: restore it, or embed again")


def require_unchanged(path: Path, shard: Shard) -> None:
    """Raise InconclusiveError unless the file is, byte by byte, the one that the manifest lists.

    The first call in a process reads the whole file; as long as nobody touches it a further one costs a `stat`.
    """
    try:
        found = sha256_as_it_is(path)
    except OSError:
        require_whole(path, shard)  # says that it is missing, which is the likely reason
        raise InconclusiveError(f"shard {path} cannot be read: restore it, or embed again") from None
    if found != shard.sha256:
        raise InconclusiveError(
            f"shard {path} was changed, or is another one: its sha256 is {found[:12]}…, the manifest has "
            f"{shard.sha256[:12]}…; restore it, or embed again"
        )


@contextmanager
def open_shard(path: Path, shard: Shard, dim: int) -> Iterator[h5py.File]:
    """Open a shard's file. What is not whole or not as its entry says is an InconclusiveError: before it is read, and
    after it, so that what was read is what was checked."""
    require_unchanged(path, shard)
    try:
        # Shards are never written again once they are there: no lock, which some network file systems refuse
        with h5py.File(path, "r", locking=False) as file:
            if shard.sha256 not in _plain:
                _require_plain(file)
                _plain.add(shard.sha256)
            if file["embeddings"].shape != (shard.rows, dim) or len(file["status"]) != shard.rows:
                raise ValueError(f"it does not hold {shard.rows} embeddings of {dim} numbers")
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:  # TypeError: a column of another type
        reason = " ".join(str(error).split())
        raise InconclusiveError(f"shard {path} cannot be read ({reason}): restore it, or embed again") from None
    require_unchanged(path, shard)


def _require_plain(file: h5py.File) -> None:
    """Raise ValueError for a file whose numbers lie elsewhere: a store from somebody else could name any file of its
    reader, and the bytes would come out as hashes or captions."""
    for name in file.id:
        plain = file.id.links.get_info(name).type == h5py.h5l.TYPE_HARD
        found = h5py.h5o.open(file.id, name) if plain else None
        if not isinstance(found, h5py.h5d.DatasetID):
            raise ValueError(f"{name.decode(errors='replace')[:40]!r} is a link or a folder, and no column")
        properties = found.get_create_plist()
        if properties.get_external_count() or properties.get_layout() == h5py.h5d.VIRTUAL:
            raise ValueError(f"column {name.decode(errors='replace')[:40]!r} lies in another file")


def shard_file(columns: Columns, embeddings: NDArray[np.float16]) -> bytes:
    """The HDF5 file of a shard. Made in memory, because the HDF5 library crashes when a disk runs full.

    Numbers carry checksums: a flipped bit is an error when it is read, not another similarity.
    """
    hashes = np.frombuffer(bytes.fromhex("".join(columns.sha256)), np.uint8).reshape(len(embeddings), 32)
    image = io.BytesIO()
    with h5py.File(image, "w", libver="latest") as file:
        _add(file, "embeddings", embeddings)
        _add(file, "sha256", hashes)
        _add(file, "status", np.array([CODES[status] for status in columns.status], np.uint8))
        _add(file, "width", columns.width.astype(np.int32))
        _add(file, "height", columns.height.astype(np.int32))
        _add(file, "simplicity", columns.simplicity)
        if (columns.cut | cut_in_0_1(columns.error)).any():
            _add(file, CUT, columns.cut)
        for name in ("image_id", "uri", "caption", "error", "metadata"):
            values = [value.encode("utf-8", "surrogateescape") for value in getattr(columns, name)]
            file.create_dataset(name, data=values, dtype=_TEXT)
    return image.getvalue()


def _add(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    chunks = (min(len(values), _CHUNK_ROWS), *values.shape[1:])
    file.create_dataset(name, data=values, chunks=chunks, fletcher32=True)


def gathered(dataset: h5py.Dataset, rows: Int64) -> NDArray[Any]:
    """The given sorted rows, chunk by chunk: h5py's own selection by position takes ten times as long."""
    parts = np.split(rows, np.flatnonzero(np.diff(rows // _CHUNK_ROWS)) + 1)
    read = []
    for part in parts:
        low = part[0] // _CHUNK_ROWS * _CHUNK_ROWS
        read.append(dataset[low : low + _CHUNK_ROWS][part - low])
    return np.concatenate(read)


def read_columns(file: h5py.File, part: slice | Int64, only: Collection[str] = Columns._fields) -> Columns:
    """The columns of some rows; those beside `only` have no entries."""
    return Columns(*(_READ[name](file, part) if name in only else _UNREAD for name in Columns._fields))


def texts(data: NDArray[np.object_], errors: str = "strict") -> NDArray[np.object_]:
    """Decoded at once, which takes a tenth of the time that it takes one by one."""
    found = b"\n".join(data.tolist()).decode(errors=errors).split("\n")
    if len(found) != max(1, len(data)):  # a line break in one of them
        found = [each.decode(errors=errors) for each in data.tolist()]
    return np.array(found[: len(data)], dtype=object)


def _hex(hashes: NDArray[np.uint8]) -> NDArray[np.object_]:
    digits = hashes.tobytes().hex()
    return np.array([digits[i : i + 64] for i in range(0, len(digits), 64)], dtype=object)


def _statuses(codes: NDArray[np.uint8]) -> NDArray[np.object_]:
    known = np.array([_STATUS[code] for code in range(len(_STATUS))], dtype=object)
    if codes.max(initial=0) >= len(known):
        raise ValueError(f"a row of status {codes.max()}")
    return np.asarray(known[codes])


def _of_text(name: str, errors: str = "strict") -> _Reader:
    return lambda file, part: texts(file[name][part], errors)


def _of_numbers(name: str) -> _Reader:
    return lambda file, part: file[name][part].astype(np.int64)


def _cut(file: h5py.File, part: slice | Int64) -> NDArray[np.bool_]:
    return np.asarray(file[CUT][part], dtype=bool) if CUT in file else cut_in_0_1(texts(file["error"][part]))


def cut_in_0_1(errors: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Whose archive ends early in a shard of memaudit 0.1, which has no column for it: the errors say so in words."""
    return np.array([ARCHIVE_CUT in error for error in errors], dtype=bool)


_READ: dict[str, _Reader] = {
    "image_id": _of_text("image_id"),
    "uri": _of_text("uri", "surrogateescape"),  # a file name may be any bytes
    "caption": _of_text("caption"),
    "sha256": lambda file, part: _hex(file["sha256"][part]),
    "width": _of_numbers("width"),
    "height": _of_numbers("height"),
    "status": lambda file, part: _statuses(file["status"][part]),
    "error": _of_text("error"),
    "metadata": _of_text("metadata"),
    "simplicity": lambda file, part: file["simplicity"][part],
    "cut": _cut,
}
