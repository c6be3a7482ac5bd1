"""Stores that memaudit 0.1 wrote: whose archives end early it said in words, and of what views are in their sources."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
from manifests import as_of_0_2
from pictures import MakeFolder

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.views import ViewStore, embed_views, open_views
from memaudit.embedding.windows import TILES, window_faults, windows_of
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError
from memaudit.images.views import tiles
from memaudit.store import Manifest, Store, verify_store

ENCODER = load_encoder("thumbnail")
OPTIONS = EmbedOptions(shard_rows=20, workers=2)


def as_views_of_0_1(folder: Path) -> None:
    """Its manifest had no field for what the views are of."""

    def change(manifest: dict[str, Any]) -> None:
        views = manifest.pop("views")
        assert manifest["sources"] == []
        manifest["sources"] = [f"views of {views['parent'] or 'images that are to come'}", *views["names"]]

    as_of_0_2(folder, change)


def without_cut(folder: Path) -> None:
    """Its shards had no column for it."""

    def change(manifest: dict[str, Any]) -> None:
        for shard in manifest["shards"]:
            path = folder / shard["name"]
            with h5py.File(path, "r+") as file:
                if "cut" in file:
                    del file["cut"]
            data = path.read_bytes()
            shard |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    as_of_0_2(folder, change)


@pytest.fixture
def images(picture_folder: MakeFolder, tmp_path: Path) -> Store:
    return embed([picture_folder(5)], tmp_path / "store", ENCODER, OPTIONS)


@pytest.fixture
def made(images: Store) -> ViewStore:
    return embed_views(images, images.folder / "tiles", ENCODER, tiles(), OPTIONS)


def test_views_open_verify_and_stay_as_they_are(images: Store, made: ViewStore) -> None:
    folder = made.store.folder
    as_views_of_0_1(folder)
    opened = open_views(images, folder)
    assert (opened.names, opened.store.digest) == (made.names, made.store.digest)
    assert opened.store.manifest.sources == ()
    assert windows_of(images, TILES) is not None
    assert verify_store(folder) == window_faults(images.folder) == []
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")}
    again = embed_views(images, folder, ENCODER, tiles(), OPTIONS)
    assert again.store.digest == made.store.digest
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.h5")} == times
    assert json.loads((folder / "store.json").read_text())["views"]["parent"] == images.digest


def test_views_that_were_promised_or_stopped_go_on(images: Store, made: ViewStore) -> None:
    """In 0.1 an unfinished store of views might name images that were to come."""
    folder = made.store.folder

    def unfinished(manifest: dict[str, Any]) -> None:
        manifest["views"]["parent"] = ""
        last = manifest["shards"].pop()
        manifest.update(complete=False, rows=manifest["rows"] - last["rows"], ok=manifest["ok"] - last["ok"])

    as_of_0_2(folder, unfinished)
    as_views_of_0_1(folder)
    assert Manifest.read(folder).views == ("", made.names, "")  # nothing of a scheme: one by one
    with pytest.raises(InconclusiveError, match="unfinished"):
        windows_of(images, TILES)
    assert embed_views(images, folder, ENCODER, tiles(), OPTIONS).store.digest == made.store.digest


def test_views_of_another_state_are_still_told(images: Store, made: ViewStore, picture_folder: MakeFolder) -> None:
    as_views_of_0_1(made.store.folder)
    grown = embed([picture_folder(2, "more", 50)], images.folder, ENCODER, OPTIONS, append=True)
    with pytest.raises(InconclusiveError, match="another state"):
        windows_of(grown, TILES)


def test_a_source_with_such_a_name_is_a_source(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A folder may be called anything."""
    folder = picture_folder(2, "views of Paris")
    assert embed([folder], tmp_path / "store", ENCODER, OPTIONS).manifest.views is None


def test_rows_of_cut_archives_are_told_by_their_words(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The same count as with the column; verify reads it, and the store grows."""
    archive = shutil.make_archive(str(tmp_path / "a"), "tar", picture_folder(3))
    data = Path(archive).read_bytes().rstrip(b"\0")
    Path(archive).write_bytes(data[:-500])
    store = embed([archive], tmp_path / "store", ENCODER, OPTIONS)
    count = store.cut
    assert count == store.all_columns().cut.sum() > 0
    without_cut(store.folder)
    old = Store.open(store.folder)
    assert old.all_columns().cut.sum() == old.cut == count
    assert verify_store(old.folder) == []
    as_of_0_2(old.folder, lambda manifest: manifest["shards"][0].update(cut=0))
    assert verify_store(old.folder) == [f"shard-00000.h5: the archives of {count} rows end early, store.json says 0"]
    as_of_0_2(old.folder, lambda manifest: manifest["shards"][0].update(cut=count))
    grown = embed([picture_folder(2, "more", 50)], old.folder, ENCODER, OPTIONS, append=True)
    assert (grown.cut, verify_store(grown.folder)) == (count, [])


def test_a_store_without_cut_archives_has_the_bytes_of_0_1(images: Store) -> None:
    """The column is there only where a row needs it: the digest of the same images is the one that reports have."""
    with h5py.File(images.folder / "shard-00000.h5") as file:
        assert "cut" not in file
