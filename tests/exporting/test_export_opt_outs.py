"""What reserves rights is noted when a store is made, counted, and left out where somebody asks for that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pyarrow.parquet as pq
import pytest
from pictures import altered, draw
from PIL import PngImagePlugin
from sets import in_tar

import memaudit as ma
from memaudit.errors import InconclusiveError, UsageError
from memaudit.files import read_json, sealed, write_json
from memaudit.images import opt_outs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures: 3 says noai; 0 is a copy of 1 that says so, and 1, which is kept, does not; 5 has a column."""
    place = tmp_path_factory.mktemp("opt-outs")
    (place / "training").mkdir()
    lines = ["path,image_id,x_robots_tag"]
    for number in range(10):
        text = PngImagePlugin.PngInfo()
        if number in (0, 3):
            text.add_text("robots", "noai")
        picture = draw(number) if number else altered(draw(1)).resize((100, 100))
        picture.save(place / "training" / f"{number}.png", pnginfo=text)
        lines.append(f"training/{number}.png,{number}.png,{'noimageai' if number == 5 else ''}")
    (place / "training.csv").write_text("\n".join(lines))
    ma.embed(place / "training.csv", out=place / "store", encoder="thumbnail")
    ma.run_dedup(place / "store", out=place / "dedup")
    return place


def test_info_counts_them(place: Path) -> None:
    said = ma.describe(place / "store").values["opt-outs"]
    expected = {"read": opt_outs.read_of(opt_outs.c2pa_reader()), "images": 3}
    assert said == {**expected, "read": list(expected["read"]), "by kind": {"noai": 2, "noimageai": 1}, "not read": {}}


def test_an_export_leaves_them_out_with_what_was_kept_for_them(place: Path, tmp_path: Path) -> None:
    assert set((place / "dedup/keep.txt").read_text().split()) == {f"{n}.png" for n in range(1, 10)}
    made = ma.export(place / "dedup", tmp_path / "out", to="manifest", respect_opt_outs=True)
    names = pq.read_table(made.folder / "manifest.parquet")["image_id"].to_pylist()
    assert names == [f"{n}.png" for n in (2, 4, 6, 7, 8, 9)]
    assert made.opted_out == 3
    kept = ma.kept(place / "dedup", respect_opt_outs=True)
    assert kept.mask([f"{n}.png" for n in range(10)]).tolist() == [n in (2, 4, 6, 7, 8, 9) for n in range(10)]
    alone = ma.export(place / "store", tmp_path / "alone", to="manifest", respect_opt_outs=True)
    assert alone.opted_out == 3
    with pytest.raises(UsageError, match="begun with --respect-opt-outs True, not none"):
        ma.export(place / "dedup", tmp_path / "out", to="manifest")
    with pytest.raises(UsageError, match="--which all takes more"):
        ma.export(place / "dedup", tmp_path / "all", to="manifest", which="all", respect_opt_outs=True)


def test_an_image_of_another_set_names_none_of_this_one(place: Path, tmp_path: Path) -> None:
    """3 has an opt-out and is in the other set, as 6.png: this set's own 6.png is another picture, and stays."""
    (tmp_path / "other").mkdir()
    altered(draw(3)).save(tmp_path / "other" / "6.png")
    ma.embed(tmp_path / "other", out=tmp_path / "others", encoder="thumbnail")
    ma.run_dedup(place / "store", out=tmp_path / "dedup", against=tmp_path / "others")
    rows = pq.read_table(tmp_path / "dedup/decisions.parquet").to_pylist()
    assert [(row["image_id"], row["witness_id"]) for row in rows if row["reason"] == "in the other set"] == [
        ("3.png", "6.png")
    ]
    made = ma.export(tmp_path / "dedup", tmp_path / "out", to="manifest", respect_opt_outs=True)
    names = pq.read_table(made.folder / "manifest.parquet")["image_id"].to_pylist()
    assert names == [f"{n}.png" for n in (2, 4, 6, 7, 8, 9)]


def test_an_export_is_as_it_was_where_nobody_asks(place: Path, tmp_path: Path) -> None:
    """Files are those of the source: what was noted is no file of a sample, and stands where columns are written."""
    ma.embed(place / "training", out=tmp_path / "store", encoder="thumbnail")
    made = ma.export(tmp_path / "store", tmp_path / "out", to="webdataset")
    assert in_tar(made.folder / made.shards[0]) == {
        path.name: path.read_bytes() for path in (place / "training").iterdir()
    }
    made = ma.export(place / "store", tmp_path / "columns", to="webdataset")
    files = in_tar(made.folder / made.shards[0])
    assert json.loads(files["5.json"]) == {"x_robots_tag": "noimageai", "opt_out": ["noimageai"]}


def test_a_store_that_did_not_look_is_not_taken_for_one_without(place: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(place / "store", tmp_path / "store"))
    manifest = read_json(store / "store.json")
    manifest.pop("digest")
    manifest.pop("opt_outs")
    write_json(store / "store.json", sealed(manifest))
    assert ma.describe(store).values["opt-outs"] == {"read": "not read"}
    with pytest.raises(InconclusiveError, match="were not looked for when this store was made"):
        ma.export(store, tmp_path / "out", to="manifest", respect_opt_outs=True)


def test_a_store_that_goes_on_says_what_was_read_of_all_its_rows(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memaudit.embedding.options.c2pa_reader", lambda: lambda data: [])
    made = ma.embed(place / "training/2.png", out=tmp_path / "store", encoder="thumbnail")
    assert made.store.manifest.opt_outs == ("file", "columns", "c2pa")
    monkeypatch.setattr("memaudit.embedding.options.c2pa_reader", lambda: None)
    again = ma.embed(place / "training/4.png", out=tmp_path / "store", encoder="thumbnail", append=True)
    assert again.store.manifest.opt_outs == ("file", "columns")


def test_a_manifest_that_was_not_read_is_said_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memaudit.embedding.options.c2pa_reader", lambda: None)
    for number in range(3):
        comment = b"jumb c2pa" if number == 1 else b"nothing"
        (tmp_path / "images").mkdir(exist_ok=True)
        draw(number).save(tmp_path / "images" / f"{number}.jpg", comment=comment)
    made = ma.embed(tmp_path / "images", out=tmp_path / "store", encoder="thumbnail")
    assert any("C2PA that was not read, which is not to say" in line for line in made.not_read)
    said = ma.describe(tmp_path / "store").values["opt-outs"]
    assert said == {"read": ["file", "columns"], "images": 0, "by kind": {}, "not read": {"c2pa": 1}}
    kept = ma.kept(tmp_path / "store", respect_opt_outs=True)
    assert kept.mask(["0.jpg", "1.jpg", "2.jpg"]).tolist() == [True, False, True]


def test_pictures_without_any_make_the_shards_that_they_made_before(place: Path, tmp_path: Path) -> None:
    """Nothing is noted of them."""
    made = ma.embed(place / "training/2.png", out=tmp_path / "store", encoder="thumbnail")
    with h5py.File(made.folder / "shard-00000.h5") as shard:
        assert "metadata" not in shard or not any(shard["metadata"].asstr()[:])


def test_a_card_says_what_is_known_of_them(place: Path, tmp_path: Path) -> None:
    card = ma.write_card(place / "store", tmp_path / "card.md", to="art53")
    assert "3 images reserve rights (noai 2, noimageai 1). Looked at were metadata of files, columns" in card.text
