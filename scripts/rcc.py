"""Files of a Qt resource bundle (.rcc), as written by Qt's own rcc: `qresource.cpp` of Qt Base reads it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_FOLDER, _ZLIB, _ZSTD = 2, 1, 4


def members_of_rcc(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Paths and contents; none of what is no bundle, and without files that zstd compresses: pictures are not."""
    if data[:4] != b"qres":
        return
    version, tree, contents, names = struct.unpack(">4I", data[4:20])
    record = 22 if version >= 2 else 14  # bytes of a node: later versions have a date

    def walk(node: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + node * record
        name, flags = struct.unpack(">IH", data[at : at + 6])
        path = f"{prefix}/{_name(data, names + name)}" if node else ""
        if flags & _FOLDER:
            count, first = struct.unpack(">II", data[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, path)
        elif not flags & _ZSTD:
            (offset,) = struct.unpack(">I", data[at + 10 : at + 14])
            content = _content(data, contents + offset)
            yield path.lstrip("/"), zlib.decompress(content[4:]) if flags & _ZLIB else content

    yield from walk(0, "")


def _name(data: bytes, at: int) -> str:
    (length,) = struct.unpack(">H", data[at : at + 2])
    return data[at + 6 : at + 6 + 2 * length].decode("utf-16-be")


def _content(data: bytes, at: int) -> bytes:
    (length,) = struct.unpack(">I", data[at : at + 4])
    return data[at + 4 : at + 4 + length]
