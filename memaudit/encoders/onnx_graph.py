"""What is changed in, or read of, an ONNX file without the onnx package: lists of inputs and outputs, and weights.

opencv_zoo's int8 file of SFace lists its weights as inputs of the graph, from the days when ONNX wanted that, although
nodes now compute them. OpenCV 4 passes over them; onnxruntime and OpenCV 5 demand them. Of SSCD's graph a value
in the middle is wanted. Only the lists change: nodes, weights and results stay as they are. Wire format:
protobuf.dev/programming-guides/encoding; field numbers: onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from memaudit.errors import InputError
from memaudit.types import Float32

_GRAPH, _WEIGHTS, _INPUT, _OUTPUT, _NAME = 7, 5, 11, 12, 1  # fields of ModelProto, GraphProto, ValueInfoProto
_SHAPE, _TYPE, _WEIGHTS_NAME, _RAW, _FLOAT32 = 1, 2, 8, 9, 1  # fields of TensorProto, and a type of it
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field: its number, where it begins, where its content begins and ends."""

    number: int
    start: int
    content: int
    end: int


def with_one_input(model: bytes, name: str) -> bytes:
    """The model with `name` as the only input of its graph. Raises InputError for what is no ONNX model."""
    return _with_graph(model, lambda graph: _without(graph, _INPUT, name))


def with_one_output(model: bytes, name: str) -> bytes:
    """The model with the value `name` of its graph as the only output. Raises InputError for what is no ONNX model."""
    output = _field(_OUTPUT, _field(_NAME, name.encode()))
    return _with_graph(model, lambda graph: _without(graph, _OUTPUT) + output)


def weights_of(model: bytes, names: Collection[str]) -> dict[str, Float32]:
    """Those weights of the graph, by name. Raises InputError where one is missing, or not in float32."""
    with _refusing():
        graphs = [model[f.content : f.end] for f in _fields(model) if f.number == _GRAPH]
        tensors = [graph[f.content : f.end] for graph in graphs for f in _fields(graph) if f.number == _WEIGHTS]
        named = {_name_of(tensor, _WEIGHTS_NAME): tensor for tensor in tensors}
        if missing := sorted(set(names) - set(named)):
            raise ValueError(f"it has no weights {missing[0]}")
        return {name: _values(named[name]) for name in names}


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (IndexError, ValueError) as error:
        raise InputError(f"this is no ONNX model: {error}") from None


def _with_graph(model: bytes, changed: Callable[[bytes], bytes]) -> bytes:
    parts = []
    with _refusing():
        for field in _fields(model):
            if field.number == _GRAPH:
                parts.append(_field(_GRAPH, changed(model[field.content : field.end])))
            else:
                parts.append(model[field.start : field.end])
    return b"".join(parts)


def _without(graph: bytes, number: int, but: str = "") -> bytes:
    """The graph without its fields of this number, but for those of one name."""
    kept = (f for f in _fields(graph) if f.number != number or (but and _name_of(graph[f.content : f.end]) == but))
    return b"".join(graph[field.start : field.end] for field in kept)


def _values(tensor: bytes) -> Float32:
    """Raises ValueError for another type than float32, and for values that are not in one piece."""
    shape, kind, raw = [], 0, b""
    for field in _fields(tensor):
        if field.number == _SHAPE:
            shape.append(_read_varint(tensor, field.content)[0])
        elif field.number == _TYPE:
            kind = _read_varint(tensor, field.content)[0]
        elif field.number == _RAW:
            raw = tensor[field.content : field.end]
    if kind != _FLOAT32:
        raise ValueError(f"weights of type {kind}, expected {_FLOAT32}")
    return np.frombuffer(raw, np.dtype("<f4")).reshape(shape)


def _name_of(value: bytes, number: int = _NAME) -> str:
    return next((value[f.content : f.end].decode() for f in _fields(value) if f.number == number), "")


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


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content
