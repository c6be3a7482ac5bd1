"""What a store says of an image: a row, and runs of rows by column."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import NO_FILE as NO_FILE
from memaudit.types import Float32, Int64, Status

ANOTHER_FILE = "the file is another one than was embedded"


@dataclass(frozen=True)
class Row:
    """One image of a store. `embedding` is (dim,) float32 of unit length, or None unless status is OK. cut: its archive
    ends early, so that it stands for an unknown number of lost images."""

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
    cut: bool = False


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
    cut: NDArray[np.bool_]

    @property
    def file(self) -> NDArray[np.object_]:
        """What equal files share: their hash; the image_id stands for it where no file was read."""
        return np.where(self.sha256 == NO_FILE, self.image_id, self.sha256)

    def at(self, positions: NDArray[Any]) -> Columns:
        return Columns._make(column[positions] for column in self)


def is_same_file(data: bytes, sha256: str) -> bool:
    """Whether these bytes are the file of a row with this hash; True where the row was made of no file."""
    return sha256 == NO_FILE or hashlib.sha256(data).hexdigest() == sha256


def is_one_file(one: str, other: str) -> bool:
    """Whether rows with these hashes are of one file, byte by byte; never where none was read."""
    return one == other and one not in ("", NO_FILE)


def content_digest(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over (image_id, file sha256) in order: equal if and only if the same files have the same names."""
    digest = hashlib.sha256()
    for image_id, sha256 in pairs:
        digest.update(f"{len(image_id.encode())}:{image_id}{sha256}\n".encode())
    return digest.hexdigest()


def columns_of(rows: Sequence[Row]) -> Columns:
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
        cut=np.array([row.cut for row in rows], dtype=bool),
    )


def joined(parts: list[Columns]) -> Columns:
    """The columns of all parts, one after the other."""
    if not parts:
        return columns_of([])
    return Columns._make(np.concatenate(column) for column in zip(*parts, strict=True))
