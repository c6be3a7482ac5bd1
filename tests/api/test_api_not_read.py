"""What lies beside images, or in files behind their first frame, and is not looked at, is said and counted."""

from __future__ import annotations

import base64
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from face_stores import face_store
from manifests import edit_manifest
from pictures import draw, photograph, write_pictures
from PIL import Image
from vectors import random_vectors

import memaudit as ma
from memaudit.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "training", range(8))
    ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail")
    return tmp_path / "store"


@pytest.fixture
def generations(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "generations", range(100, 104))


def test_a_training_image_under_another_name_is_found(store: Path, generations: Path, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "training" / "0003.png", generations / "gen.txt")
    run = ma.run_audit(generations, store)
    assert [finding.query_id for finding in run.findings.rows] == ["gen.txt"]
    assert run.results.unread == 0


@pytest.mark.parametrize("form", ["hidden", "folder", "array", "text"])
def test_generations_in_another_form_are_not_measured(
    store: Path, generations: Path, tmp_path: Path, form: str
) -> None:
    """A false "none of four" before: one of five was never looked at."""
    copied = tmp_path / "training" / "0003.png"
    if form == "hidden":
        shutil.copy(copied, generations / ".gen.png")
    elif form == "folder":
        shutil.copytree(tmp_path / "training", generations / ".more", ignore=lambda _, names: sorted(names)[1:])
    elif form == "array":
        np.save(generations / "gen.npy", np.asarray(draw(3)))
    else:
        coded = base64.b64encode(copied.read_bytes()).decode()
        (generations / "api.json").write_text(json.dumps({"images": [coded]}))
    run = ma.run_audit(generations, store, out=tmp_path / "audit")
    assert not run.conclusive
    assert run.headline.startswith(
        "Inconclusive: only 4 of 5 generations could be measured (80.00%); 1 pictures beside"
    )
    assert "1 pictures beside 4 generations were not read, and they may hold what is looked for: 1 " in run.headline
    assert (run.rate.coverage.measured, run.rate.coverage.total, run.results.unread) == (4, 5, 1)
    assert any(line.startswith("generations: not read, and they may hold") for line in run.results.not_read)
    assert "Generations: not read, and they may hold what is looked for: 1 " in run.searched_in
    assert "they may hold what is looked for" in (tmp_path / "audit" / "report.html").read_text()
    rules = {rule.rule: str(rule.outcome) for rule in ma.run_gate(ma.run_audit(generations, store)).rules}
    assert "inconclusive" in rules.values()
    few = ma.run_audit(generations, store, max_unreadable=0.3)
    assert few.conclusive
    assert few.results.unread == 1
    asked = ma.run_lookup(generations, store, views="none")
    assert asked.outcome == "could not decide"
    assert "not read, and they may hold" in asked.warnings[0]


def test_captions_beside_generations_are_said_and_no_alarm(store: Path, generations: Path) -> None:
    for number in range(100, 104):
        (generations / f"0{number}.txt").write_text("a cat")
    run = ma.run_audit(generations, store)
    assert run.conclusive
    line = "4 files hold no image and were not read as images: 4 .txt (0100.txt, 0101.txt, 0102.txt, …)"
    assert run.results.not_read == [f"generations: {line}"]
    found = ma.run_lookup(generations, store, views="none")
    assert (found.outcome, found.not_read) == ("nothing found", (line,))
    extracted = ma.run_extract(generations, prompt_pattern="0{prompt}.png", clique=2, max_unreadable=1)
    assert extracted.results.not_read == [line]
    assert ma.embed(generations, out=generations.parent / "more", encoder="thumbnail").not_read == (line,)


