"""Braces: as shells have them, and bounded."""

from __future__ import annotations

import time

import pytest

from memaudit.errors import UsageError
from memaudit.images.braces import expanded


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("a-{00..02}.tar", ["a-00.tar", "a-01.tar", "a-02.tar"]),
        ("{a,b}-{1..2}.tar", ["a-1.tar", "a-2.tar", "b-1.tar", "b-2.tar"]),
        ("{a,b{1..2}}", ["a", "b1", "b2"]),
        ("{3..1}", ["3", "2", "1"]),
        ("a{b", ["a{b"]),
    ],
)
def test_what_braces_stand_for(name: str, names: list[str]) -> None:
    """In the order of the shell; what does not match is a name."""
    assert expanded(name) == names


@pytest.mark.parametrize(
    "name",
    [
        *("x{0..99999999}.tar", "{-9..99999}{0..99}", "x{0..999999999999}", "{0..-999999}", "{0..99999999..3}"),
        *("{a,b}" * 24, f"{{{'{a,b}' * 24},c}}", "{{0..999999},a}", "{0..99999}{0..99999}", "{a..z}" * 8),
    ],
)
def test_too_many_names_are_refused_unlisted(name: str) -> None:
    """At once."""
    start = time.perf_counter()
    with pytest.raises(UsageError, match="stands for more than 100,000 names"):
        expanded(name)
    assert time.perf_counter() - start < 1
