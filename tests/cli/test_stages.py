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

import memaudit as ma
from memaudit.cli import console
from memaudit.cli.stages import Stages, audit_stages, faces_stages, spoken


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_stages_are_numbered_as_planned() -> None:
    """One that is left out is taken out, one that nobody expected is put in, one that begins anew is another."""
    stages = Stages(("embedding", "searching", "comparing pixels", "searching", "comparing pixels"), clock=Clock())
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
    stages = Stages(("embedding", "searching the training set"), clock=clock)
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
    stages = Stages("abca", clock=clock)
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
    monkeypatch.setattr(console, "Stages", lambda *plans: Stages(*plans, clock))
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


SEARCH = ("searching the training set", "searching with views", "comparing pixels")
ANEW = "looking for pictures drawn anew"
COPIES = tuple(f"planted copies: {stage}" for stage in ("embedding", *SEARCH))


def test_an_audit_knows_all_its_stages() -> None:
    """Held-out images go the way of generations; planted copies come after them, by names of their own, then faces."""
    assert audit_stages(None) == ("embedding", *SEARCH, ANEW, *COPIES)
    both = ("embedding", "embedding", *2 * (*SEARCH, ANEW))
    assert audit_stages("held-out") == (*both, *COPIES)
    assert audit_stages("held-out", planted=False) == both
    assert audit_stages("held-out", planted=False, faces=3) == (*both, *FACES_OF_THREE)
    assert audit_stages(None, views=False, pixels=False) == (
        *("embedding", "searching the training set"),
        *("planted copies: embedding", "planted copies: searching the training set"),
    )


FACES_OF_THREE = (*3 * ("finding faces",), "searching the training faces")


def test_an_audit_of_faces_alone_is_another_one() -> None:
    """Whether it is one nobody knows before the training set is opened."""
    stages = Stages(audit_stages("held-out"), faces_stages("held-out"), Clock())
    assert stages.at("finding faces", 1, 9)[:2] == (1, 3)
    assert stages.at("finding faces", 9, 9)[:2] == (1, 3)
    assert stages.at("finding faces", 2, 9)[:2] == (2, 3)
    assert stages.at("searching the training faces", 9, 9)[:2] == (3, 3)


def test_what_is_embedded_already_is_looked_at_in_its_place() -> None:
    stages = Stages(audit_stages("held-out"), clock=Clock())
    told = ["checking what is there", "embedding", *2 * (*SEARCH, ANEW), "planted copies: checking what is there"]
    standing = [stages.at(stage, 1, 1) for stage in (*told, *COPIES[1:])]
    assert [each[:2] for each in standing] == [(number, 14) for number in range(1, 15)]


def test_planted_copies_take_little_beside_the_same_of_generations() -> None:
    clock = Clock()
    stages = Stages(("comparing pixels", "planted copies: comparing pixels"), clock=clock)
    assert stages.at("comparing pixels", 1, 1).share == pytest.approx(5 / 6)


def test_a_real_audit_goes_through_the_stages_that_were_planned(tmp_path: Path) -> None:
    """In their order; with one encoder nothing is told of pictures drawn anew, which is then left out."""
    for name, seeds in (("training", range(12)), ("generations", range(9, 15)), ("heldout", range(20, 25))):
        write_pictures(tmp_path / name, seeds)
    store = ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail")
    told: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        if not told or told[-1] != stage:
            told.append(stage)

    places = tmp_path / "generations", store, tmp_path / "audit"
    ma.run_audit(*places, control=tmp_path / "heldout", progress=progress)
    stages = Stages(audit_stages("heldout"))
    standing = [stages.at(stage, 1, 1) for stage in told]
    assert told[-4:] == list(COPIES)
    assert standing[-1].number == standing[-1].stages == len(told)
