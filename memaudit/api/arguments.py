"""What a public function is given, held to its signature: once for all of them, where they are handed out.

What a type checker would let pass is passed on. So is what means the same: numbers of NumPy, paths of any kind, and in
place of a list whatever gives its things in an order, a generator, say, or a column of a data frame.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache, wraps
from math import inf
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from reprlib import Repr
from types import UnionType
from typing import Any, TypeGuard, get_args, get_origin, get_type_hints

import numpy as np

from memaudit.errors import UsageError

# By the type of a signature, what else is made one
_ALSO: Mapping[Any, Any] = {float: Real, int: Integral, bool: bool | np.bool_, Path: PathLike}
# What the commands refuse as well, by the name that an option has everywhere
_RANGES: Mapping[str, tuple[float, float]] = {
    "workers": (0, inf),
    "batch_size": (1, inf),
    "shard_rows": (1, inf),
    "neighbours": (1, inf),
    "seed": (0, inf),
    "max_unreadable": (0, 1),
}
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class _RefusedError(Exception):
    """where: the argument, or the part of it, that is not what was expected."""

    def __init__(self, where: str, value: object, expected: str) -> None:
        kind = "" if value is None else f" ({type(value).__name__})"
        super().__init__(f"{where} is {' '.join(_SHORT.repr(value).split())}{kind}, expected {expected}")
        self.where = where


@cache
def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises UsageError for an argument that is of no type of its signature, or out of range."""
    signature, types = inspect.signature(function), get_type_hints(function)

    @wraps(function)
    def called(*args: object, **named: object) -> object:
        try:
            given = signature.bind(*args, **named)
        except TypeError:  # too few, too many: the function's own words are better
            return function(*args, **named)
        try:
            given.arguments.update(_held("", given.arguments, types))
        except _RefusedError as error:
            name = function.__name__
            raise UsageError(f"{name}: {error}; help(ma.{name}) says what it takes") from None
        return function(*given.args, **given.kwargs)

    called.__module__ = "memaudit"  # where pickle looks for it, if other processes are to call it
    return called


def _held(whole: str, given: Mapping[str, object], types: Mapping[str, Any]) -> Mapping[str, object]:
    """Arguments, or the fields of one of them, as the function takes them. Raises _RefusedError."""
    held = {name: _taken(whole + name, value, types[name]) for name, value in given.items()}
    for name in [name for name in held if name in _RANGES]:
        (least, most), value = _RANGES[name], held[name]
        if value is not None and not least <= value <= most:
            raise _RefusedError(whole + name, value, f"{least} to {most}" if most < inf else f"at least {least}")
    return held


def _taken(where: str, value: object, expected: Any) -> Any:
    """The value as a type has it. Raises _RefusedError."""
    origin, of = get_origin(expected), get_args(expected)
    if isinstance(expected, UnionType):
        return _one_of(where, value, expected)
    if origin in (Sequence, tuple) and _is_listed(value):
        return tuple(_taken(f"{where}[{number}]", each, of[0]) for number, each in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        return {
            _taken(f"a name of {where}", name, of[0]): _taken(f"{where}[{name!r}]", each, of[1])
            for name, each in value.items()
        }
    if origin is Callable and callable(value):
        return value
    if origin is None and isinstance(value, _ALSO.get(expected, expected)):
        if expected in _ALSO:  # a Path may be of a kind that knows URLs
            return value if isinstance(value, Path) else expected(value)
        if _is_choices(expected):
            return replace(value, **_held(f"{where}.", vars(value), get_type_hints(expected)))
        return value
    raise _RefusedError(where, value, _words(expected))


def _one_of(where: str, value: object, expected: UnionType) -> object:
    """By the first type that fits; where a list does but for one of its things, it is that which is told."""
    within = None
    for each in get_args(expected):
        try:
            return _taken(where, value, each)
        except _RefusedError as error:
            within = error if error.where != where else within
    raise within or _RefusedError(where, value, _words(expected))


def _is_listed(value: object) -> TypeGuard[Iterable[object]]:
    """Whether it has things in an order: a set has none, and of a table with columns nobody knows which is meant."""
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        return False
    return getattr(value, "ndim", 1) == 1


def _is_choices(kind: type) -> bool:
    """Whether somebody writes it down, such as PageChoices: all of it may be left out."""
    return is_dataclass(kind) and all(each.default is not MISSING for each in fields(kind))


def _words(expected: Any) -> str:
    """A type as whoever calls would write it."""
    name = expected.__name__ if isinstance(expected, type) else str(expected)
    return re.sub(r"[\w.]+\.", "", name)
