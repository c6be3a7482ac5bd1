"""A training set that is written while it is read: an answer about two states of it is none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from face_stores import face_store
from pictures import write_pictures
from vectors import near, random_vectors

import memaudit as ma

Progress = Callable[[str, int, int], None]
CHANGED = r"was changed while it was read|was changed, or is another one|is missing|is unfinished|another state"


@pytest.fixture
def store(folders: Path) -> ma.MadeStore:
    return ma.embed("training", out="store", encoder="thumbnail", shard_rows=4)


FRESH = count(100, 12)  # seeds of pictures that nobody has seen


def replaced() -> None:
    """Other pictures under the names that were there, from the first shard on."""
    first = next(FRESH)
    write_pictures(Path("training"), range(first, first + 12))
    for number in range(12):
        Path(f"training/{first + number:04d}.png").replace(f"training/{number:04d}.png")
    ma.embed("training", out="store", encoder="thumbnail", shard_rows=4, replace_changed=True)


def appended() -> None:
    first = next(FRESH)
    write_pictures(Path("more"), range(first, first + 5))
    ma.embed("more", out="store", encoder="thumbnail", shard_rows=4, append=True)


CHANGES = {"replaced": replaced, "appended": appended}
RUNS: dict[str, Callable[[Progress], object]] = {
    "audit": lambda tick: ma.run_audit("generations", "store", "out", views="none", match="none", progress=tick),
    "audit of an index": lambda tick: ma.run_audit(
        "generations", "index", "out", views="none", match="none", progress=tick
    ),
    "dedup": lambda tick: ma.run_dedup("store", "out", match="none", progress=tick),
    "dedup against": lambda tick: ma.run_dedup("other", "out", against="store", match="none", progress=tick),
    "lookup": lambda tick: ma.run_lookup("generations", "store", views="none", match="none", progress=tick),
}


class Once:
    """A progress that changes the store when it is told for the `moment`-th time."""

    def __init__(self, change: Callable[[], None], moment: int) -> None:
        self.calls, self._change, self._moment = 0, change, moment

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls += 1
        if self.calls == self._moment:
            self._change()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("run", RUNS)
def test_a_store_that_is_written_meanwhile(store: ma.MadeStore, folders: Path, run: str, change: str) -> None:
    """At the first moment that somebody could, and at the last: exit 3, and no report that says anything else."""
    ma.build_index("store", "index", recipe="flat")
    ma.embed(write_pictures(Path("others"), range(300, 304)), out="other", encoder="thumbnail")
    counted = Once(lambda: None, 0)
    RUNS[run](counted)
    assert counted.calls
    for moment in sorted({1, counted.calls}):
        changing = Once(CHANGES[change], moment)
        with pytest.raises(ma.errors.InconclusiveError, match=CHANGED) as caught:
            RUNS[run](changing)
        assert "\n" not in str(caught.value)
        if run != "lookup":
            assert not ma.open_report("out").conclusive
        ma.embed("training", out="store", encoder="thumbnail", shard_rows=4, replace_changed=True)
        ma.build_index("store", "index", recipe="flat")


def test_people_who_are_forgotten_while_an_audit_reads_them(folders: Path) -> None:
    """Their faces were compared or were not: nobody knows."""
    faces = random_vectors(0, 60)
    face_store(Path("faces"), faces, prefix="train", shard_rows=32)
    face_store(Path("generated"), near(1, faces[:20], 0.1), prefix="gen")
    face_store(Path("held-out"), random_vectors(9, 60), prefix="held")
    forgetting = Once(lambda: ma.forget_faces("faces", "train-00003"), 1)
    with pytest.raises(ma.errors.InconclusiveError, match=CHANGED):
        ma.run_audit("generated", "faces", "out", faces=ma.FaceChoices(control="held-out"), progress=forgetting)
    assert forgetting.calls


def test_a_store_that_is_written_while_an_index_of_it_is_built(store: ma.MadeStore, folders: Path) -> None:
    """The index would be of neither state."""
    with pytest.raises(ma.errors.InconclusiveError, match=CHANGED):
        ma.build_index("store", "index", recipe="flat", progress=Once(appended, 1))
    assert not Path("index/index.json").exists()
