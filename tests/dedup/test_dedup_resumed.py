"""Pixels in pieces: stopped anywhere and called again, within a budget, with any room, a run ends as a whole one."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from altered import COPIES
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photograph
from vectors import vector_store

from memaudit import machine
from memaudit.cli.app import run
from memaudit.dedup import effort, pixels
from memaudit.dedup.effort import Estimate
from memaudit.dedup.pairs import Found
from memaudit.dedup.pixels import Confirmed, Limits, confirm, rule_of, shortfall
from memaudit.dedup.results import Comparison
from memaudit.dedup.verdicts import VERDICTS
from memaudit.matching import compare
from memaudit.matching.agreement import NONE
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlap
from memaudit.matching.pictures import Features, Picture
from memaudit.matching.plan import PAIR_FLOORS
from memaudit.matching.rule import Check
from memaudit.report.document import read_report
from memaudit.similarity import Pairs
from memaudit.store import Columns
from memaudit.types import silent, unsaid

FLOOR, THRESHOLD = 0.45, 0.75


class Given(NamedTuple):
    """A made-up set: pictures that hold their number, and any pairs of them."""

    columns: Columns
    found: Found


def given_pairs(folder: Path, images: int, pairs: list[tuple[int, int]], seed: int = 0) -> Given:
    store = vector_store(
        folder / "store", np.eye(images, max(2, images)), uris=[f"{number}" for number in range(images)]
    )
    drawn = np.random.default_rng(seed).uniform(FLOOR, 0.8, len(pairs)).astype(np.float32)
    left, right = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    return Given(store.all_columns(), Found(Pairs(left, right, drawn), [0], Comparison("none", "", 0, ())))


class Watched:
    """Files that are read and pairs that are compared; both made up: a pair is a copy if its sum is a multiple of 3."""

    def __init__(self, patch: pytest.MonkeyPatch, stop: int = -1, unreadable: frozenset[int] = frozenset()) -> None:
        self.read, self.compared = list[int](), list[tuple[int, int]]()
        self.stop, self.unreadable = stop, unreadable
        patch.setattr(compare, "read_picture", self.picture)
        patch.setattr(compare, "check", self.check)

    def picture(self, uri: str, sha256: str, part: str) -> Picture | str:
        self.read.append(int(uri))
        if int(uri) in self.unreadable:
            return "gone"
        nothing = Features(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
        return Picture(np.full((1, 1, 3), 0, np.uint8), np.full((1, 1), int(uri)), nothing)  # type: ignore[arg-type]

    def check(self, query: Picture, reference: Picture, cut: float | None) -> Check:
        if len(self.compared) == self.stop:
            raise KeyboardInterrupt
        one, two = int(query.ground[0, 0]), int(reference.ground[0, 0])
        self.compared.append((one, two))
        if (one + two) % 3:
            return Check(Kind.SIMILAR, 0, NONE, 0.1)
        return Check(
            Kind.NEAR, 9, NONE, 1 / (1 + one), Overlap(np.eye(2, 3) * (1 + one), np.full(4, one), np.full(4, two))
        )


def confirmed(
    given: Given,
    scratch: Path | None = None,
    seconds: float | None = None,
    tell: object = unsaid,
    cut: float | None = None,
) -> Confirmed:
    rows = np.arange(len(given.columns.image_id))
    rule = rule_of(FLOOR, given.columns, rows, np.empty((0, 2), np.int64))
    limits = Limits("store", scratch, seconds, 0, tell, cut)  # type: ignore[arg-type]
    return confirm(given.found, given.columns, rows, THRESHOLD, rule, limits, silent)


def assert_same(one: Confirmed, two: Confirmed) -> None:
    for name in ("left", "right", "similarity"):
        np.testing.assert_array_equal(getattr(one.pairs, name), getattr(two.pairs, name))
    for name in ("matrix", "query_box", "reference_box"):
        np.testing.assert_array_equal(getattr(one.overlaps, name), getattr(two.overlaps, name))
    np.testing.assert_array_equal(one.probability, two.probability)
    np.testing.assert_array_equal(one.decided, two.decided)


PAIRS = st.sets(
    st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda p: p[0] < p[1]), min_size=1, max_size=40
)


@settings(max_examples=25, deadline=None)
@given(PAIRS, st.data())
def test_stopped_anywhere_and_called_again_it_is_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory, pairs: set[tuple[int, int]], data: st.DataObject
) -> None:
    """Any pairs, any room for pictures, any threads; no pair whose verdict was kept is compared again."""
    folder = tmp_path_factory.mktemp("resumed")
    given = given_pairs(folder, 15, sorted(pairs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "CANDIDATES", 100)
        Watched(patch)
        whole = confirmed(given)
        room = data.draw(st.integers(2, 20))
        patch.setattr(pixels, "pictures_held", lambda: room)
        patch.setattr(compare, "_AT_ONCE", data.draw(st.integers(1, 4)))
        threads = data.draw(st.integers(1, 3))
        patch.setattr(machine, "cores", lambda: threads)
        patch.setattr("memaudit.dedup.verdicts._PAIRS", 1)
        stopped = Watched(patch, stop=data.draw(st.integers(0, len(pairs) - 1)))
        if (given.found.pairs.similarity < THRESHOLD).sum() > stopped.stop:
            with pytest.raises(KeyboardInterrupt):
                confirmed(given, folder)
        kept = (folder / VERDICTS).read_bytes() if (folder / VERDICTS).exists() else b""
        again = Watched(patch)
        assert_same(confirmed(given, folder), whole)
        of_all = int((given.found.pairs.similarity < THRESHOLD).sum())
        decided_before = of_all - len(again.compared)
        assert decided_before <= len(stopped.compared)
        assert (decided_before > 0) <= (len(kept) > 0)
        third = Watched(patch)
        assert_same(confirmed(given, folder), whole)
        assert (third.compared, third.read) == ([], [])


def test_what_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    """A file that is back counts; another rule's verdicts do not."""
    given = given_pairs(tmp_path, 6, [(0, 1), (0, 2), (1, 2), (3, 4), (4, 5)], seed=3)
    given.found.pairs.similarity[:] = 0.6
    with pytest.MonkeyPatch.context() as patch:
        Watched(patch, unreadable=frozenset({4}))
        assert confirmed(given, tmp_path).checks.unread == 2
        again = Watched(patch)
        checks = confirmed(given, tmp_path).checks
        assert sorted(again.compared) == [(3, 4), (4, 5)]
        assert (checks.checked, checks.unread) == (5, 0)
        patch.setattr(pixels, "identity_of_rule", lambda: "another")
        anew = Watched(patch)
        confirmed(given, tmp_path)
        assert len(anew.compared) == 5


