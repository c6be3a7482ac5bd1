"""`dedup --kinds`: which copies below the threshold count, and re-drawn families cleared from a training set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import photograph
from PIL import Image, ImageOps
from task_workers import in_this_process

import memaudit as ma
from memaudit.dedup import decisions, matrix
from memaudit.dedup import redrawn as clearing
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import DedupResult, Reason
from memaudit.dedup.run import dedup
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.encoders.regions import Trunk, TrunkRegions
from memaudit.errors import UsageError
from memaudit.folders import nameless_file
from memaudit.matching import plan as planning
from memaudit.matching import redrawn_elsewhere
from memaudit.matching.compare import Files
from memaudit.matching.kept import keep_features
from memaudit.matching.kinds import ALL, COPIES, Kind
from memaudit.matching.plan import REDRAWN_FLOORS
from memaudit.matching.redrawn import Redrawn as Looked
from memaudit.store import Store
from memaudit.tasks import Executor, Work, executors
from memaudit.types import Int64

ENCODER = load_encoder("thumbnail")
PIXELS = {"match": "pixels", "match_from": 0.2}
EVERY = DedupOptions(kinds=ALL, **PIXELS)


def _no_trunk() -> Trunk:
    raise AssertionError("an encoder was asked")


def by_name(queries: Files, references: Files, left: Int64, right: Int64, *_: object) -> Looked:
    """Those of one scene, by the first letter of the file, are drawn anew from each other; what is gone is not read."""
    own, other = ([Path(uri.removeprefix("file://")) for uri in side.uri] for side in (queries, references))
    there = np.array([own[i].exists() and other[j].exists() for i, j in zip(left, right, strict=True)], bool)
    same = np.array([own[i].name[0] == other[j].name[0] for i, j in zip(left, right, strict=True)], bool)
    return Looked(there, np.where(there, np.where(same, 0.9, 0.1), np.nan).astype(np.float32))


@pytest.fixture(autouse=True)
def floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REDRAWN_FLOORS, "thumbnail", -1.0)
    monkeypatch.setattr(planning, "load_regions", lambda: TrunkRegions("none", _no_trunk))
    monkeypatch.setattr(clearing, "redrawn_pairs", by_name)
    monkeypatch.setattr(clearing, "CLOSEST", 9)


def scene(seed: int) -> Image.Image:
    return photograph(seed, (160, 120))


def stored(folder: Path, pictures: dict[str, Image.Image]) -> Store:
    images = folder / "images"
    images.mkdir(parents=True)
    for name, picture in pictures.items():
        picture.save(images / f"{name}.png")
    return embed([images], folder / "store", ENCODER, EmbedOptions(workers=2))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A family of three that were drawn anew (two stand there twice), a picture with a part of it, and another."""
    pictures = {"a1": scene(1), "a1x": scene(1), "a2": scene(2), "a3": scene(3), "a3x": scene(3), "b": scene(4)}
    return stored(tmp_path, {**pictures, "c": scene(5), "d": scene(5).crop((20, 15, 140, 105))})


def fates(result: DedupResult) -> dict[str, tuple[str, str, str]]:
    """Of each image that goes: why, for whom, and the kind of that pair."""
    d = result.decisions
    return {
        str(d.image_id[row]).removesuffix(".png"): (
            str(d.reason[row]),
            str(d.image_id[d.witness[row]]).removesuffix(".png"),
            str(d.kind[row]),
        )
        for row in np.flatnonzero(d.decision == "drop").tolist()
    }


def test_it_is_off_by_itself(store: Store) -> None:
    result = dedup(store, DedupOptions(**PIXELS))
    assert result.redrawn is None
    assert set(fates(result)) == {"a1x", "a3x", "d"}
    assert fates(result)["a1x"] == ("exact duplicate", "a1", "verbatim")
    assert fates(result)["d"] == ("near-duplicate, seen on pixels", "c", "partial")


