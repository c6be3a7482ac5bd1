"""The archive of a bundle: a zip of one form alone, so that nothing hides in it and every change shows.

Entries are stored as they are, in order of their names, one after another, each with the same date, mode and version.
Reading is writing again: a file that differs by a byte from what the writer makes of its own entries is refused, which
takes every trick of the format at once (duplicates, gaps, comments, links, two tables that disagree, trailing bytes).
What has no room in a field of four bytes stands in the wider ones of zip64, and nothing else does.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from memaudit.errors import InconclusiveError, InputError
from memaudit.files import open_regular, reason_of

MAGIC = b"PK\x03\x04"
WIDE = 2**32 - 1  # the least size or offset that a field of four bytes does not hold
MOST_ENTRIES = 2**16 - 2
MOST_IN_MEMORY = 64 << 20  # of an entry that is read whole
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_WIDE_END, _LOCATOR = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL")
_VERSION, _DATE, _UNIX, _MODE = 20, 0x21, 3 << 8, 0o100644 << 16  # 1 January 1980; a regular file
_WIDE_VERSION, _WIDE_SIZES = 45, 20  # bytes of the wider sizes in a file's header
_ELSEWHERE = 2**32 - 1  # stands in a field of four bytes whose value is in a wider one
_NAME = re.compile(r"[a-z0-9][\w.-]*(/[a-zA-Z0-9][\w.-]*)*", re.ASCII)
_LONGEST = 200  # characters of a name
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Content:
    """The bytes of an entry: those of `data`, or `size` bytes of a file from `offset` on (-1: all)."""

    data: bytes = b""
    path: Path | None = None
    offset: int = 0
    size: int = -1

    def chunks(self) -> Iterator[bytes]:
        if self.path is None:
            yield self.data
            return
        with open_regular(self.path) as handle:
            handle.seek(self.offset)
            left = self.size
            while left and (chunk := handle.read(_CHUNK if left < 0 else min(_CHUNK, left))):
                left -= len(chunk) if left > 0 else 0
                yield chunk

    def whole(self, name: str) -> bytes:
        """Raises InconclusiveError beyond MOST_IN_MEMORY."""
        if self.size > MOST_IN_MEMORY:
            raise InconclusiveError(f"{name} has {self.size:,} bytes: no writer of memaudit writes that many there")
        return b"".join(self.chunks())


class _Entry(NamedTuple):
    name: bytes
    size: int
    crc: int
    offset: int = 0

    def local(self) -> bytes:
        size, wide = _narrow(self.size), _wide(self.size, self.size)
        head = (MAGIC, _version(wide), 0, 0, 0, _DATE, self.crc, size, size, len(self.name), len(wide))
        return _LOCAL.pack(*head) + self.name + wide

    def central(self) -> bytes:
        size, offset = _narrow(self.size), _narrow(self.offset)
        wide = _wide(self.size, self.size, self.offset)
        version = _version(wide)
        made = (b"PK\x01\x02", _UNIX | version, version, 0, 0, 0, _DATE, self.crc, size, size)
        return _CENTRAL.pack(*made, len(self.name), len(wide), 0, 0, 0, _MODE, offset) + self.name + wide


def _narrow(value: int) -> int:
    return value if value < WIDE else _ELSEWHERE


def _wide(*values: int) -> bytes:
    """Those that need it, as zip64's further field of an entry."""
    wide = [value for value in values if value >= WIDE]
    return struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""


def _version(wide: bytes) -> int:
    return _WIDE_VERSION if wide else _VERSION


def write_archive(file: IO[bytes], entries: Mapping[str, Content]) -> None:
    """Raises InputError for what has no room in one, InconclusiveError for a file that changes meanwhile."""
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"a bundle of {len(entries):,} files: at most {MOST_ENTRIES:,} have room; bundle fewer runs")
    written, offset = list[_Entry](), 0
    for name, content in sorted(entries.items()):
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise InputError(f"{name!r} cannot be the name of a file in a bundle: rename what it was made of")
        entry = _measured(name, content, offset)
        offset += len(entry.local()) + entry.size
        file.write(entry.local())
        if _copied(content, file) != (entry.size, entry.crc):
            raise InconclusiveError(f"{content.path or name} was changed while it was read: bundle again")
        written.append(entry)
    file.write(_tables(written, offset))


