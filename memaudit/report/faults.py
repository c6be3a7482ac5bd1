"""What is wrong with a value that the model refuses: its place, what was expected there, and what was found."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator
from typing import NamedTuple

from msgspec import NODEFAULT, inspect

from memaudit.report.model import JsonValue

_LONGEST = 40
_PLAIN = re.compile(r"\w{1,60}", re.ASCII)


class Fault(NamedTuple):
    """One place where a value is not of its type."""

    place: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, found {self.found}"


def fault_of(value: JsonValue, kind: type, place: str) -> Fault | None:
    """The first fault of `value` as a `kind` of the model; None where there is none."""
    return next(_faults(value, inspect.type_info(kind), place), None)


def _faults(value: JsonValue, kind: inspect.Type, place: str) -> Iterator[Fault]:
    if isinstance(kind, inspect.Metadata):
        yield from _faults(value, kind.type, place)
    elif isinstance(kind, inspect.UnionType):
        yield from _of_union(value, kind, place)
    elif isinstance(kind, inspect.StructType) and isinstance(value, dict):
        yield from _of_fields(value, kind, place)
    elif isinstance(kind, inspect.ListType) and isinstance(value, list):
        yield from _of_items(value, kind, place)
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for name, item in value.items():
            yield from _faults(item, kind.value_type, within(place, name))
    else:
        expected = _expected(value, kind)
        if expected:
            yield Fault(place, expected, _found(value))


def _of_union(value: JsonValue, kind: inspect.UnionType, place: str) -> Iterator[Fault]:
    """Unions of the model are of one type and null."""
    if value is None:
        return
    (other,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    for fault in _faults(value, other, place):
        yield fault._replace(expected=f"{fault.expected} or null") if fault.place == place else fault


def _of_items(value: list[JsonValue], kind: inspect.ListType, place: str) -> Iterator[Fault]:
    for number, item in enumerate(value):
        yield from _faults(item, kind.item_type, f"{place}[{number}]")
    if kind.max_length is not None and len(value) != kind.max_length:
        yield Fault(place, f"a list of {kind.max_length}", _found(value))


def _of_fields(value: dict[str, JsonValue], kind: inspect.StructType, place: str) -> Iterator[Fault]:
    for field in kind.fields:
        where = within(place, field.encode_name)
        if field.encode_name in value:
            yield from _faults(value[field.encode_name], field.type, where)
        elif field.required and field.default is NODEFAULT:
            yield Fault(where, _name_of(field.type), "nothing")
    if kind.forbid_unknown_fields:
        known = {field.encode_name for field in kind.fields}
        for name in value:
            if name not in known:
                yield Fault(within(place, name), "no such field", _found(value[name]))


def _expected(value: JsonValue, kind: inspect.Type) -> str:
    """What a value that is no container should be; nothing if it is so."""
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _expected_number(value, kind)
    if isinstance(kind, inspect.StrType):
        fits = isinstance(value, str) and len(value) >= (kind.min_length or 0)
        fits = fits and re.search(kind.pattern or "", str(value)) is not None
    elif isinstance(kind, inspect.LiteralType):
        fits = value in kind.values
    elif isinstance(kind, inspect.BoolType):
        fits = isinstance(value, bool)
    else:
        fits = isinstance(kind, inspect.NoneType) and value is None
    return "" if fits else _name_of(kind)


def _expected_number(value: JsonValue, kind: inspect.IntType | inspect.FloatType) -> str:
    numbers = int if isinstance(kind, inspect.IntType) else int | float
    if isinstance(value, bool) or not isinstance(value, numbers):
        return _name_of(kind)
    bounds = ((">=", kind.ge, operator.ge), (">", kind.gt, operator.gt), ("<=", kind.le, operator.le))
    for sign, bound, keeps in bounds:
        if bound is not None and not keeps(value, bound):
            return f"{_name_of(kind)} {sign} {bound:,}"
    too_large = isinstance(kind, inspect.FloatType) and isinstance(value, int) and abs(value) >= 2**1023
    return f"{_name_of(kind)} that a computer holds" if too_large else ""


def _name_of(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _name_of(kind.type)
    if isinstance(kind, inspect.UnionType):
        (other,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        return f"{_name_of(other)} or null"
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(json.dumps(value) for value in kind.values)
    if isinstance(kind, inspect.StrType) and kind.pattern:
        return f"a text like {kind.pattern}"
    return _NAMES.get(type(kind), "an object")


_NAMES: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.ListType: "a list",
}


def _found(value: JsonValue) -> str:
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def within(place: str, name: str) -> str:
    """The place of a field: `results.searched.n`, `inputs["training faces"]`."""
    if _PLAIN.fullmatch(name):
        return f"{place}.{name}" if place else name
    return f"{place}[{json.dumps(name[:_LONGEST])}]"
