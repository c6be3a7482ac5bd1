"""A training folder that grew since it was embedded is noticed where it is at hand, and nothing else is."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifests import edit_manifest
from pictures import MakeFolder, draw

from memaudit.cli.app import run
from memaudit.embedding.growth import grown, states_of
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.store import Store, StoreWriter


@pytest.fixture
def training(picture_folder: MakeFolder) -> Path:
    return picture_folder(5)


def made(training: Path | str, folder: Path) -> Store:
    store = embed([training], folder / "store", load_encoder("thumbnail"), EmbedOptions())
    os.utime(folder / "store" / "store.json", ns=(2 * 10**18, 2 * 10**18))  # whatever comes is younger than this
    return store


def later(folder: Path) -> None:
    os.utime(folder, ns=(3 * 10**18, 3 * 10**18))


def test_new_images_are_noticed(training: Path, tmp_path: Path) -> None:
    """Also deep in the folder; the sentence names the first and how many."""
    (training / "deep").mkdir()
    store = made(training, tmp_path)
    assert grown(store) == ""
    for n in (1, 2):
        draw(90 + n).save(training / "deep" / f"new{n}.png")
    later(training / "deep")
    assert grown(store) == (
        f"{training} holds by now 2 images that are not in the store, the first is 'deep/new1.png': memaudit embed "
        "adds what is new"
    )


def test_what_came_behind_a_link_is_noticed(training: Path, tmp_path: Path) -> None:
    """embed follows links to folders, and so does this; folders that lead to each other are walked once."""
    behind = tmp_path / "elsewhere" / "deep"
    behind.mkdir(parents=True)
    draw(80).save(behind / "old.png")
    (training / "linked").symlink_to(behind.parent)
    (behind / "back").symlink_to(training)
    store = made(training, tmp_path)
    assert grown(store) == ""
    draw(90).save(behind / "new.png")
    later(behind)
    assert "by now 'linked/deep/new.png', which is not in the store" in grown(store)


def test_what_is_behind_a_hidden_link_is_not_looked_at(training: Path, tmp_path: Path) -> None:
    """embed does not list it either: it may be a whole disk."""
    huge = tmp_path / "huge" / "deep"
    huge.mkdir(parents=True)
    (training / ".git").mkdir()
    before = states_of([training])
    for link in (training / ".cache", training / ".git" / "cache"):
        times = link.parent.stat()
        link.symlink_to(huge.parent)
        os.utime(link.parent, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert states_of([training]) == before
    later(huge)
    assert states_of([training]) == before


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_a_pack_in_a_folder_that_grew_is_noticed(training: Path, tmp_path: Path, suffix: str) -> None:
    """The folder's own time does not change with what is written into a file of it."""

    def packed(count: int) -> None:
        images = sorted(training.glob("*.png"))[:count]
        if suffix == "parquet":
            table = pa.table({"id": [path.name for path in images], "image": [path.read_bytes() for path in images]})
            pq.write_table(table, folder / "pack.parquet")
            return
        with tarfile.open(folder / "pack.tar", "w") as archive:
            for path in images:
                archive.add(path, path.name)

    folder = tmp_path / "packs" / "deep"
    folder.mkdir(parents=True)
    packed(3)
    store = made(folder.parent, tmp_path)
    assert grown(store) == ""
    packed(5)
    os.utime(folder / f"pack.{suffix}", ns=(3 * 10**18, 3 * 10**18))
    assert "by now 2 images that are not in the store" in grown(store)


@pytest.mark.parametrize("then", ["", "copied"])
def test_what_came_while_it_was_embedded_is_noticed(
    training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """store.json is younger than the folder then; and all of a store is in a copy of it."""
    finish = StoreWriter.finish
    came = lambda writer: (draw(90).save(training / "new.png"), finish(writer))[1]  # noqa: E731
    monkeypatch.setattr(StoreWriter, "finish", came)
    store = embed([training], tmp_path / "store", load_encoder("thumbnail"))
    if then:
        shutil.copytree(store.folder, tmp_path / "copy")
        store = Store.open(tmp_path / "copy")
    assert "by now 'new.png', which is not in the store" in grown(store)


def test_a_store_of_before_goes_by_its_time(training: Path, tmp_path: Path) -> None:
    """It does not say in which state its sources were."""
    store = made(training, tmp_path)
    edit_manifest(store.folder, lambda manifest: manifest.pop("states"))
    os.utime(store.folder / "store.json", ns=(2 * 10**18, 2 * 10**18))
    draw(90).save(training / "new.png")
    later(training)
    assert "by now 'new.png'" in grown(Store.open(store.folder))


def test_what_is_no_growth(training: Path, tmp_path: Path) -> None:
    """Companions, images that are gone, a folder that is gone, and another folder of the same name."""
    store = made(training, tmp_path)
    (training / "notes.txt").write_text("x")
    later(training)
    assert grown(store) == ""
    (training / "0001.png").unlink()
    assert grown(store) == ""
    shutil.rmtree(training)
    assert grown(store) == ""
    training.mkdir()
    draw(7).save(training / "other.png")
    later(training)
    assert grown(store) == ""


def test_a_manifest_that_grew(training: Path, tmp_path: Path) -> None:
    """A list is a source like a folder."""
    source = training / "list.txt"
    source.write_text("0001.png\n")
    store = made(source, tmp_path)
    source.write_text("0001.png\n0002.png\n")
    later(source)
    assert "by now '0002.png', which is not in the store" in grown(store)


def test_commands_say_it(training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify, look-up and audit: what was not searched is said, and decides nothing."""
    made(training, tmp_path)
    draw(91).save(training / "new.png")
    later(training)
    store = str(tmp_path / "store")
    (tmp_path / "g").mkdir()
    draw(95).save(tmp_path / "g" / "g.png")
    assert run(["verify", store]) == 0
    assert "by now 'new.png'" in capsys.readouterr().out
    run(["lookup", str(tmp_path / "g" / "g.png"), "--against", store, "--views", "none"])
    assert "not searched in: " in capsys.readouterr().out
    run(["audit", str(tmp_path / "g"), "--against", store, "--out", str(tmp_path / "a"), "--views", "none"])
    assert "Not searched in: " in capsys.readouterr().out