def _measured(name: str, content: Content, offset: int) -> _Entry:
    size = crc = 0
    for chunk in content.chunks():
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return _Entry(name.encode(), size, crc, offset)


def _copied(content: Content, file: IO[bytes]) -> tuple[int, int]:
    size = crc = 0
    for chunk in content.chunks():
        file.write(chunk)
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return size, crc


def _tables(entries: list[_Entry], offset: int) -> bytes:
    central, count = b"".join(entry.central() for entry in entries), len(entries)
    wide = b""
    if offset >= WIDE:
        version, there = (_UNIX | _WIDE_VERSION, _WIDE_VERSION), (count, count, len(central), offset)
        wide = _WIDE_END.pack(b"PK\x06\x06", _WIDE_END.size - 12, *version, 0, 0, *there)
        wide += _LOCATOR.pack(b"PK\x06\x07", 0, offset + len(central), 1)
    return central + wide + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(central), _narrow(offset), 0)


def is_archive(path: Path) -> bool:
    """Whether a file begins as a bundle, or has a name that says it is one. Raises nothing: who reads it says more."""
    try:
        with open_regular(path) as handle:
            return handle.read(len(MAGIC)) == MAGIC or path.suffix.lower() == ".zip"
    except OSError:
        return False


def read_archive(path: Path) -> dict[str, Content]:
    """The entries by name. Every byte of the file is read, and held against what a writer would have written.

    Raises InputError for what is no zip at all, InconclusiveError for one that is no bundle's.
    """
    try:
        with open_regular(path) as handle:
            return {entry.name.decode(): content for entry, content in _read(path, handle)}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None


def _read(path: Path, handle: IO[bytes]) -> Iterator[tuple[_Entry, Content]]:
    entries, last = list[_Entry](), b""
    head = handle.read(_LOCAL.size)
    if head[:4] != MAGIC:
        raise InputError(f"{path} is no bundle: it does not begin as a zip archive does")
    while head[:4] == MAGIC:
        entry = _entry(path, head, handle)
        if entry.name <= last:
            raise _damaged(path, f"{entry.name.decode()} stands there twice, or out of order")
        entries.append(entry)
        yield entry, Content(path=path, offset=handle.tell() - entry.size, size=entry.size)
        last, head = entry.name, handle.read(_LOCAL.size)
        if len(entries) > MOST_ENTRIES:
            raise _damaged(path, "it has more files than a bundle can have")
    expected = _tables(entries, handle.tell() - len(head))
    if head + handle.read(len(expected)) != expected:
        raise _damaged(path, "what follows its last file is not the table of its files")


def _entry(path: Path, head: bytes, handle: IO[bytes]) -> _Entry:
    """Read an entry, with its bytes."""
    offset = handle.tell() - len(head)
    if len(head) < _LOCAL.size:
        raise _damaged(path, "it ends within a file")
    *_, crc, size, _, length, more = _LOCAL.unpack(head)
    name = handle.read(length)
    if not _NAME.fullmatch(name.decode("latin-1")) or length > _LONGEST:
        raise _damaged(path, f"{name[:80].decode('ascii', 'backslashreplace')!r} is no name of a file in a bundle")
    wide = handle.read(_WIDE_SIZES) if more == _WIDE_SIZES else b""
    if len(wide) == _WIDE_SIZES:
        size = int.from_bytes(wide[-8:], "little")
    entry = _Entry(name, size, crc, offset)
    if entry.local() != head + name + wide:
        raise _damaged(path, f"the header of {name.decode()} is not as memaudit writes it")
    left, found = size, 0
    while left and (chunk := handle.read(min(_CHUNK, left))):
        left, found = left - len(chunk), zlib.crc32(chunk, found)
    if left or found != crc:
        raise _damaged(path, f"the bytes of {name.decode()} are not those that were written")
    return entry


def _damaged(path: Path, why: str) -> InconclusiveError:
    return InconclusiveError(f"{path} was changed after it was written, or is damaged: {why}; fetch it again")
