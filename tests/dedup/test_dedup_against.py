"""Images that another store has go first, and nobody stays or goes because of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vectors import cosines, families, near, random_vectors, vector_store

from memaudit.dedup import against
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import Decision, DedupResult, Reason
from memaudit.dedup.run import dedup
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.store import Row, Store, writing_store
from memaudit.types import Status


def elsewhere(result: DedupResult) -> dict[int, tuple[int, float]]:
    assert result.against is not None
    found = result.against.found
    return {int(r): (int(o), float(s)) for r, o, s in zip(found.row, found.other, found.similarity, strict=True)}


def test_what_is_dropped_is_what_brute_force_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image at or above the threshold with any of the other set, and its most similar one."""
    vectors = families(0, [1] * 30 + [3] * 20, noise=0.3)
    others = np.concatenate([near(5, vectors[::4], 0.3), random_vectors(9, 20)])
    store = vector_store(tmp_path / "a", vectors)
    other = vector_store(tmp_path / "b", others, prefix="other", shard_rows=7)
    result = dedup(store, against=other)
    truth = cosines(store.embeddings(np.arange(len(vectors))), other.embeddings(np.arange(len(others))))
    best = truth.max(axis=1)
    expected = {i: (int(truth[i].argmax()), float(best[i])) for i in np.flatnonzero(best >= np.float32(0.8)).tolist()}
    assert 15 < len(expected) < len(vectors)
    whole = elsewhere(result)
    assert {row: other for row, (other, _) in whole.items()} == {row: other for row, (other, _) in expected.items()}
    assert [s for _, s in whole.values()] == pytest.approx([s for _, s in expected.values()], abs=1e-6)
    reasons = result.decisions.reason
    assert set(np.flatnonzero(reasons == Reason.ELSEWHERE).tolist()) == set(expected)
    assert (result.decisions.decision[list(expected)] == Decision.DROP).all()
    assert result.against is not None
    assert result.against.store_digest == other.digest
    monkeypatch.setattr(against, "BLOCK_ROWS", 5)
    monkeypatch.setattr(against, "OTHER_ROWS", 3)
    assert elsewhere(dedup(store, against=other)) == whole


@pytest.mark.parametrize("groups", ["cover", "components"])
def test_what_is_in_the_other_set_is_no_witness(tmp_path: Path, groups: str) -> None:
    """A, the largest, is in the other set; B, which would have gone for A, stays, and C goes for B."""
    angles = np.radians([0, 30, 40])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    other = vector_store(tmp_path / "b", [[np.cos(-0.01), np.sin(-0.01)]], prefix="o", threshold=0.865)
    store = vector_store(tmp_path / "a", vectors, sizes=[(99, 99), (9, 9), (8, 8)], threshold=0.865)
    assert dedup(store, DedupOptions(groups=groups)).decisions.decision.tolist()[:2] == ["keep", "drop"]
    result = dedup(store, DedupOptions(groups=groups), against=other)
    assert result.decisions.decision.tolist() == ["drop", "keep", "drop"]
    assert result.decisions.reason.tolist()[0] == Reason.ELSEWHERE
    assert result.decisions.witness.tolist() == [-1, 1, 1]
    assert 0 not in result.pairs.left.tolist() + result.pairs.right.tolist()


def test_the_same_file_goes_whatever_its_embedding(tmp_path: Path) -> None:
    """By hash: also a blank image, also one that the other set could not read, and every exact duplicate with it."""
    v = random_vectors(0, 6)
    store = vector_store(
        tmp_path / "a",
        v[[0, 0, 1, 2, 3, 4]],
        files=["x", "copy of x", "white", "bad", "bad there", "new"],
        statuses=[Status.OK, Status.OK, Status.BLANK, Status.UNREADABLE, Status.OK, Status.OK],
    )
    other = vector_store(
        tmp_path / "b",
        random_vectors(7, 30),
        ids=[f"o{i}" for i in range(30)],
        files=["x", "white", "bad", "bad there", *map(str, range(26))],
        statuses=[Status.OK, Status.BLANK, Status.OK, Status.UNREADABLE, *[Status.OK] * 26],
    )
    result = dedup(store, replace(DedupOptions(), max_unreadable=0.5), against=other)
    assert elsewhere(result) == {0: (0, 1.0), 1: (0, 1.0), 2: (1, 1.0), 4: (3, 1.0)}
    assert result.decisions.decision.tolist() == ["drop", "drop", "drop", "unreadable", "drop", "keep"]
    assert result.inconclusive == ()


def test_nothing_may_be_left(tmp_path: Path) -> None:
    """A set that lies wholly in the other one is dropped wholly; there is no recall of nothing."""
    v = random_vectors(0, 8)
    result = dedup(vector_store(tmp_path / "a", v[:5]), against=vector_store(tmp_path / "b", v, prefix="o"))
    assert set(result.decisions.decision) == {Decision.DROP}
    assert result.recall.sampled == 0
    assert result.recall.by_pair.value is None
    assert result.removal.note == "nothing is left"


def test_ties_go_by_image_id_whatever_the_order(tmp_path: Path) -> None:
    """Of equally similar images of the other set the first image_id is named, in any order of its rows."""
    v = random_vectors(0, 4)
    store = vector_store(tmp_path / "a", v[:2])
    names = set()
    for number, order in enumerate(([0, 1, 2, 3], [3, 2, 1, 0])):
        ids = np.array(["d", "b", "c", "a"])[order].tolist()
        other = vector_store(tmp_path / f"b{number}", v[[0, 0, 1, 1]][order], ids=ids, files=["p", "q", "r", "s"])
        found = dedup(store, against=other).against
        assert found is not None
        names.add(tuple(other.columns(found.found.other).image_id))
    assert names == {("b", "a")}


def test_stores_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    """Another encoder is inconclusive; the store itself and an empty one are mistakes, in one line each."""
    v = random_vectors(0, 5)
    store = vector_store(tmp_path / "a", v)
    with pytest.raises(InconclusiveError, match="different encoders"):
        dedup(store, against=vector_store(tmp_path / "b", v, weights="f" * 64))
    with pytest.raises(UsageError, match="is the same store"):
        dedup(store, against=Store.open(tmp_path / "a"))
    with pytest.raises(InputError, match="no image to compare with"):
        dedup(store, against=vector_store(tmp_path / "c", v, statuses=[Status.UNREADABLE] * 5))


def test_an_other_set_that_could_not_be_read_is_inconclusive(tmp_path: Path) -> None:
    """What could not be read there may be here: the run does not call what it keeps clean."""
    v = random_vectors(0, 10)
    store = vector_store(tmp_path / "a", v[:4])
    short = vector_store(tmp_path / "b", v, prefix="o", statuses=[Status.OK] * 8 + [Status.UNREADABLE] * 2)
    assert dedup(store, against=short).inconclusive == ("the other set: only 8 of 10 images could be read",)
    with writing_store(tmp_path / "c", store.encoder, 64, ["test"]) as writer:
        good = Row("o1", "", "", "a" * 64, 9, 9, Status.OK, "", v[0])
        lost = Row("o2", "", "", "0" * 64, 0, 0, Status.UNREADABLE, "x", None, cut=True)
        writer.write_shard([good] * 1 + [lost])
        writer.finish()
    reasons = dedup(store, DedupOptions(max_unreadable=0.9), against=Store.open(tmp_path / "c")).inconclusive
    assert len(reasons) == 1
    assert reasons[0].startswith("the other set: archives end early")
