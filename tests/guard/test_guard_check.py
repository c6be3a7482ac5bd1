"""The guard says of a picture what an audit says of it as a generation, and never that one is clean which it could not
look at."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import altered, banner, draw, mosaic, photograph, write_pictures
from PIL import Image

import memaudit as ma
from memaudit.errors import InputError, UsageError
from memaudit.lookup.run import Lookup

ROOMS = {"whole": "none", "tiles": "tiles"}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """training/ and generations/, as JPEGs larger than the encoder looks at, with a store, and audits by two choices
    of views."""
    root = tmp_path_factory.mktemp("guard")
    training, generations = root / "training", root / "generations"
    training.mkdir()
    generations.mkdir()
    for seed in range(8):
        photograph(seed, (640, 480)).save(training / f"{seed}.jpg", quality=92)
    altered(photograph(2, (640, 480))).save(generations / "copy.jpg")
    photograph(3, (640, 480)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(generations / "mirrored.jpg")
    photograph(5, (640, 480)).crop((0, 0, 320, 240)).save(generations / "part.jpg")
    page = Image.new("RGB", (900, 700), "white")
    page.paste(photograph(6, (640, 480)).resize((450, 350)), (0, 0))
    page.save(generations / "page.jpg")
    mosaic(50, (640, 480)).save(generations / "new.jpg", quality=85)
    Image.new("RGB", (64, 64), "white").save(generations / "blank.png")
    (generations / "broken.jpg").write_bytes(b"no picture")
    store = ma.embed(training, out=root / "store", encoder="thumbnail")
    for name, views in ROOMS.items():
        ma.run_audit(generations, store, out=root / name, views=views, planted=0)
    return root


@pytest.mark.parametrize("room", ROOMS)
def test_the_guard_says_what_the_audit_says(room: str, audited: Path) -> None:
    """The same training images for each generation, with the same kind, similarity, view and probability; nothing
    else; and none of what the audit could not look at."""
    guard = ma.open_guard(audited / "store", views=ROOMS[room])
    rows = pq.read_table(audited / room / "matches.parquet").to_pylist()
    scores = {row["query_id"]: row for row in pq.read_table(audited / room / "scores.parquet").to_pylist()}
    assert {row["query_id"] for row in rows} >= {"copy.jpg"}
    for path in sorted((audited / "generations").iterdir()):
        said, status = guard.check(path), scores[path.name]["status"]
        found = [
            (each.image_id, each.kind, each.verified, each.view, each.similarity, each.probability)
            for each in (*said.matches, *said.redrawn)
        ]
        known = [
            (row["reference_id"], row["kind"], row["verified"], row["view"], row["similarity"], row["probability"])
            for row in rows
            if row["query_id"].partition("#")[0] == path.name  # pictures of a sheet have rows of their own
        ]
        assert sorted(map(_plain, found)) == sorted(map(_plain, known)), path.name
        expected = "fail" if known else "pass" if status == "ok" else "inconclusive"
        assert said.verdict == expected, path.name
        if status == "ok":
            assert said.nearest is not None


def _plain(row: tuple[object, ...]) -> str:
    """With numbers as the table holds them, in single precision."""
    numbers = (None if value != value else float(np.float32(value)) for value in row[4:] if isinstance(value, float))
    return repr((*row[:4], *numbers))


def test_several_at_once_are_as_each_alone(audited: Path) -> None:
    """Also by their bytes, and the same one twice."""
    guard = ma.open_guard(audited / "store")
    paths = sorted((audited / "generations").iterdir())
    together = guard.check_many([*paths, *(path.read_bytes() for path in paths)])
    alone = [guard.check(path) for path in paths]
    for verdicts in (together[: len(paths)], together[len(paths) :]):
        assert [{**each.as_dict(), "seconds": 0} for each in verdicts] == [
            {**each.as_dict(), "seconds": 0} for each in alone
        ]


def test_all_find_a_file_of_the_training_set_however_narrow(tmp_path: Path) -> None:
    """Guard, look-up, audit and dedup; and all of them the picture in another file, by its similarity."""
    for folder in ("training", "generations"):
        write_pictures(tmp_path / folder, range(3) if folder == "training" else range(50, 52))
        banner(1).save(tmp_path / folder / "banner.png")
    banner(1).save(tmp_path / "generations" / "recoded.png", compress_level=1)
    store = ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail")
    kinds = {"banner.png": "verbatim", "recoded.png": "near-duplicate"}
    run = ma.run_audit(tmp_path / "generations", store, out=tmp_path / "run", views="none", planted=0)
    assert {match.query_id: match.kind for match in run.report.matches} == kinds
    guard = ma.open_guard(store, views="none")
    lookup = ma.run_lookup(tmp_path / "generations", store, views="none")
    for answer in lookup.answers:
        name = Path(answer.image).name
        said = guard.check(tmp_path / "generations" / name)
        assert [each.kind for each in said.matches] == [each.kind for each in answer.matches], name
        assert [each.kind for each in said.matches] == ([kinds[name]] if name in kinds else []), name
    against = ma.embed(tmp_path / "generations", out=tmp_path / "other", encoder="thumbnail")
    assert {*ma.run_dedup(against, against=store).drop} >= {*kinds}


def test_nothing_is_written(audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither into the temporary folder nor beside the store; where there is no memory file, a temporary one goes."""
    guard = ma.open_guard(audited / "store")
    before = sorted(audited.rglob("*"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert guard.check((audited / "generations" / "copy.jpg").read_bytes()).verdict == "fail"
    monkeypatch.delattr(os, "memfd_create")
    assert guard.check((audited / "generations" / "copy.jpg").read_bytes()).verdict == "fail"
    assert sorted(audited.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_film_fails_by_any_of_its_frames(audited: Path) -> None:
    frames = [photograph(90), photograph(2, (640, 480)).resize((320, 240))]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=100)
    said = ma.open_guard(audited / "store", views="none", match="none", threshold=0.8).check(data.getvalue())
    assert (said.verdict, said.pictures, said.matches[0].image_id) == ("fail", 2, "2.jpg")


def test_a_black_frame_leaves_nothing_open_of_the_others(audited: Path) -> None:
    """An audit counts such a film as measured, and one of black frames alone as blank."""
    guard = ma.open_guard(audited / "store", views="none")
    black, new = Image.new("RGB", (320, 240)), mosaic(50, (320, 240))
    for frames, verdict in (
        ([black, new], "pass"),
        ([new, black], "pass"),
        ([black, black.rotate(90)], "inconclusive"),
    ):
        data = io.BytesIO()
        frames[0].save(data, "TIFF", save_all=True, append_images=frames[1:])
        said = guard.check(data.getvalue())
        assert (said.verdict, said.pictures, bool(said.reasons)) == (verdict, 2, verdict != "pass")


def test_kinds_that_do_not_count_do_not_fail(audited: Path) -> None:
    guard = ma.open_guard(audited / "store", kinds="partial")
    assert guard.check(audited / "generations" / "copy.jpg").verdict == "pass"


def test_what_could_not_be_looked_at_is_inconclusive(
    audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is gone, an error in between, a training set that was changed, one that is not whole."""
    guard = ma.open_guard(audited / "store", views="none")
    assert "No such file" in guard.check(tmp_path / "gone.png").reasons[0]
    new = audited / "generations" / "new.jpg"
    with monkeypatch.context() as patch:
        patch.setattr(Lookup, "answers", _raising)
        assert guard.check(new).reasons == ("the disk is gone",)
        assert [each.verdict for each in guard.check_many([new, new])] == ["inconclusive"] * 2
    training = write_pictures(tmp_path / "training", range(3))
    (training / "broken.png").write_bytes(b"no picture")
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail", max_unreadable=1)
    short = ma.open_guard(store, views="none")
    assert short.check(new).verdict == "inconclusive"
    assert "only 3 of 4 training images" in short.doubts[0]
    assert short.check(training / "0001.png").verdict == "fail"
    draw(9).save(training / "0009.png")
    ma.embed(training, out=tmp_path / "store", encoder="thumbnail", append=True, max_unreadable=1)
    assert "was changed" in short.check(new).reasons[0]


def test_what_is_never_looked_at_is_said(audited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenCV nothing passes unless that was chosen; re-drawn pictures, which many encoders cannot tell, are a
    note, and a doubt where that kind was named."""
    new = audited / "generations" / "new.jpg"
    anew = "re-drawn pictures are not looked for"
    said = ma.open_guard(audited / "store", views="none").check(new)
    assert (said.verdict, said.notes) == ("pass", (anew,))
    assert ma.open_guard(audited / "store", views="none", kinds="partial").check(new).notes == ()
    assert ma.open_guard(audited / "store", views="none", kinds="partial,re-drawn").check(new).reasons == (anew,)
    monkeypatch.setitem(sys.modules, "cv2", None)
    blind = ma.open_guard(audited / "store", views="none")
    assert (blind.check(new).verdict, blind.facts) == ("inconclusive", ("pixels are not compared",))
    assert "OpenCV" in blind.doubts[0] or "cv2" in blind.doubts[0]
    chosen = ma.open_guard(audited / "store", views="none", match="none").check(new)
    assert (chosen.verdict, chosen.notes) == ("pass", ("pixels are not compared", anew))


def _raising(*arguments: object) -> None:
    raise InputError("the disk is gone")


def test_impossible_options_are_refused(audited: Path) -> None:
    with pytest.raises(UsageError, match="max_unreadable"):
        ma.open_guard(audited / "store", max_unreadable=2)
    with pytest.raises(UsageError, match="unknown kind"):
        ma.open_guard(audited / "store", kinds="alike")
    with pytest.raises(UsageError, match="--views"):
        ma.open_guard(audited / "store", views="some")


def test_what_is_neither_bytes_nor_a_file_is_undecided(audited: Path) -> None:
    """And says so: not that there is no such file."""
    (said,) = ma.open_guard(audited / "store").check_many([Image.new("RGB", (64, 64))])  # type: ignore[list-item]
    assert str(said.verdict) == "inconclusive"
    assert said.reasons == ("a picture is its bytes, or the path of its file, and no Image",)