def test_verdicts_by_another_cut_do_not_count(tmp_path: Path) -> None:
    """Neither those of the model's own for a calibrated one, nor the other way round."""
    given = given_pairs(tmp_path, 6, [(0, 1), (0, 2), (1, 2), (3, 4), (4, 5)], seed=3)
    given.found.pairs.similarity[:] = 0.6
    with pytest.MonkeyPatch.context() as patch:
        for cut, compared in ((None, 5), (None, 0), (0.9, 5), (0.9, 0), (0.91, 5), (None, 5)):
            watched = Watched(patch)
            confirmed(given, tmp_path, cut=cut)
            assert (cut, len(watched.compared)) == (cut, compared)


def chain(images: int) -> list[tuple[int, int]]:
    return [(one, other) for one in range(images) for other in range(one + 1, min(images, one + 7))]


def test_a_budget_is_spent_on_the_most_similar_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is said, from which similarity down; the next call goes on with it, and ends as the whole."""
    given = given_pairs(tmp_path, 400, chain(400))
    monkeypatch.setattr(compare, "_AT_ONCE", 1)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    monkeypatch.setattr(pixels, "estimated", lambda *_: None)
    Watched(monkeypatch)
    whole = confirmed(given)
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 1
        return now

    monkeypatch.setattr(effort.time, "monotonic", tick)
    watched = Watched(monkeypatch)
    first = confirmed(given, tmp_path, seconds=1000)
    checks = first.checks
    assert checks.left > 0
    assert checks.checked + checks.left == whole.checks.checked
    assert checks.checked == int(first.decided.sum()) <= len(watched.compared)
    similarity = first.below
    assert checks.left_from == pytest.approx(float(similarity[~first.decided].max()))
    assert first.decided[similarity > checks.left_from].all()
    assert first.decided[similarity > np.quantile(similarity, 1 - checks.checked / len(similarity) + 0.13)].all()
    assert set(first.pairs.left * 400 + first.pairs.right) <= set(whole.pairs.left * 400 + whole.pairs.right)
    assert "the same command again goes on with them" in shortfall(checks, 0.01)
    assert shortfall(checks, 1.0) == ""
    monkeypatch.setattr(effort.time, "monotonic", lambda: 0.0)
    rest = Watched(monkeypatch)
    assert_same(confirmed(given, tmp_path), whole)
    assert len(rest.compared) == checks.left


def test_with_time_to_spare_a_budget_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = given_pairs(tmp_path, 400, chain(400))
    Watched(monkeypatch)
    ample, whole = confirmed(given, seconds=10**6), confirmed(given)
    assert_same(ample, whole)
    assert ample.checks.reads == whole.checks.reads
    assert (ample.checks.left, ample.checks.left_from, ample.checks.budget) == (0, None, 10**6)


def test_the_estimate_is_told_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is a minute or more."""
    given, told = given_pairs(tmp_path, 400, chain(400)), list[str]()
    watched = Watched(monkeypatch)
    confirmed(given, tell=told.append)
    assert told == []
    monkeypatch.setattr(pixels, "estimated", lambda *_: Estimate(41_000, 2220.0, 2))
    before = len(watched.compared)
    confirmed(given, seconds=600, tell=lambda line: told.append(f"{line} ({len(watched.compared) - before})"))
    assert told == ["about 41,000 pairs to compare on pixels, 37 min on 2 cores; --budget ends them after 10 min (0)"]


