"""What pixels have said of pairs, in a file that outlives a killed run: the next one asks no pair again."""

from __future__ import annotations

import os
import struct
import time
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.files import is_private
from memaudit.matching.overlap import Overlaps
from memaudit.types import Float32, Float64, Int64

VERDICTS = ".pixel-verdicts"
_HEAD = struct.Struct("<III")  # pairs and copies of a piece, and its CRC-32
_OF_A_COPY = 16  # numbers: a matrix, two boxes, a probability, a kind
_SECONDS, _PAIRS = 1.0, 1024  # what a kill costs at most
_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Said(NamedTuple):
    """Pairs that were decided: a number for each (n,), whether it is a copy; of those that are where it lies, how
    likely it is one, and its kind, by the place in `COPIES`."""

    pair: Int64
    is_copy: NDArray[np.bool_]
    overlaps: Overlaps
    probability: Float32
    kind: Int64

    @classmethod
    def joined(cls, parts: list[Said]) -> Said:
        """One after the other."""
        nothing = np.empty(0, np.int64)
        none = cls(nothing, np.empty(0, bool), Overlaps.unknown(), np.empty(0, np.float32), nothing)
        pair, is_copy, overlaps, probability, kind = zip(none, *parts, strict=True)
        columns = zip(*((o.matrix, o.query_box, o.reference_box) for o in overlaps), strict=True)
        where = Overlaps(*map(np.concatenate, columns))
        said = (np.concatenate(each) for each in (pair, is_copy, probability, kind))
        return cls(next(said), next(said), where, *said)

    def as_bytes(self) -> bytes:
        """A piece of the file."""
        o = self.overlaps
        numbers: Float64 = np.c_[o.matrix.reshape(-1, 6), o.query_box, o.reference_box, self.probability, self.kind]
        body = self.pair.astype("<i8").tobytes() + self.is_copy.tobytes() + numbers.astype("<f8").tobytes()
        return _HEAD.pack(len(self.pair), len(o), zlib.crc32(body)) + body


class Verdicts:
    """The verdicts of one store and one rule, as a context. Memory: 9 bytes for each pair that an earlier run decided,
    and 120 for each copy.

    path: None keeps none. depends_on: all that they hang on; those of a file that was begun for something else are let
    go, and so is what a killed writer wrote by halves. Raises InputError where the file cannot be written.
    """

    def __init__(self, path: Path | None, depends_on: str) -> None:
        self._path, self._waiting, self._since = path, list[Said](), time.monotonic()
        self._file = -1
        self.earlier = Said.joined([])
        if path is not None:
            try:
                self._file = os.open(path, _OPEN, 0o600 if is_private(path) else 0o666)
                self.earlier = self._begun(f"memaudit verdicts 2 {depends_on}\n".encode())
            except OSError as error:
                raise self._refused(error) from None

    def __enter__(self) -> Verdicts:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None or not issubclass(kind, InputError):  # else the disk has refused already
                self._write()
        finally:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def add(self, said: Said) -> None:
        """Further pairs, which are written when they are a piece, or a second old."""
        self._waiting.append(said)
        held = sum(len(part.pair) for part in self._waiting)
        if held >= _PAIRS or time.monotonic() - self._since > _SECONDS:
            self._write()

    def _write(self) -> None:
        said, self._waiting, self._since = self._waiting, [], time.monotonic()
        if self._file < 0 or not said:
            return
        try:
            data = memoryview(Said.joined(said).as_bytes())
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> InputError:
        return InputError(f"{self._path} cannot be written: {error.strerror or error}")

    def _begun(self, first: bytes) -> Said:
        """What the file holds; from then on it holds that and no more."""
        with open(self._file, "rb", closefd=False) as file:
            begun, size = file.read(len(first)) == first, os.fstat(self._file).st_size
            parts, end = list[Said](), len(first)
            while begun and (part := _read_piece(file, size)) is not None:
                parts.append(part)
                end = file.tell()
        if begun:
            os.ftruncate(self._file, end)
        else:
            os.ftruncate(self._file, 0)
            os.write(self._file, first)
        return Said.joined(parts)


def _read_piece(file: IO[bytes], size: int) -> Said | None:
    """The next one; None where there is none that is whole. size: of the file."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    pairs, copies, crc = _HEAD.unpack(head)
    length = 9 * pairs + 8 * _OF_A_COPY * copies
    if file.tell() + length > size:
        return None
    body = file.read(length)
    if zlib.crc32(body) != crc:
        return None
    numbers: Float64 = np.frombuffer(body, "<f8", offset=9 * pairs).reshape(-1, _OF_A_COPY)
    overlaps = Overlaps(numbers[:, :6].reshape(-1, 2, 3), numbers[:, 6:10], numbers[:, 10:14])
    pair, is_copy = np.frombuffer(body, "<i8", pairs), np.frombuffer(body, bool, pairs, 8 * pairs)
    return Said(pair, is_copy, overlaps, numbers[:, 14].astype(np.float32), numbers[:, 15].astype(np.int64))