def test_a_family_that_was_drawn_anew_is_cleared_and_each_witness_names_its_kind(store: Store) -> None:
    """One of the family stays; whoever had one of the others for a witness gets that."""
    result = dedup(store, EVERY)
    found = fates(result)
    assert set(found) == {"a1x", "a2", "a3", "a3x", "d"}
    assert found["a1x"] == ("exact duplicate", "a1", "verbatim")
    for name in ("a2", "a3", "a3x"):
        assert found[name] == (str(Reason.REDRAWN), "a1", "re-drawn")
    assert found["d"][2] == "partial"
    cleared = result.redrawn
    assert cleared is not None
    assert (cleared.images, cleared.pairs, cleared.dropped) == (5, 3, 2)
    assert (cleared.compared.measured, cleared.compared.total) == (cleared.candidates, cleared.candidates)
    assert sorted(result.pairs.kinds.tolist()) == ["partial", *["re-drawn"] * 3, *["verbatim"] * 2]
    assert cleared.probability.tolist() == [np.float32(0.9)] * 3


def test_no_embedding_is_copied_a_second_time(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many go, their copy in the folder of the run is read, and none is made where the system has its own."""
    monkeypatch.setattr(decisions, "BLOCK_ROWS", 1)
    monkeypatch.setattr(matrix, "nameless_file", only_in(tmp_path, copies := list[Path | None]()))
    assert len(fates(dedup(store, EVERY, scratch=tmp_path))) == 5
    assert copies == [tmp_path]


def only_in(folder: Path, given: list[Path | None]) -> Callable[[Path | None], IO[bytes]]:
    def noted(where: Path | None) -> IO[bytes]:
        given.append(where)
        return nameless_file(folder)

    return noted


def test_what_people_ruled_out_stays(store: Store, tmp_path: Path) -> None:
    """Neither is one of the two dropped for the other, nor do both go for a third."""
    names = store.all_columns().image_id
    (tmp_path / "ignore.csv").write_text("left_id,right_id\na2.png,a3.png\n")
    run = ma.run_dedup(store, tmp_path / "out", ignore=tmp_path / "ignore.csv", kinds="all", **PIXELS)
    rows = {row["image_id"]: row for row in pq.read_table(tmp_path / "out" / "decisions.parquet").to_pylist()}
    assert len(names) == 8
    assert rows["a2.png"]["group"] != rows["a3.png"]["group"]
    assert run.conclusive


def test_report_tables_and_page_hold_it(store: Store, tmp_path: Path) -> None:
    run = ma.run_dedup(
        store, tmp_path / "out", kinds=["verbatim,template", "near-duplicate,partial,re-drawn"], **PIXELS
    )
    results = run.results
    assert results is not None
    assert results.redrawn
    assert (results.redrawn.recall, results.redrawn.dropped, results.re_drawn) == ("not measured", 2, 3)
    assert results.counted_kinds == [*map(str, ALL)]
    assert len(results.redrawn_shown) == 3
    assert "3 of them are none, but drawn anew from one that stays" in run.headline
    assert (run.results.without_witness if run.results else None) == 0
    pairs = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pylist()
    assert [row["probability"] for row in pairs if row["kind"] == "re-drawn"] == [pytest.approx(0.9)] * 3
    assert not any(row["pixels"] for row in pairs if row["kind"] == "re-drawn")
    decisions = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pylist()
    assert sorted(row["kind"] for row in decisions if row["decision"] == "drop") == [
        "partial",
        *["re-drawn"] * 3,
        "verbatim",
    ]
    assert all(row["kind"] == "" for row in decisions if row["decision"] == "keep")
    assert "<h3>Drawn anew</h3>" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("kept", [False, True], ids=["files", "kept features"])
def test_tasks_clear_what_one_process_clears(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """In shuffled order, each done twice, a worker lost: with the same tables, byte by byte."""
    kinds = set[str]()

    def worked(work: Work, parts: int, report: Callable[[int], None]) -> None:
        kinds.add(work.folder.name.partition("-")[0])
        in_this_process(work, parts, report)

    monkeypatch.setattr(executors, "_local", worked)
    monkeypatch.setattr(redrawn_elsewhere, "redrawn_pairs", by_name)
    monkeypatch.setattr(redrawn_elsewhere, "load_regions", lambda: TrunkRegions("none", _no_trunk))
    monkeypatch.setattr(redrawn_elsewhere, "PAIRS", 2)
    if kept:
        keep_features(store)
    for out, executor in (("alone", None), ("spread", "local:2")):
        run = ma.run_dedup(store, tmp_path / out, kinds="all", executor=executor, **PIXELS)
        assert (run.results.redrawn.dropped if run.results and run.results.redrawn else 0) == 2
    for name in ("pairs.parquet", "groups.parquet", "decisions.parquet", "keep.txt", "drop.txt"):
        assert (tmp_path / "spread" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert kinds >= {"closest", "redrawn", "pixels"}


def test_a_killed_run_asks_again_only_for_what_it_could_not_look_at(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is there again; all that was found without it stays."""
    asked = list[int]()

    def noted(queries: Files, references: Files, left: Int64, right: Int64, *rest: object) -> Looked:
        asked.append(len(left))
        return by_name(queries, references, left, right, *rest)

    monkeypatch.setattr(executors, "_local", in_this_process)
    monkeypatch.setattr(redrawn_elsewhere, "redrawn_pairs", noted)
    monkeypatch.setattr(redrawn_elsewhere, "load_regions", lambda: TrunkRegions("none", _no_trunk))
    gone, spread = tmp_path / "images" / "a2.png", replace(EVERY, executor=Executor("local", 1, tmp_path / "tasks"))
    gone.rename(tmp_path / "away.png")
    before = dedup(store, spread).redrawn
    (tmp_path / "away.png").rename(gone)
    assert before is not None
    assert sum(asked) == before.candidates
    asked.clear()
    again = dedup(store, spread)
    assert 0 < sum(asked) == before.candidates - before.compared.measured < before.candidates
    assert fates(again) == fates(dedup(store, EVERY))
    assert again.redrawn is not None
    assert again.redrawn.compared.measured == before.candidates


def test_files_that_are_gone_make_it_inconclusive(store: Store) -> None:
    for name in ("a2", "a3", "b"):
        (store.folder.parent / "images" / f"{name}.png").unlink()
    result = dedup(store, EVERY)
    assert any("could be looked at for pictures drawn anew" in reason for reason in result.inconclusive)


def test_where_it_cannot_be_told_it_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who asks for it gets a set that was not looked at."""
    with pytest.raises(UsageError, match="they cannot be told here: no pixels were compared"):
        dedup(store, DedupOptions(kinds=ALL, match="none"))
    monkeypatch.delitem(REDRAWN_FLOORS, "thumbnail")
    with pytest.raises(UsageError, match="encoder thumbnail has no measured floor"):
        dedup(store, EVERY)


def test_a_kind_of_copies_that_does_not_count_stays_and_is_told(store: Store, tmp_path: Path) -> None:
    """A run that is taken up again counts by the kinds that it is asked for."""
    part = tuple(kind for kind in COPIES if kind is not Kind.PARTIAL)
    result = dedup(store, DedupOptions(kinds=part, **PIXELS), scratch=tmp_path)
    assert set(fates(result)) == {"a1x", "a3x"}
    assert result.pixels is not None
    assert (result.pixels.confirmed, result.pixels.not_counted) == (0, {"partial": 1})
    again = dedup(store, DedupOptions(**PIXELS), scratch=tmp_path)
    assert again.pixels is not None
    assert (again.pixels.confirmed, again.pixels.not_counted) == (1, {})


def test_a_template_is_named(tmp_path: Path) -> None:
    other = scene(1)
    other.paste(ImageOps.grayscale(scene(9)).convert("RGB").resize((50, 40)), (90, 20))
    result = dedup(stored(tmp_path, {"one": scene(1), "other": other, "new": scene(7)}), DedupOptions(**PIXELS))
    assert [kind for _, _, kind in fates(result).values()] in (["template"], ["near-duplicate"])
