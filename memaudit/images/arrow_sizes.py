"""How large a batch of an Arrow file becomes when it is unpacked, told without unpacking it.

Its buffers may be compressed, each with its length before it; the message's head, a flatbuffer, says where they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

MOST_UNPACKED = 256 << 20  # bytes of a batch that are unpacked, unless it has
_MOST_TIMES = 50  # times fewer in the file
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_FILE_START = 8  # where the messages of a file begin, which else are those of a stream


def oversized_batch(handle: Any, is_file: bool) -> int:
    """The bytes that a batch would become that is far larger than it is in the file; 0 if there is none.

    A stream is looked at up to its first damage, where its reader ends, too. Raises ArrowInvalid for a file whose
    messages do not follow each other, for its reader would find them elsewhere, and for a head that is no flatbuffer.
    """
    handle.seek(_FILE_START if is_file else 0)
    try:
        reader = pa.ipc.MessageReader.open_stream(handle)
        while True:
            message = reader.read_next_message()
            size = sum(_unpacked(message))
            if size > max(MOST_UNPACKED, _MOST_TIMES * len(message.body or b"")):
                return size
    except (StopIteration, EOFError):
        return 0
    except (pa.ArrowException, OSError, struct.error, IndexError) as error:
        if is_file or not isinstance(error, pa.ArrowException | OSError):
            raise pa.ArrowInvalid(f"its messages cannot be followed: {error}") from None
        return 0


def _unpacked(message: pa.ipc.Message) -> Iterator[int]:
    """Bytes of each compressed buffer."""
    head, body = memoryview(message.metadata), memoryview(message.body or b"")
    table = _at(head, 0, "<I")
    kind, place = _field(head, table, 1), _field(head, table, 2)
    if not kind or not place or head[kind] not in (_RECORD_BATCH, _DICTIONARY_BATCH):
        return
    batch = place + _at(head, place, "<I")
    if head[kind] == _DICTIONARY_BATCH:
        inner = _field(head, batch, 1)
        batch = inner + _at(head, inner, "<I")
    buffers = _field(head, batch, 2)
    if not buffers or not _field(head, batch, 3):  # without buffers, or not compressed
        return
    start = buffers + _at(head, buffers, "<I")
    for number in range(_at(head, start, "<I")):
        offset, length = struct.unpack_from("<qq", head, start + 4 + 16 * number)
        if length >= 8:
            yield max(0, _at(body, offset, "<q"))


def _field(head: memoryview, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table is, 0 if it is absent."""
    fields = table - _at(head, table, "<i")
    if 4 + 2 * number >= _at(head, fields, "<H"):
        return 0
    offset = _at(head, fields + 4 + 2 * number, "<H")
    return table + offset if offset else 0


def _at(data: memoryview, place: int, form: str) -> int:
    return int(struct.unpack_from(form, data, place)[0])
