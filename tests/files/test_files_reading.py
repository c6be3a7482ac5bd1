"""Files of other people are read within bounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from memaudit.errors import InputError
from memaudit.files import (
    MOST_IN_A_LINE,
    open_regular,
    read_json,
    read_small,
    read_toml,
    sha256_of,
    text_lines,
    toml_in,
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[1]", "holds a JSON list, expected an object"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands there twice"),
        (b"\xff{}", "cannot be read"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, content: bytes, reason: str) -> None:
    """Every kind of damage is an InputError that names the file."""
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)


def test_absent_json_and_a_folder(tmp_path: Path) -> None:
    """Both are said in a line."""
    with pytest.raises(InputError, match="does not exist"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


READERS: list[Callable[[Path], object]] = [
    open_regular,
    read_small,
    sha256_of,
    read_json,
    lambda path: read_toml(path, "policy"),
    lambda path: list(text_lines(path)),
]


@pytest.mark.parametrize("read", READERS)
def test_pipes_and_devices_are_not_read(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """Nobody writes into the pipe: opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "link", Path("/dev/zero")):
        with pytest.raises((OSError, InputError), match="not a regular file"):
            read(path)


def test_a_file_that_is_read_whole_has_a_size(tmp_path: Path) -> None:
    """A byte more is refused unread."""
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(OSError, match="larger than 0 MiB"):
        read_small(path, 4)


def test_lines_of_a_text_of_any_length(tmp_path: Path) -> None:
    """A byte order mark goes, ends of lines stay as they are asked for; a line without an end has one."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3")
    assert list(text_lines(path, newline="")) == ["a,b\r\n", "1,2\r\n", "3"]
    assert list(text_lines(path)) == ["a,b\n", "1,2\n", "3"]
    with path.open("wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(OSError, match=f"line 1 is longer than {MOST_IN_A_LINE:,} characters"):
        list(text_lines(path))


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 50_000 + " = 1",
        "[a" + ".a" * 50_000 + "]",
        "x = {a" + '."a"' * 50_000 + " = 1}",
        "x = " + "[" * 50_000,
        "x = " + "9" * 5_000,
    ],
)
def test_toml_that_would_keep_the_parser_busy_is_refused(tmp_path: Path, text: str) -> None:
    """At once, in one line."""
    path, start = tmp_path / "p.toml", time.perf_counter()
    path.write_text(text)
    with pytest.raises(InputError, match=r"policy .* is not valid TOML: ") as caught:
        read_toml(path, "policy")
    assert time.perf_counter() - start < 5
    assert len(str(caught.value)) < 300


def test_toml_may_have_dots() -> None:
    """In keys and in what is said."""
    assert toml_in(b'a.b.c = 1\nwhy = "' + b"one. two, " * 99 + b'"')["a"] == {"b": {"c": 1}}