def test_files_are_read_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as the report says, with room for few."""
    given = given_pairs(tmp_path, 400, chain(400))
    monkeypatch.setattr(pixels, "pictures_held", lambda: 20)
    monkeypatch.setattr(pixels, "estimated", lambda *_: None)
    watched = Watched(monkeypatch)
    checks = confirmed(given).checks
    assert len(watched.read) == checks.reads
    assert checks.images == len(set(watched.read))
    assert checks.reads <= 1.2 * checks.images


def peak(given: Given) -> int:
    """Bytes that deciding takes at most."""
    tracemalloc.start()
    confirmed(given)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_grows_with_pairs_as_stated_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 bytes for a pair and 250 for a copy, which here every third is; whatever the pictures are."""
    monkeypatch.setattr(pixels, "pictures_held", lambda: 50)
    Watched(monkeypatch)
    few, many = (given_pairs(tmp_path / str(images), images, chain(images)) for images in (500, 2000))
    peak(few)
    grown, pairs = peak(many) - peak(few), len(many.found.pairs.left) - len(few.found.pairs.left)
    of_images = 1500 * 400  # columns of the store, taken anew
    assert grown < pairs * (400 + 250 / 3) + of_images


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--budget", "2 hours"],
            "--budget '2 hours' is no time: expected a number above 0 and s, m, h or d, such as 90m or 2h",
        ),
        (["--budget", "1h", "--match", "none"], "--match none compares no pixels: leave out --budget"),
    ],
)
def test_a_budget_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    store = vector_store(tmp_path / "store", np.eye(3))
    assert run(["dedup", str(store.folder), "--out", str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert said == f"memaudit: {words}\n"


def test_the_command_says_what_was_left_and_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decisions are written all the same; called again without a budget it ends with 0, and leaves nothing over."""
    monkeypatch.setitem(PAIR_FLOORS, "test", 0.45)
    angle = np.arccos(0.6) * np.arange(2)
    block = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rows = np.kron(np.eye(80), block)
    store = vector_store(tmp_path / "store", rows, uris=[str(number) for number in range(160)])
    Watched(monkeypatch)
    ticks = iter(range(10**6))
    monkeypatch.setattr(effort.time, "monotonic", lambda: next(ticks))
    command = ["dedup", str(store.folder), "--out", str(tmp_path / "out")]
    assert run([*command, "--budget", "2s"]) == 3
    said = capsys.readouterr().out
    results = read_report(tmp_path / "out/report.json").content["results"]
    left = results["pixels"]["left"]
    assert left > 0
    assert f"The time given left {left:,} pairs, of a similarity of 0.6 and less." in said
    assert f"--budget 2 s left {left:,}, from a similarity of 0.6 down" in results["headline"]
    assert (tmp_path / "out/keep.txt").exists()
    assert (tmp_path / "out" / VERDICTS).exists()
    assert run(command) == 0
    assert read_report(tmp_path / "out/report.json").content["results"]["pixels"]["left"] == 0
    assert not (tmp_path / "out" / VERDICTS).exists()


RUN = """
import os, signal, sys
from memaudit import machine
from memaudit.cli import app
from memaudit.dedup import verdicts
from memaudit.matching import compare
last, made, check = int(sys.argv[1]), 0, compare.check
def counted(query, reference, *more):
    global made
    made += 1
    if made == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return check(query, reference, *more)
compare.check, compare._AT_ONCE, verdicts._PAIRS = counted, 1, 1
machine.cores = lambda: 1
code = app.run(sys.argv[2:])
print(made)
sys.exit(code)
"""


def test_killed_half_way_the_same_command_goes_on(tmp_path: Path) -> None:
    """SIGKILL between two pairs: those before it are not compared again, and every file is as if nothing had been."""
    paths = [tmp_path / f"{number}-{name}.png" for number in range(3) for name in ("same", "crop", "sticker")]
    for path in paths:
        number, _, name = path.stem.partition("-")
        COPIES[name](photograph(int(number))).save(path, compress_level=1)
    similar = np.kron(np.eye(3), np.full((3, 3), 0.6)) + 0.4 * np.eye(9)
    store = vector_store(
        tmp_path / "store",
        np.linalg.cholesky(similar),
        ids=[path.stem for path in paths],
        uris=[str(path) for path in paths],
        hashes=[hashlib.sha256(path.read_bytes()).hexdigest() for path in paths],
    )

    def called(out: str, last: int = 0) -> subprocess.CompletedProcess[str]:
        options = ["dedup", str(store.folder), "--out", str(tmp_path / out), "--match-from", "0.5", "--keep", "first"]
        command = [sys.executable, "-c", RUN, str(last), *options, "--quiet"]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    whole = called("whole")
    assert (whole.returncode, whole.stdout.strip()) == (0, "9")
    assert called("out", 7).returncode == -signal.SIGKILL
    again = called("out")
    assert again.returncode == 0
    assert int(again.stdout) < 9
    for name in ("keep.txt", "drop.txt", "pairs.parquet", "decisions.parquet", "groups.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    results = [read_report(tmp_path / out / "report.json").content["results"] for out in ("out", "whole")]
    assert results[0]["pixels"] == results[1]["pixels"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        path.name for path in (tmp_path / "whole").iterdir()
    )
