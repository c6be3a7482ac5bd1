"""Several stores as one: indexed, audited against, looked up and guarded with, they are the store that they make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import altered, draw, write_pictures
from vectors import families, vector_store

import memaudit as ma
from memaudit.api.several import as_one, searcher_of
from memaudit.cli.app import run
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.store import Store


@pytest.fixture
def stores(tmp_path: Path) -> list[Path]:
    """Two of four pictures each."""
    made = []
    for name, seeds in (("a", range(4)), ("b", range(50, 54))):
        ma.embed(write_pictures(tmp_path / name, seeds), tmp_path / f"{name}-store", encoder="thumbnail", tiles=True)
        made.append(tmp_path / f"{name}-store")
    return made


@pytest.fixture
def generations(tmp_path: Path) -> Path:
    """A copy of a picture of either store, and one of none."""
    folder = write_pictures(tmp_path / "generations", [900])
    for seed in (1, 52):
        altered(draw(seed)).save(folder / f"copy-{seed}.png")
    return folder


def found_by(audit: ma.AuditRun) -> list[tuple[str, str]]:
    return [(finding.query_id, finding.reference_id) for finding in audit.findings.rows]


def test_an_audit(stores: list[Path], generations: Path, tmp_path: Path) -> None:
    """It finds what one store of all would find, names every store with its digest, and is reviewed like any other."""
    whole = ma.merge_stores(stores, tmp_path / "whole")
    audited = ma.run_audit(generations, stores, tmp_path / "audit", planted=0)
    assert found_by(audited) == [("copy-1.png", "0001.png"), ("copy-52.png", "0052.png")]
    assert found_by(audited) == found_by(ma.run_audit(generations, whole, tmp_path / "alone", planted=0))
    content = audited.report.content
    assert content["inputs"]["references"] == whole.digest
    named = {f"../{each}": ma.open_store(tmp_path / each).digest for each in ("a-store", "b-store", "audit-store")}
    assert named.items() <= content["stores"].items()
    assert content["about"]["training_set"] == "a-store, b-store"
    assert f"training images: not taken over: {stores[0] / 'tiles'}" in audited.results.not_read
    with ma.open_review(audited, tmp_path / "reviews.jsonl") as page:
        assert (page.status.pairs, page.notes) == (2, ())


def test_the_command_of_an_audit(
    stores: list[Path], generations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word for store in stores for word in ("--against", str(store))]
    out = str(tmp_path / "audit")
    assert run(["audit", str(generations), *given, "--out", out, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 8
    assert run(["audit", str(generations), *given, "--out", out, "--planted", "0", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 2


def test_a_look_up_leaves_nothing_behind(
    stores: list[Path], generations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence names every store; nothing is copied, and what was joined goes."""
    whole = ma.merge_stores(stores, tmp_path / "whole")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    found = ma.run_lookup(generations, stores, views="none")
    assert [match.image_id for answer in found.answers for match in answer.matches] == ["0001.png", "0052.png"]
    assert found.evidence.as_dict()["store"] == {
        "path": f"{stores[0]}, {stores[1]}",
        "sha256": whole.digest,
        "coverage": {"measured": 8, "total": 8, "share": 1.0},
        "parts": {str(store): ma.open_store(store).digest for store in stores},
    }
    assert not list((tmp_path / "scratch").iterdir())
    assert found.not_read == tuple(f"not taken over: {store / 'tiles'}" for store in stores)


def test_a_guard(stores: list[Path], generations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guard = ma.open_guard(stores, views="none")
    assert [str(guard.check(generations / f"{name}.png").verdict) for name in ("copy-1", "copy-52", "0900")] == [
        "fail",
        "fail",
        "pass",
    ]
    assert run(["serve", *map(str, stores), "--views", "none", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stores"] == {str(store): ma.open_store(store).digest for store in stores}
    assert said["images"] == 8
    assert guard.noted[-1] == "tiles, details and features of single stores are not used"
    assert said["notes"] == list(guard.notes)
    assert all(f"not taken over: {store / 'tiles'}" in guard.notes[-1] for store in stores)


def test_one_that_is_written_again_is_another_training_set(stores: list[Path], tmp_path: Path) -> None:
    """A guard, and a look-up that has begun, ask each of them, and not what joins them alone. A run has a store of its
    own beside it, which stays as it was."""
    guard, searcher, beside = ma.open_guard(stores, views="none"), searcher_of(stores), as_one(stores, tmp_path / "run")
    draw(57).save(tmp_path / "b" / "0057.png")
    ma.embed(tmp_path / "b", stores[1], encoder="thumbnail", append=True)
    said = guard.check(tmp_path / "b" / "0057.png")
    assert said.verdict == "inconclusive"
    assert f"store {stores[1]} was changed" in said.reasons[0]
    with pytest.raises(InconclusiveError, match="was changed while it was read"):
        searcher.require_current()
    assert isinstance(beside, Store)
    beside.require_current()


def test_an_index_that_grows_by_a_store(stores: list[Path], tmp_path: Path) -> None:
    """Of the one that they make beside it; a further store is added without building anew."""
    third = vector_store(tmp_path / "x", families(0, [2]), prefix="x")
    given = [vector_store(tmp_path / f"v{n}", families(n + 1, [4] * 3), prefix=f"p{n}") for n in range(2)]
    index = ma.build_index(given, tmp_path / "index")
    assert index.store.digest == ma.merge_stores(given, tmp_path / "whole").digest
    assert index.manifest["parts"] == {f"../v{n}": store.digest for n, store in enumerate(given)}
    grown = ma.build_index([*given, third], tmp_path / "index", update=True)
    assert (index.manifest["rows"], grown.manifest["rows"]) == (24, 26)
    assert run(["index", *(str(store.folder) for store in given), "--out", str(tmp_path / "index"), "--dry-run"]) == 0


def test_what_cannot_be_one(stores: list[Path], generations: Path, tmp_path: Path) -> None:
    """One line: an id in two of them, another encoder, an index among them, nowhere to be, none at all."""
    again = ma.embed(tmp_path / "a", tmp_path / "again", encoder="thumbnail")
    other = vector_store(tmp_path / "other", families(0, [2]))
    ma.build_index(stores[0], tmp_path / "index")
    out = tmp_path / "out"
    for given, error, words in (
        ([*stores, again], InputError, "image_id '0000.png' is in two of the stores"),
        ([*stores, other], InconclusiveError, "stores of different encoders"),
        ([stores[1], tmp_path / "index"], UsageError, "is an index, and of one store: index several"),
        ([], UsageError, "no store was named"),
    ):
        with pytest.raises(error, match=words):
            ma.run_audit(generations, given, out)
        with pytest.raises(error, match=words):
            ma.run_lookup(generations, given)
        assert not (tmp_path / "out-store" / "store.json").exists()
    with pytest.raises(UsageError, match="name the folder of it"):
        ma.run_audit(generations, stores)
