"""Lines added to one file: whole, none lost, whoever is killed and whoever else writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memaudit.errors import InputError
from memaudit.reviews import Review, Verdict, append_reviews, mend, pair_of, read_reviews

A, B = "a" * 64, "b" * 64
LINE = Review(pair_of(A, B), Verdict.COPY, "Ann")
WRITER = """
import sys
from pathlib import Path
from memaudit.reviews import Review, Verdict, append_reviews, pair_of
path, who, count = sys.argv[1:]
for number in range(int(count)):
    pair = pair_of(f"{number:064x}", "f" * 64)
    append_reviews(Path(path), [Review(pair, Verdict.COPY, who, why="x" * 500)])
    print(number, flush=True)
"""


def writer(path: Path, who: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), who, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def lines_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_killed_in_the_middle_of_a_hundred_no_line_is_lost_or_half(tmp_path: Path) -> None:
    """What it had said is written is there; what a next call adds stands on a line of its own."""
    path = tmp_path / "r.jsonl"
    process = writer(path, "Ann", 100)
    assert process.stdout
    said = [process.stdout.readline() for _ in range(30)]
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    last = int(rest[-1]) if rest else int(said[-1])
    assert 29 <= last < 99
    append_reviews(path, [LINE])
    lines = lines_of(path)
    assert [line["left_sha256"] for line in lines[: last + 1]] == [f"{number:064x}" for number in range(last + 1)]
    assert last + 2 <= len(lines) <= last + 3  # one may be there whose writer was killed before it said so
    assert lines[-1]["who"] == "Ann"


def test_two_processes_on_one_file(tmp_path: Path) -> None:
    """All lines of both, none within another."""
    path = tmp_path / "r.jsonl"
    both = [writer(path, who, 60) for who in ("Ann", "Bob")]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    lines = lines_of(path)
    for who in ("Ann", "Bob"):
        assert [line["left_sha256"] for line in lines if line["who"] == who] == [f"{n:064x}" for n in range(60)]


@pytest.mark.parametrize("left", [b"{", b'{"left_sha256": "aa', b'{"left_sha256": "' + b"a" * 64 + b'", "verdict"'])
def test_half_a_line_goes(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "r.jsonl"
    append_reviews(path, [LINE])
    whole = path.read_bytes()
    path.write_bytes(whole + left)
    assert mend(path) == len(left)
    assert path.read_bytes() == whole
    path.write_bytes(whole + left)
    append_reviews(path, [LINE])
    assert path.read_bytes() == whole * 2


def test_a_last_line_without_its_end_gets_it(tmp_path: Path) -> None:
    """An editor left it away."""
    path = tmp_path / "r.jsonl"
    append_reviews(path, [LINE])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    append_reviews(path, [LINE])
    assert path.read_bytes() == whole * 2


@pytest.mark.parametrize("content", [b"my diary\nof today", b"a", b"\x00\x01", b"{\n  half of somebody's object"])
def test_what_is_no_file_of_reviews_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no reviews"):
        append_reviews(path, [LINE])
    assert path.read_bytes() == content


def test_a_disk_that_is_full_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    append_reviews(path, [LINE])
    whole, write = path.read_bytes(), os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        append_reviews(path, [LINE])
    monkeypatch.undo()
    assert path.read_bytes() == whole


def test_whoever_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from memaudit.locks import locked
    from memaudit.reviews import appending

    monkeypatch.setattr(appending, "_PATIENCE", 0.1)
    began = time.monotonic()
    with locked(tmp_path / ".r.jsonl.lock"), pytest.raises(InputError, match="held by another process"):
        append_reviews(tmp_path / "r.jsonl", [LINE])
    assert time.monotonic() - began < 5


def test_a_word_that_was_taken_back_says_nothing(tmp_path: Path) -> None:
    """Of the others' words nothing changes; said again it counts again."""
    path = tmp_path / "r.jsonl"
    append_reviews(path, [LINE, LINE._replace(who="Bob", verdict=Verdict.NO_COPY)])
    append_reviews(path, [LINE._replace(verdict=Verdict.TAKEN_BACK)])
    assert read_reviews([path]).verdicts == {LINE.pair: Verdict.NO_COPY}
    append_reviews(path, [LINE._replace(who="bob", verdict=Verdict.TAKEN_BACK)])
    append_reviews(path, [LINE._replace(who="Bob", verdict=Verdict.TAKEN_BACK)])
    merged = read_reviews([path])
    assert (merged.verdicts, merged.counts.people, merged.counts.unlabelled) == ({}, 0, 1)
    append_reviews(path, [LINE])
    assert read_reviews([path]).verdicts == {LINE.pair: Verdict.COPY}
