"""`set-{000..099}.tar` stands for a hundred names: braces as shells have them, up to a number that can be listed."""

from __future__ import annotations

import re

import braceexpand

from memaudit.errors import UsageError

MOST_NAMES = 100_000
_LONGEST = 4096  # characters that a path may have
_RANGE = re.compile(r"(?P<first>-?\d+)\.\.(?P<last>-?\d+)(?:\.\.(?P<step>-?\d+))?|(?P<letter>[A-Za-z]\.\.[A-Za-z])")


def expanded(name: str) -> list[str]:
    """The names that `name` stands for: itself, if its braces do not match. Raises UsageError for too many."""
    if len(name) > _LONGEST:
        return [name]
    if _at_most(name) > MOST_NAMES:
        raise UsageError(f"{name[:200]} stands for more than {MOST_NAMES:,} names: name their folder")
    try:
        return list(braceexpand.braceexpand(name))
    except ValueError:  # unbalanced braces: a name like any other
        return [name]


def _at_most(name: str) -> int:
    """A bound of the number of names, found without making one: the product over all braces, also nested ones."""
    names, commas = 1, []
    for position, character in enumerate(name):
        if character == "{":
            commas.append(0)
            found = _RANGE.match(name, position + 1)
            names *= _length(found) if found else 1
        elif character == "," and commas:
            commas[-1] += 1
        elif character == "}" and commas:
            names *= commas.pop() + 1
    return names


def _length(found: re.Match[str]) -> int:
    if found["letter"]:
        return 60  # at most, from A to z
    first, last, step = (int(number or 1) for number in found.group("first", "last", "step"))
    return abs(last - first) // max(1, abs(step)) + 1