def test_an_array_alone_is_said_where_there_is_no_image(store: Path, tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    np.savez(tmp_path / "samples" / "samples.npz", np.zeros((30, 8, 8, 3), np.uint8))
    with pytest.raises(ma.errors.InconclusiveError, match=r"they may hold what is looked for: 30 pictures in arrays"):
        ma.run_audit(tmp_path / "samples", store)
    with pytest.raises(ma.errors.EmptyInputError, match=r"they may hold what is looked for: 30 pictures in arrays"):
        ma.run_lookup(tmp_path / "samples", store)


def test_extraction_counts_what_is_in_another_form(generations: Path) -> None:
    np.save(generations / "more.npy", np.zeros((6, 8, 8, 3), np.uint8))
    run = ma.run_extract(generations, prompt_pattern="0{prompt}.png", clique=2)
    assert "only 4 of 10 generations could be read" in run.headline


def test_an_index_knows_them_without_a_reading_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up of one picture would read all of a large one. An index of 0.3.0 does not say, until it is updated."""
    pytest.importorskip("faiss")
    folder, line = write_pictures(tmp_path / "films", range(6)), "training images: {} films or files of several pages"
    draw(50).save(folder / "a.gif", save_all=True, append_images=[photograph(0)])
    made = ma.embed(folder, tmp_path / "store", encoder="thumbnail")
    ma.build_index(made, tmp_path / "index")
    draw(51).save(folder / "b.gif", save_all=True, append_images=[photograph(1)])
    made = ma.embed(folder, tmp_path / "store", encoder="thumbnail")
    ma.build_index(made, tmp_path / "index", update=True)

    def said() -> str:
        return ma.run_lookup(folder / "0001.png", tmp_path / "index", views="none").not_read[0]

    counting = Store.first_frames_alone
    monkeypatch.setattr(Store, "first_frames_alone", lambda *_: pytest.fail("the store was read"))
    assert said().startswith(line.format(2))
    assert ma.open_guard(tmp_path / "index", views="none", kinds="partial").noted[0].startswith(line.format(2))
    monkeypatch.setattr(Store, "first_frames_alone", counting)
    edit_manifest(tmp_path / "index", lambda manifest: manifest.pop("first_frames_alone"), "index.json")
    assert said().startswith(line.format(2))
    assert ma.build_index(made, tmp_path / "index", update=True).manifest["first_frames_alone"] == 2


def test_films_of_which_the_first_frame_stands_for_all_are_counted(tmp_path: Path) -> None:
    """By embed, info, dedup, extract and, of training images, audits, look-ups and guards."""
    folder = write_pictures(tmp_path / "films", range(6))
    for number in range(2):
        draw(50 + number).save(folder / f"film{number}.gif", save_all=True, append_images=[photograph(number)])
    line = "2 films or files of several pages: the first frame only"
    made = ma.embed(folder, out=tmp_path / "store", encoder="thumbnail")
    assert made.not_read == (line,)
    assert ma.embed(folder, out=tmp_path / "store", encoder="thumbnail").not_read == (line,)
    assert ma.describe(tmp_path / "store").values["first frame only"] == 2
    deduped = ma.run_dedup(made)
    assert deduped.results.not_read == [line]
    assert f"Not looked at: {line}." in deduped.page.read_text(encoding="utf-8")
    extracted = ma.run_extract(folder, prompt_pattern="(?P<prompt>.).*", clique=2, max_unreadable=1)
    assert extracted.results.not_read == [line]
    run = ma.run_audit(write_pictures(tmp_path / "generations", range(100, 104)), made)
    assert run.results.not_read == [f"training images: {line}"]
    found = ma.run_lookup(tmp_path / "generations", made, views="none")
    assert (found.not_read, found.grown) == ((f"training images: {line}",), "")
    draw(77).save(folder / "0077.png")
    guard = ma.open_guard(made, views="none", kinds="partial")
    new = "the training set's sources hold images by now that its store does not"
    assert guard.noted == (f"training images: {line}", new)
    assert guard.notes[1].startswith(f"{new} ({folder} holds by now '0077.png'")
    assert f"Training images: {line}." in run.searched_in


def written_table(path: Path, numbers: list[int], further: list[int]) -> Path:
    """A row for each of these drawings, beside further ones in a column that nothing reads."""

    def data(number: int) -> bytes:
        file = io.BytesIO()
        draw(number).save(file, "PNG")
        return file.getvalue()

    edited = [*map(data, further), *[None] * (len(numbers) - len(further))]
    pq.write_table(pa.table({"image": list(map(data, numbers)), "edited": pa.array(edited, pa.binary())}), path)
    return path


def test_training_images_in_another_form_are_said_wherever_the_set_is_searched(tmp_path: Path) -> None:
    """The store keeps it: nobody lists its sources again for an audit. It decides nothing, as what came since."""
    (tmp_path / "training").mkdir()
    written_table(tmp_path / "training" / "t.parquet", [1, 2, 3], [50, 51])
    line = "not read, and they may hold what is looked for: 2 pictures in further columns of tables (t.parquet: edited)"
    made = ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail")
    assert made.not_read == (line,)
    assert ma.describe(tmp_path / "store").values["not read"] == [line]
    assert ma.run_dedup(made).results.not_read == [line]
    run = ma.run_audit(write_pictures(tmp_path / "generations", [50, 100]), tmp_path / "store")
    assert (run.conclusive, run.results.not_read) == (True, [f"training images: {line}"])
    assert ma.run_lookup(tmp_path / "generations", tmp_path / "store", views="none").not_read == (
        f"training images: {line}",
    )
    guard = ma.open_guard(tmp_path / "store", views="none", kinds="partial")
    assert guard.noted == ("training images: 2 pictures of the set's sources, in another form, are not in its store",)
    assert line in guard.notes[0]


def test_a_store_keeps_what_was_not_read_of_each_of_its_sources(tmp_path: Path) -> None:
    """Once, however often it is embedded and from whatever parts it is merged; what is gone is gone from it."""
    one, two, three = (tmp_path / f"{name}.parquet" for name in ("one", "two", "three"))
    written_table(one, [1, 2, 3, 4], [50, 51]), written_table(two, [5, 6], [52]), written_table(three, [7], [])

    def pictures(folder: str) -> list[int]:
        return [each.pictures for each in Store.open(tmp_path / folder).manifest.not_read]

    ma.embed(one, tmp_path / "whole", encoder="thumbnail", shard_rows=1)
    for source in (two, two, three):
        ma.embed(source, tmp_path / "whole", encoder="thumbnail", shard_rows=1, append=True)
    assert pictures("whole") == [2, 1]
    for part in ("1/2", "2/2"):
        name = f"part-{part[0]}"
        ma.embed(one, tmp_path / name, encoder="thumbnail", shard_rows=1, part=part)
    ma.merge_stores([tmp_path / "part-1", tmp_path / "part-2"], tmp_path / "merged")
    assert pictures("merged") == [2]
    ma.embed(two, tmp_path / "other", encoder="thumbnail", shard_rows=1)
    ma.merge_stores([tmp_path / "merged", tmp_path / "other"], tmp_path / "both")
    assert pictures("both") == [2, 1]
    written_table(two, [5, 6], [])
    ma.embed(two, tmp_path / "other", encoder="thumbnail", shard_rows=1)
    assert pictures("other") == []


def test_a_store_counts_once_what_it_was_told_of_together_with_other_sources(tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{name}.parquet" for name in ("one", "two", "three"))
    written_table(one, [1, 2], [50]), written_table(two, [3, 4], [51, 52]), written_table(three, [5, 6], [53])

    def appended(*sources: Path) -> list[int]:
        ma.embed(sources, tmp_path / "store", encoder="thumbnail", append=(tmp_path / "store").exists())
        return [each.pictures for each in Store.open(tmp_path / "store").manifest.not_read]

    assert appended(one, two) == [3]
    assert appended(two, one) == [3]
    assert appended(one, two, three) == [4], "in place of what was counted of two of them"
    assert appended(one, three) == [4]


def test_files_that_cannot_be_read_take_no_warning_and_no_features_away(tmp_path: Path) -> None:
    """Before, exit code 3 for dead files hid what was not looked at, and nothing was kept of the others."""
    training = write_pictures(tmp_path / "training", range(8))
    shutil.copy(training / "0003.png", training / ".hidden.png")
    (training / "dead.png").write_text("no image")
    with pytest.raises(ma.errors.InconclusiveError, match=r"1 of 9 images could not be read.*1 hidden images"):
        ma.embed(training, out=tmp_path / "store", encoder="thumbnail", features=True)
    assert (tmp_path / "store" / "features").is_dir()


def test_dedup_says_how_many_images_are_blank(tmp_path: Path) -> None:
    """They are compared with nothing: a set of placeholders passed for one in which every image was compared."""
    training = write_pictures(tmp_path / "training", range(2))
    Image.new("RGB", (64, 64), "white").save(training / "a.png")
    Image.new("RGB", (80, 64), "white").save(training / "b.png")
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    run = ma.run_dedup(store, out=tmp_path / "dedup")
    said = "2 blank images, of one colour or almost, stay unless their files are equal"
    assert (run.results.not_read, run.results.dropped) == ([said], 0)
    assert said in (tmp_path / "dedup" / "report.html").read_text()


def test_dedup_of_faces_calls_no_image_blank(tmp_path: Path) -> None:
    """One without a face is no image of one colour."""
    store = face_store(tmp_path / "faces", random_vectors(1, 3, 16), without_face=("a", "b"), not_compared={1: "small"})
    said = "3 rows without a face that can be compared stay unless their files are equal"
    assert ma.run_dedup(store, out=tmp_path / "dedup", match="none").results.not_read == [said]


def test_a_source_without_an_image_is_said(store: Path, generations: Path, tmp_path: Path) -> None:
    """By whoever looks at several: an empty one beside it, of a disk that is not mounted, went without a word."""
    (tmp_path / "empty").mkdir()
    said = f"1 source holds no image ({str(tmp_path / 'empty')[-80:]}): is a disk not mounted, or the name another one?"
    sources = [tmp_path / "empty", generations]
    assert said in ma.run_lookup(sources, store).not_read
    assert said in ma.embed(sources, tmp_path / "both", encoder="thumbnail").not_read
