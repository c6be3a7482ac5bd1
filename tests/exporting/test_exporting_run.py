"""What comes out is what was kept: whole samples, byte for byte, counted; and nothing that does not add up."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sets import add, contents, deduped, files_of, in_tar, jpeg, write_folder, write_rows, write_tar, write_tars

import memaudit as ma
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.exporting import run as exporting
from memaudit.exporting.choosing import group_hash
from memaudit.exporting.listing import _plain_metadata
from memaudit.exporting.options import TARGETS


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dedup run of 45 samples in three tars: every fifth has a copy that stays."""
    place = tmp_path_factory.mktemp("tars")
    return deduped(write_tars(place / "tars", 45, 20), place)


def kept_of(dedup: Path) -> list[str]:
    return (dedup / "keep.txt").read_text().splitlines()


def numbers(ids: list[str]) -> list[int]:
    return [int(name.rpartition("/")[2].partition(".")[0]) for name in ids]


def whole(samples: list[int]) -> dict[str, bytes]:
    return {f"{number:06d}.{ending}": data for number in samples for ending, data in files_of(number).items()}


def test_a_tar_holds_the_kept_samples_whole(tars: Path, tmp_path: Path) -> None:
    """All files of a key, in their order, byte for byte, and of what was dropped none."""
    kept = numbers(kept_of(tars))
    assert len(kept) == 36
    made = ma.export(tars, tmp_path / "out", to="webdataset", shard_samples=10)
    assert made.shards == tuple(f"shard-{number:06d}.tar" for number in range(4))
    found = [in_tar(made.folder / shard) for shard in made.shards]
    assert [len(files) // 4 for files in found] == [10, 10, 10, 6]
    assert [each for files in found for each in files.items()] == list(whole(kept).items())


@pytest.mark.parametrize("to", TARGETS)
def test_what_comes_in_is_what_is_kept_and_dropped_and_unreadable(to: str, tmp_path: Path) -> None:
    """Of the whole and of each shard, with an image that cannot be read."""
    source = write_tars(tmp_path / "tars", 12, 6)
    with tarfile.open(source / "part-0001.tar", "a") as archive:
        add(archive, "broken.jpg", b"no picture")
        add(archive, "broken.txt", b"of nothing")
    ma.embed(source, out=tmp_path / "store", encoder="thumbnail", max_unreadable=1)
    ma.run_dedup(tmp_path / "store", out=tmp_path / "dedup", max_unreadable=1)
    made = ma.export(tmp_path / "dedup", tmp_path / "out", to=to, shard_samples=4)
    assert made.samples == made.images == (13, 9, 3, 1, 9)
    written = json.loads((tmp_path / "out" / "export.json").read_text())
    for shard in written["shards"]:
        assert shard["in"] == shard["kept"] + shard["dropped"] + shard["unreadable"]
        assert shard["exported"] == shard["kept"]
    assert sum(shard["in"] for shard in written["shards"]) == written["samples"]["in"] == 13
    assert all(b"of nothing" not in data for data in contents(tmp_path / "out").values())


def test_a_shard_for_each_archive_has_its_name(tars: Path, tmp_path: Path) -> None:
    """Re-packed: the archives without what was dropped."""
    made = ma.export(tars, tmp_path / "out", to="webdataset", shard_samples=0)
    assert made.shards == ("part-0000.tar", "part-0001.tar", "part-0002.tar")
    kept = numbers(kept_of(tars))
    for number, shard in enumerate(made.shards):
        assert in_tar(made.folder / shard) == whole([each for each in kept if each // 20 == number])


def test_files_of_a_key_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """Not one after the other, in another order, as a link; a sample without an image is none."""
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars" / "odd.tar", "w") as archive:
        add(archive, "a.txt", b"of a")
        add(archive, "sub/b.jpg", jpeg(1))
        add(archive, "alone.txt", b"of none")
        add(archive, "a.jpg", jpeg(2))
        link = tarfile.TarInfo("sub/b.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "../a.txt"
        archive.addfile(link)
        add(archive, "a.npy", b"numbers")
    made = ma.export(deduped(tmp_path / "tars", tmp_path), tmp_path / "out", to="webdataset")
    assert made.samples.all == 2
    assert in_tar(made.folder / made.shards[0]) == {
        "a.txt": b"of a",
        "a.jpg": jpeg(2),
        "a.npy": b"numbers",
        "sub/b.jpg": jpeg(1),
        "sub/b.txt": b"of a",
    }


def test_a_sample_of_several_images_is_whole_if_one_is_kept(tmp_path: Path) -> None:
    """And the result says how many there are."""
    with tarfile.open(write_tar(tmp_path / "tars" / "a.tar", [1, 2, 3]), "a") as archive:
        add(archive, "000009.jpg", jpeg(9))
        add(archive, "000009.other.jpg", jpeg(1))
    dedup = deduped(tmp_path / "tars", tmp_path)
    made = ma.export(dedup, tmp_path / "out", to="webdataset")
    assert made.samples == (4, 4, 0, 0, 4) or made.samples == (4, 3, 1, 0, 3)
    assert made.images == (5, 4, 1, 0, made.images.exported)
    held = in_tar(made.folder / made.shards[0])
    assert {"000009.jpg", "000009.other.jpg"} <= held.keys()
    assert made.warnings == (
        ("samples of several images of which some are kept and others not: 1; they are exported whole",)
        if made.samples.dropped == 0
        else ()
    )


def test_no_sample_is_kept_that_has_an_image_which_must_not_be_there(tmp_path: Path) -> None:
    """Also where another image of it is kept; a list may name images of other stores, and not those alone."""
    with tarfile.open(write_tar(tmp_path / "tars" / "a.tar", [1, 2]), "a") as archive:
        add(archive, "000009.jpg", jpeg(9))
        add(archive, "000009.other.jpg", jpeg(12))
    store = ma.embed(tmp_path / "tars", out=tmp_path / "store", encoder="thumbnail")
    drop = tmp_path / "drop.txt"
    drop.write_text("a.tar/000009.other.jpg\nof another set.jpg\n")
    made = ma.export(store, tmp_path / "out", to="webdataset", drop=drop)
    assert made.samples == (3, 2, 1, 0, 2)
    unknown = "names of --drop that the store has not: 1, such as 'of another set.jpg': nothing was left out for them"
    assert made.warnings == (unknown,)
    assert ma.kept(store, drop=drop).warnings == (unknown,)
    assert not [name for name in in_tar(made.folder / made.shards[0]) if name.startswith("000009")]
    drop.write_text("a.tar/000001.jpg\n")
    with pytest.raises(UsageError, match="another state of the list of --drop"):
        ma.export(store, tmp_path / "out", to="webdataset", drop=drop)
    for text, why in (("of another set.jpg\n", "has none"), ("a.tar/0000\0\n", "NUL")):
        drop.write_text(text)
        with pytest.raises(InputError, match=why):
            ma.export(store, tmp_path / "other", to="webdataset", drop=drop)


def test_copies_of_what_must_not_be_there_are_not_left_in_without_a_word(tmp_path: Path) -> None:
    """The file that stays for a named one may be the very same: whoever named it believed it gone."""
    for name in ("a", "b"):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{name}.jpg").write_bytes(jpeg(9))
    (tmp_path / "set" / "c.jpg").write_bytes(jpeg(12))
    store = ma.embed(tmp_path / "set", out=tmp_path / "store", encoder="thumbnail")
    dedup = ma.run_dedup(store, out=tmp_path / "dedup", keep="first")
    drop = tmp_path / "drop.txt"
    drop.write_text("b.jpg\n")
    left = "copies of what --drop names are left in: 1, such as 'a.jpg': the same file, or of one group"
    for number, source in enumerate((dedup, store)):
        made = ma.export(source, tmp_path / f"out-{number}", to="folder", drop=drop)
        assert [line.startswith(left) for line in made.warnings] == [True]
    drop.write_text("a.jpg\n")
    assert ma.export(dedup, tmp_path / "kept", to="folder", drop=drop).warnings == ()
    assert ma.export(dedup, tmp_path / "all", to="folder", which="all", drop=drop).warnings
    drop.write_text("a.jpg\nb.jpg\n")
    assert ma.export(dedup, tmp_path / "both", to="folder", which="all", drop=drop).warnings == ()


@pytest.mark.parametrize("to", ["webdataset", "folder"])
def test_an_export_is_a_source_and_none_lies_in_a_source(tmp_path: Path, to: str) -> None:
    """SHA256SUMS was a row that cannot be read; and what lay in the training folder was trained on twice."""
    store = ma.embed(write_folder(tmp_path / "set", 3), out=tmp_path / "store", encoder="thumbnail")
    made = ma.export(store, tmp_path / "out", to=to)
    again = ma.embed(made.folder, out=tmp_path / "again", encoder="thumbnail")
    assert len(again) == again.coverage.measured == made.samples.exported
    with pytest.raises(UsageError, match="lies inside the source"):
        ma.export(store, tmp_path / "set" / "kept", to=to)


def test_a_path_that_is_no_utf_8_is_told(tmp_path: Path) -> None:
    """A manifest has it escaped, and whoever reads that loses the image."""
    write_folder(tmp_path / "set", 2)
    with open(os.fsencode(tmp_path / "set") + b"/\xff.jpg", "wb") as file:
        file.write(jpeg(9))
    store = ma.embed(tmp_path / "set", out=tmp_path / "store", encoder="thumbnail")
    line = "paths that are no UTF-8, which no table can hold: 1; as the manifest has them they lead nowhere: "
    assert [each.startswith(line) for each in ma.export(store, tmp_path / "list", to="manifest").warnings] == [True]
    assert ma.export(store, tmp_path / "out", to="folder").warnings == ()


def test_a_run_that_was_stopped_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "dedup").mkdir()
    with pytest.raises(InputError, match="no embedding store and no finished dedup run"):
        ma.export(tmp_path / "dedup", tmp_path / "out", to="folder")


def test_a_folder_goes_with_what_stands_beside_its_images(tmp_path: Path) -> None:
    """As a folder under the same names, and in a tar by their keys."""
    source = write_folder(tmp_path / "images", 12)
    (source / "000001.caption").write_text("kohya's")
    dedup = deduped(source, tmp_path)
    kept = kept_of(dedup)
    made = ma.export(dedup, tmp_path / "folder", to="folder")
    files = {path.relative_to(made.folder / "images").as_posix() for path in (made.folder / "images").rglob("*")}
    stems = {name.removesuffix(".jpg") for name in kept}
    assert files == {f"{stem}.{ending}" for stem in stems for ending in ("jpg", "txt", "json")} | {"000001.caption"}
    assert all((made.folder / "images" / name).read_bytes() == (source / name).read_bytes() for name in files)
    packed = ma.export(dedup, tmp_path / "tar", to="webdataset")
    assert in_tar(packed.folder / packed.shards[0]) == {
        name: (source / name).read_bytes()
        for name in sorted(files, key=lambda name: (name.partition(".")[0], name.partition(".")[2] != "jpg", name))
    }


def test_two_files_of_one_name_are_no_export(tmp_path: Path) -> None:
    """What stands beside two images is theirs together; another file under the same name is never written over."""
    for folder, text in (("a", "of a"), ("b", "of b")):
        write_folder(tmp_path / folder, 1)
        (tmp_path / folder / "000000.txt").write_text(text)
    write_folder(tmp_path / "c", 2)
    (tmp_path / "c" / "000001.jpg").rename(tmp_path / "c" / "000000.jpeg")
    made = ma.export(
        ma.embed(tmp_path / "c", out=tmp_path / "store-c", encoder="thumbnail"), tmp_path / "both", to="folder"
    )
    assert {path.name for path in (made.folder / "images").iterdir()} == {
        "000000.jpg",
        "000000.jpeg",
        "000000.txt",
        "000000.json",
    }
    (tmp_path / "list.csv").write_text("path,image_id\na/000000.jpg,x.jpg\nb/000000.jpg,x\n")
    (tmp_path / "b" / "000000.jpg").write_bytes(jpeg(3))
    store = ma.embed(tmp_path / "list.csv", out=tmp_path / "store", encoder="thumbnail")
    with pytest.raises(InputError, match="two samples have this name, or somebody changed it"):
        ma.export(store, tmp_path / "out", to="folder")


@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_links_are_made_in_place_of_copies(links: str, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "images", 6)
    dedup = deduped(source, tmp_path)
    made = ma.export(dedup, tmp_path / "out", to="folder", in_place_links=links)
    for name in kept_of(dedup):
        path = made.folder / "images" / name
        assert path.samefile(source / name)
        assert path.is_symlink() == (links == "symbolic")
    again = ma.export(dedup, tmp_path / "out", to="folder", in_place_links=links)
    assert again.digest == made.digest


def test_what_is_in_an_archive_cannot_be_linked_to(tars: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="within an archive or a table: there is no file to link to"):
        ma.export(tars, tmp_path / "out", to="folder", in_place_links="hard")


def test_rows_of_a_table_are_copied_as_they_are(tmp_path: Path) -> None:
    """Every column, of every type, in every row group."""
    table = write_rows(tmp_path / "rows" / "train.parquet", range(30))
    dedup = deduped(tmp_path / "rows", tmp_path)
    made = ma.export(dedup, tmp_path / "out", to="parquet", shard_samples=10)
    rows = [int(name.rpartition("#")[2]) for name in kept_of(dedup)]
    parts = [pq.read_table(made.folder / shard) for shard in made.shards]
    assert [part.num_rows for part in parts] == [10, 10, 4]
    assert pa.concat_tables(parts).equals(pq.read_table(table).take(rows))


def test_a_row_of_a_table_becomes_files(tmp_path: Path) -> None:
    """Its picture, its caption, what else is bytes, and the rest as JSON."""
    write_rows(tmp_path / "rows" / "train.parquet", [1, 2])
    made = ma.export(deduped(tmp_path / "rows", tmp_path), tmp_path / "out", to="webdataset")
    found = in_tar(made.folder / made.shards[0])
    mask = pq.read_table(tmp_path / "rows" / "train.parquet")["mask"][0].as_py()
    assert {name: data for name, data in found.items() if name.startswith("train/0.")} == {
        "train/0.jpg": jpeg(1),
        "train/0.mask.bin": mask,
        "train/0.txt": b"picture 1",
        "train/0.json": b'{"n": 1, "image_path": "1.jpg"}',
    }


def test_bytes_within_lists_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    rows = [{"image": jpeg(1), "parts": [b"\xff\xfe" * 40, b"\xff"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows" / "a.parquet")
    dedup = deduped(tmp_path / "rows", tmp_path)
    with pytest.raises(InputError, match=r"bytes within the values of its column 'parts'.*take --to parquet"):
        ma.export(dedup, tmp_path / "tar", to="webdataset")
    made = ma.export(dedup, tmp_path / "out", to="parquet")
    assert pq.read_table(made.folder / made.shards[0]).to_pylist() == rows


def test_a_text_beside_an_image_of_a_folder_is_its_caption_in_tables(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "images", 3)
    (source / "000002.caption").write_text("kohya's")  # the one that embedding reads
    ma.embed(source, out=tmp_path / "store", encoder="thumbnail")
    for to in ("parquet", "hf"):
        made = ma.export(tmp_path / "store", tmp_path / to, to=to)
        captions = pq.read_table(made.folder / made.shards[0])["caption"].to_pylist()
        assert captions == ["picture 0", "picture 1", "kohya's"]


def test_captions_of_a_manifest_become_files(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "images", 3)
    for path in (*source.glob("*.txt"), *source.glob("*.json")):
        path.unlink()
    lines = [f"images/{number:06d}.jpg,id {number},said of {number},{number}" for number in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["path,image_id,caption,weight", *lines]))
    made = ma.export(deduped(tmp_path / "list.csv", tmp_path), tmp_path / "out", to="webdataset")
    assert in_tar(made.folder / made.shards[0])["id 2.txt"] == b"said of 2"
    assert json.loads(in_tar(made.folder / made.shards[0])["id 2.json"]) == {"weight": "2"}


def test_a_manifest_is_embedded_again(tars: Path, tmp_path: Path) -> None:
    """It names what is kept, wherever it is, and its embeddings are those of the store."""
    made = ma.export(tars, tmp_path / "out", to="manifest", embeddings=True)
    table = pq.read_table(made.folder / "manifest.parquet")
    assert table["image_id"].to_pylist() == kept_of(tars)
    store = ma.open_store(tars.parent / "store")
    row = store.all_columns().image_id.tolist().index(table["image_id"][5].as_py())
    assert table["embedding"][5].as_py() == store.embeddings([row])[0].tolist()  # type: ignore[arg-type]
    again = ma.embed(made.folder / "manifest.parquet", out=tmp_path / "store", encoder="thumbnail")
    assert len(again) == len(kept_of(tars))


def test_dropped_ones_and_folds(tars: Path, tmp_path: Path) -> None:
    """Folds are disjoint, together they are all, and a dropped image is in the fold of the one that stays."""
    dropped = ma.export(tars, tmp_path / "dropped", to="webdataset", which="dropped")
    assert dropped.samples.exported == dropped.samples.dropped == 9
    seen: list[str] = []
    decisions = pq.read_table(tars / "decisions.parquet").to_pylist()
    for number in (1, 2, 3):
        fold = ma.export(tars, tmp_path / f"fold-{number}", to="manifest", which="all", fold=f"{number}/3")
        ids = pq.read_table(fold.folder / "manifest.parquet")["image_id"].to_pylist()
        assert {
            row["image_id"] for row in decisions if group_hash(row["witness_id"] or row["image_id"]) % 3 == number - 1
        } == {*ids}
        seen += ids
    assert sorted(seen) == sorted(row["image_id"] for row in decisions)


def test_a_store_and_a_list_decide_as_well(tars: Path, tmp_path: Path) -> None:
    store = tars.parent / "store"
    everything = ma.export(store, tmp_path / "all", to="webdataset")
    assert everything.samples == (45, 45, 0, 0, 45)
    chosen = ma.export(store, tmp_path / "chosen", to="webdataset", keep=tars / "keep.txt")
    by_run = ma.export(tars, tmp_path / "run", to="webdataset")
    assert (tmp_path / "chosen" / "shard-000000.tar").read_bytes() == (by_run.folder / "shard-000000.tar").read_bytes()
    assert chosen.samples == by_run.samples
    (tmp_path / "other.txt").write_text("part-0000.tar/000001.jpg\nof another set.jpg\n")
    with pytest.raises(InputError, match=r"names 2 images, of which store .* has 1"):
        ma.export(store, tmp_path / "other", to="webdataset", keep=tmp_path / "other.txt")


def test_digests_are_those_of_the_files(tars: Path, tmp_path: Path) -> None:
    """sha256sum agrees, and the list of files has each file of each sample."""
    for to in ("webdataset", "folder"):
        made = ma.export(tars, tmp_path / to, to=to, shard_samples=20)
        done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=made.folder, capture_output=True)
        assert done.returncode == 0, done.stdout
        rows = [row for path in sorted((made.folder / "files").iterdir()) for row in pq.read_table(path).to_pylist()]
        assert len(rows) == 36 * 4
    assert {row["sha256"] for row in rows} == {
        hashlib.sha256(data).hexdigest() for data in whole(numbers(kept_of(tars))).values()
    }
    assert {row["image_id"] for row in rows} - {""} == {*kept_of(tars)}


def test_an_export_that_was_begun_otherwise_is_refused(tars: Path, tmp_path: Path) -> None:
    ma.export(tars, tmp_path / "out", to="webdataset", shard_samples=20)
    before = contents(tmp_path / "out")
    with pytest.raises(UsageError, match="was begun with --to webdataset, not parquet: choose another --out"):
        ma.export(tars, tmp_path / "out", to="parquet", shard_samples=20)
    with pytest.raises(UsageError, match="was begun with --shard-samples 20, not 10"):
        ma.export(tars, tmp_path / "out", to="webdataset", shard_samples=10)
    with pytest.raises(UsageError, match="was begun with --which kept, not dropped"):
        ma.export(tars, tmp_path / "out", to="webdataset", shard_samples=20, which="dropped")
    with pytest.raises(UsageError, match="was begun from another state of the dedup run, or another one"):
        ma.export(tars.parent / "store", tmp_path / "out", to="webdataset", shard_samples=20)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds thesis.txt, which no memaudit export wrote there"):
        ma.export(tars, tmp_path / "mine", to="webdataset")
    assert contents(tmp_path / "out") == before


def test_possible_options(tars: Path, tmp_path: Path) -> None:
    for options, words in (
        ({"to": "zip"}, "unknown --to 'zip'"),
        ({"to": "hf", "which": "good"}, "unknown --which 'good'"),
        ({"to": "hf", "fold": "6/5"}, "--fold '6/5' is no fold"),
        ({"to": "hf", "shard_samples": -1}, "--shard-samples -1"),
        ({"to": "hf", "in_place_links": "hard"}, "take --to folder"),
        ({"to": "folder", "in_place_links": "soft"}, "unknown --in-place-links 'soft'"),
        ({"to": "hf", "embeddings": True}, "--embeddings are a column of --to manifest"),
        ({"to": "hf", "keep": "keep.txt"}, "--keep goes with a store"),
        ({"to": "manifest", "which": "dropped", "fold": "999/999999"}, "there is nothing to export"),
    ):
        with pytest.raises((UsageError, InputError), match=words):
            ma.export(tars, tmp_path / "out", **options)  # type: ignore[arg-type]
    folder = write_folder(tmp_path / "images", 3)
    with pytest.raises(UsageError, match="there are images in neither"):
        ma.export(deduped(folder, tmp_path), tmp_path / "out", to="webdataset", shard_samples=0)
    assert not (tmp_path / "out").exists()


def test_a_source_that_was_changed_is_refused(tmp_path: Path) -> None:
    """Whatever it is: one line that says which image, and no shard."""
    places = {
        "tar": write_tars(tmp_path / "a" / "tars", 6, 6),
        "folder": write_folder(tmp_path / "b" / "images", 6),
        "rows": write_rows(tmp_path / "c" / "rows" / "t.parquet", range(6)).parent,
    }
    runs = {kind: deduped(source, source.parent) for kind, source in places.items()}
    write_tar(places["tar"] / "part-0000.tar", [*range(5), 7])
    (places["folder"] / "000003.jpg").write_bytes(jpeg(77))
    write_rows(places["rows"] / "t.parquet", [*range(3), 9, 4, 5])
    for kind, dedup in runs.items():
        with pytest.raises(InputError, match="is not what was embedded"):
            ma.export(dedup, tmp_path / kind, to="webdataset")
        assert {path.name for path in (tmp_path / kind).iterdir()} == {".lock", "plan.json"}


def test_an_image_that_came_into_an_archive_is_refused(tmp_path: Path) -> None:
    source = write_tars(tmp_path / "tars", 6, 6)
    dedup = deduped(source, tmp_path)
    with tarfile.open(source / "part-0000.tar", "a") as archive:
        add(archive, "000001.new.jpg", jpeg(50))
    with pytest.raises(InputError, match=r"has '000001.new.jpg' beside it, which was not embedded"):
        ma.export(dedup, tmp_path / "out", to="webdataset")


@pytest.mark.parametrize("what", ["gone", "cut", "noise"])
def test_a_source_that_cannot_be_read_is_refused(what: str, tmp_path: Path) -> None:
    source = write_tars(tmp_path / "tars", 6, 6)
    dedup = deduped(source, tmp_path)
    path = source / "part-0000.tar"
    data = path.read_bytes()
    path.unlink()
    if what != "gone":
        path.write_bytes(data[: len(data) // 2] if what == "cut" else os.urandom(len(data)))
    with pytest.raises(InputError, match=r"part-0000.tar"):
        ma.export(dedup, tmp_path / "out", to="webdataset")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", "plan.json"}


def test_a_full_disk_is_one_line_and_no_shard(tars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when there is room again the same command goes on."""

    def full(file: Any, samples: Any) -> None:
        file.write(b"some of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "write_tar", full)
        with pytest.raises(InputError, match=r"shard-000000.tar cannot be written: No space left on device"):
            ma.export(tars, tmp_path / "out", to="webdataset")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", "plan.json"}
    assert ma.export(tars, tmp_path / "out", to="webdataset").samples.exported == 36


def test_a_run_of_another_state_of_the_store_is_refused(tmp_path: Path) -> None:
    source = write_tars(tmp_path / "tars", 6, 6)
    dedup = deduped(source, tmp_path)
    write_tar(source / "part-0001.tar", [8])
    ma.embed(source, out=tmp_path / "store", encoder="thumbnail", append=True)
    with pytest.raises((InconclusiveError, UsageError), match=r"does not say where|another state|dedup again"):
        ma.export(dedup, tmp_path / "out", to="webdataset")


@pytest.mark.parametrize("to", TARGETS)
def test_what_was_damaged_or_deleted_is_written_again(to: str, tars: Path, tmp_path: Path) -> None:
    """By the same command: the files are those of a run that nobody disturbed."""
    made = ma.export(tars, tmp_path / "out", to=to, shard_samples=10)
    before = contents(made.folder)
    if to == "folder":
        next((made.folder / "images").rglob("*.jpg")).unlink()
    else:
        shard = made.folder / made.shards[-1]
        shard.write_bytes(shard.read_bytes()[:-100])
    (made.folder / "export.json").unlink()
    ma.export(tars, tmp_path / "out", to=to, shard_samples=10)
    assert contents(made.folder) == before


def test_ids_that_lead_elsewhere_stay_below(tmp_path: Path) -> None:
    """Wherever a manifest's image_ids point, files are made below the folder, and none replaces another."""
    write_folder(tmp_path / "images", 7)
    ids = ["../out.jpg", "/etc/passwd", "a/../b.jpg", "b.jpg", ".hidden", "x" * 300, "a.b.c.jpg"]
    lines = [f"images/{number:06d}.jpg,{name}" for number, name in enumerate(ids)]
    (tmp_path / "list.csv").write_text("\n".join(["path,image_id", *lines]))
    ma.embed(tmp_path / "list.csv", out=tmp_path / "store", encoder="thumbnail")
    made = ma.export(tmp_path / "store", tmp_path / "out", to="folder")
    found = [path for path in (made.folder / "images").rglob("*.jpg") if path.is_file()]
    assert len(found) == 7
    packed = ma.export(tmp_path / "store", tmp_path / "tar", to="webdataset")
    names = list(in_tar(packed.folder / packed.shards[0]))
    assert len({name.partition(".")[0] for name in names if name.endswith(".jpg")}) == 7
    assert not any(name.startswith(("/", ".")) or "/../" in name for name in names)


@pytest.mark.parametrize("to", TARGETS)
def test_verify_reads_every_byte(to: str, tars: Path, tmp_path: Path) -> None:
    """A changed byte of any file is a fault that names it."""
    made = ma.export(tars, tmp_path / "out", to=to, shard_samples=20)
    assert ma.verify(made.folder).sound
    assert ma.describe(made.folder).values["samples"]["exported"] == 36  # type: ignore[index]
    files = [path for path in made.folder.rglob("*") if path.is_file() and path.name not in (".lock", "SHA256SUMS")]
    one_of_each = {path.suffix: path for path in sorted(files) if path.name != "export.json"}
    for path in one_of_each.values():
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert any(path.name in fault for fault in ma.verify(made.folder).faults), path
        path.write_bytes(data)
    (made.folder / "SHA256SUMS").unlink()
    (fault,) = ma.verify(made.folder).faults
    assert fault.endswith("SHA256SUMS cannot be read: No such file or directory")
    (made.folder / "export.json").unlink()
    with pytest.raises(InconclusiveError, match="is unfinished: run the same memaudit export command again"):
        ma.verify(made.folder)


@pytest.mark.parametrize("look", [ma.verify, ma.describe])
def test_an_export_that_ended_with_its_plan_is_an_unfinished_one(
    look: Callable[[Path], object], tars: Path, tmp_path: Path
) -> None:
    """As where the first image is gone. It was called no export at all, nor anything else."""
    ma.export(tars, tmp_path / "whole", to="folder")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
    with pytest.raises(InconclusiveError, match=r"export .*begun is unfinished: run the same memaudit export"):
        look(begun)
    (begun / "plan.json").write_text('{"schema": "of somebody else"}')
    with pytest.raises(ma.errors.InputError, match="is no store, index, export, filter or bundle, no report"):
        look(begun)


@pytest.mark.parametrize(
    ("metadata", "plain"),
    [
        (r'{"a": "https://h/?X-Amz-Signature=s&b=\ud83d", "n": 1.10}', r'{"a": "https://h/?b=\ud83d", "n": 1.10}'),
        (r'{"a": "\ud83d", "b": "https://u:p@h/x", "n": 1e400}', r'{"a": "\ud83d", "b": "https://h/x", "n": 1e400}'),
        (r'{"a": "https:\/\/u:p@h\/x"}', '{"a": "https://h/x"}'),
        ('{"https://u:p@h/x" : ["\\"", "https://u:p@h/y"]}', '{"https://u:p@h/x" : ["\\"", "https://h/y"]}'),
        (f'{"[" * 99_999}"https://u:p@h/y"{"]" * 99_999}', f'{"[" * 99_999}"https://h/y"{"]" * 99_999}'),
        ('{"a": "https://h/x?id=1", "n": 0.1000}', '{"a": "https://h/x?id=1", "n": 0.1000}'),
        (f'["https://u:p@h/x", {"9" * 5_000}]', f'["https://h/x", {"9" * 5_000}]'),
        ("https://u:p@h/x", "https://h/x"),
        ("see https://u:p@h/x", "see https://u:p@h/x"),
    ],
)
def test_of_metadata_only_secrets_of_urls_change(metadata: str, plain: str) -> None:
    """Whatever is in it beside them: halves of surrogate pairs, digits, any depth."""
    assert _plain_metadata(metadata) == plain
    plain.encode()


def test_a_list_that_others_may_read_has_no_signature_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMAUDIT_ALLOW_HOSTS", "127.0.0.1")
    source = write_folder(tmp_path / "images", 2)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=source)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/000001.jpg"
        other = "https://bob:secret@h/t.png?id=7"
        words = "see https://h/?token=x"
        rows = [
            {"url": f"{url}?X-Amz-Signature=secret", "thumbnails": [other, words], "width": 7},
            {"path": f"{source}/000000.jpg", "caption": f"{url}?X-Amz-Signature=secret"},
            {"path": f"{source}/000001.jpg", "caption": words, "page": "https://h/a?id=7"},
        ]
        (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        ma.embed(tmp_path / "list.jsonl", out=tmp_path / "store", encoder="thumbnail")
        server.shutdown()
    made = ma.export(tmp_path / "store", tmp_path / "out", to="manifest")
    table = pq.read_table(made.folder / "manifest.parquet")
    assert table["path"].to_pylist() == [url, f"{source}/000000.jpg", f"{source}/000001.jpg"]
    assert table["caption"].to_pylist() == ["", url, words]
    metadata = [json.loads(each) if each else {} for each in table["metadata"].to_pylist()]
    assert metadata[0] == {"thumbnails": ["https://h/t.png?id=7", words], "width": 7}
    assert metadata[2] == {"page": "https://h/a?id=7"}
    (warning,) = made.warnings
    assert warning.startswith("URLs without their passwords and signatures: 2; ")
