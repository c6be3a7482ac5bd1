"""How far a run is: stages by number, one share of all, and the time left; on a terminal and off it."""

from __future__ import annotations

import itertools
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import write_pictures

from memaudit.cli import console
from memaudit.cli.stages import Stages, spoken


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_stages_are_numbered_as_planned() -> None:
    """One that is left out is taken out, one that nobody expected is put in, one that begins anew is another."""
    stages = Stages(("embedding", "searching", "comparing pixels", "searching", "comparing pixels"), Clock())
    seen = [
        stages.at(*told)[:3]
        for told in (
            ("embedding", 1, 10),
            ("embedding", 10, 10),
            ("searching", 5, 5),
            ("searching", 2, 5),
            ("comparing pixels", 1, 1),
            ("tidying", 1, 1),
        )
    ]
    assert seen == [
        (1, 5, "embedding"),
        (1, 5, "embedding"),
        (2, 5, "searching"),
        (3, 4, "searching"),
        (4, 4, "comparing pixels"),
        (5, 5, "tidying"),
    ]


def test_the_time_left_is_by_the_share_of_all() -> None:
    """Nothing is said of it at first; then as much as the share that is done took."""
    clock = Clock()
    stages = Stages(("embedding", "searching the training set"), clock)
    assert stages.at("embedding", 1, 1000).left is None
    clock.now = 40
    half = stages.at("embedding", 500, 1000)
    assert half.share == pytest.approx(4 / 9)
    assert half.left == pytest.approx(50)
    assert half.rate == pytest.approx(12.5)
    assert half.line == "stage 1 of 2, embedding: 500 of 1,000; 44% of all, about 50 s left"
    assert stages.at("searching the training set", 7, 0).counted == "7"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_whatever_is_told_the_share_is_one(told: list[tuple[str, int, int]]) -> None:
    clock = Clock()
    stages = Stages("abca", clock)
    for each in told:
        clock.now += 3
        standing = stages.at(*each)
        assert 0 <= standing.share <= 1
        assert 1 <= standing.number <= standing.stages
        assert standing.left is None or standing.left >= 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (120, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_times_as_people_say_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_off_a_terminal_a_line_each_half_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(console, "Stages", lambda plan: Stages(plan, clock))
    with console.Console().progress(("embedding",)) as progress:
        for second in range(100):
            clock.now = second
            progress("embedding", second, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "memaudit: stage 1 of 1, embedding: 30 of 100; 30% of all, about 70 s left",
        "memaudit: stage 1 of 1, embedding: 60 of 100; 60% of all, about 40 s left",
        "memaudit: stage 1 of 1, embedding: 90 of 100; 90% of all, about 10 s left",
    ]
    with console.Console(quiet=True).progress(("embedding",)) as progress:
        clock.now = 1000
        progress("embedding", 1, 2)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_one_bar_names_stage_and_share(tmp_path: Path) -> None:
    write_pictures(tmp_path / "training", range(30))
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "memaudit", "embed", "training", "--out", "store", "--encoder", "thumbnail"]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=follower, check=False)
    os.close(follower)
    shown = b"".join(itertools.takewhile(bool, iter(lambda: _read(leader), b""))).decode()
    assert done.returncode == 0
    assert "1/1 embedding" in shown
    assert "of all" in shown


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # the other side is closed
        return b""
