"""The one thing that must be changed in SFace's file before onnxruntime takes it, without the onnx package.

opencv_zoo's int8 file lists its weights as inputs of the graph, from the days when ONNX wanted that, although nodes now
compute them. OpenCV 4 passes over them; onnxruntime demands them, and OpenCV 5 fails. Only the list is cut: nodes,
weights and results stay as they are. Wire format: protobuf.dev/programming-guides/encoding; field numbers: onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from memaudit.errors import InputError

_GRAPH, _INPUT, _NAME = 7, 11, 1  # fields of ModelProto, GraphProto, ValueInfoProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field: its number, where it begins, where its content begins and ends."""

    number: int
    start: int
    content: int
    end: int


def with_one_input(model: bytes, name: str) -> bytes:
    """The model with `name` as the only input of its graph. Raises InputError for what is no ONNX model."""
    try:
        parts = []
        for field in _fields(model):
            if field.number == _GRAPH:
                graph = _kept(model[field.content : field.end], name)
                parts.append(_tag(_GRAPH) + _varint(len(graph)) + graph)
            else:
                parts.append(model[field.start : field.end])
    except (IndexError, ValueError) as error:
        raise InputError(f"this is no ONNX model: {error}") from None
    return b"".join(parts)


def _kept(graph: bytes, name: str) -> bytes:
    kept = (f for f in _fields(graph) if f.number != _INPUT or _name_of(graph[f.content : f.end]) == name)
    return b"".join(graph[field.start : field.end] for field in kept)


def _name_of(value: bytes) -> str:
    return next((value[f.content : f.end].decode() for f in _fields(value) if f.number == _NAME), "")


def _fields(data: bytes) -> Iterator[_Field]:
    place = 0
    while place < len(data):
        start = place
        tag, place = _read_varint(data, place)
        kind = tag & 7
        if kind == _BYTES:
            length, place = _read_varint(data, place)
            content, place = place, place + length
        elif kind == _VARINT:
            content = place
            _, place = _read_varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            content, place = place, place + (8 if kind == _FIXED64 else 4)
        else:
            raise ValueError(f"a field of wire type {kind}")
        if place > len(data):
            raise ValueError("it ends early")
        yield _Field(tag >> 3, start, content, place)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _tag(field: int) -> bytes:
    return _varint(field << 3 | _BYTES)
