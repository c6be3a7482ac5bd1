"""Images are found where they are: as the store says, or where they lie from a store that was moved with them."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from manifests import edit_manifest
from pictures import MakeFolder, MakeStore, write_pictures

import memaudit as ma
from memaudit.errors import InputError
from memaudit.images.sources import read_image
from memaudit.store import Store, is_same_file, merge
from memaudit.store.places import Place, Whereabouts


def all_there(store: Store) -> bool:
    columns = store.all_columns()
    return all(is_same_file(read_image(uri), sha) for uri, sha in zip(columns.uri, columns.sha256, strict=True))


def touched(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return str(path)


def imported(folder: Path, names: list[str], out: Path) -> Store:
    """Ready embeddings whose table names paths as somebody wrote them."""
    np.save(folder / "v.npy", np.eye(len(names), 8, dtype=np.float32))
    (folder / "ids.csv").write_text("\n".join(["id,path", *(f"{i},{name}" for i, name in enumerate(names))]) + "\n")
    return ma.import_embeddings(folder / "v.npy", out, ids=folder / "ids.csv", encoder="mine", threshold=0.9).store


def test_the_stated_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path: where the store was made, as it lay from the store, beside the store."""
    old, new = tmp_path / "old", tmp_path / "new"
    found = Whereabouts(new / "stores" / "s", [Place(str(old / "stores"), str(old / "work"))])
    tried = [each.path for each in found.tried("a/1.png")]
    assert tried == [str(old / "work/a/1.png"), str(new / "work/a/1.png"), str(new / "stores/a/1.png")]
    assert found.find("a/1.png") == tried[0]
    for path in reversed(tried):
        touched(Path(path))
        assert found.find("a/1.png") == path
    assert [each.path for each in found.tried(str(old / "x/1.png"))] == [str(old / "x/1.png"), str(new / "x/1.png")]
    monkeypatch.chdir(tmp_path)
    assert Whereabouts(new / "s", []).find("old/work/a/1.png") == "old/work/a/1.png"


@pytest.mark.parametrize("uri", ["", "https://example.org/a.png", "s3://bucket/a.png#tar=0,1,x"])
def test_addresses_stay(uri: str, tmp_path: Path) -> None:
    found = Whereabouts(tmp_path / "s", [Place("/old", "/old")])
    assert found.find(uri) == uri
    assert not found.is_lost(uri)


def test_names_with_a_number_sign(tmp_path: Path) -> None:
    """It may begin a place within an archive, or be in the name of the file."""
    found = Whereabouts(tmp_path / "s", [Place("/old", "/old")])
    plain, tar = touched(tmp_path / "a#1.png"), touched(tmp_path / "b#2.tar")
    assert found.find("/old/a#1.png") == plain
    assert found.find("/old/b#2.tar#tar=0,10,c#3.png") == f"{tar}#tar=0,10,c#3.png"


def test_a_store_that_was_moved_with_its_images(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, an archive and a manifest with relative paths; made by relative names, the digest is as it was.
    Embedded again it is up to date, and what is added is found as well."""
    monkeypatch.chdir(tmp_path)
    picture_folder(3, name="project/images")
    with tarfile.open("project/more.tar", "w") as archive:
        archive.add(write_pictures(tmp_path / "packed", [50]) / "0050.png", "0050.png")
    write_pictures(tmp_path / "project/listed", [60])
    Path("project/list.csv").write_text("path\nlisted/0060.png\n")
    sources = [f"project/{name}" for name in ("images", "more.tar", "list.csv")]
    made = ma.embed(sources, "project/store", encoder="thumbnail")
    shutil.move("project", "moved")
    monkeypatch.chdir("/")
    store = ma.open_store(tmp_path / "moved" / "store")
    assert store.digest == made.digest
    assert all_there(store)
    assert store.sources == tuple(str(tmp_path / source.replace("project", "moved")) for source in sources)
    assert ma.verify(store).sound
    again = ma.embed(store.sources, store.folder, encoder="thumbnail")
    assert again.digest == made.digest
    write_pictures(tmp_path / "moved/images", [70])
    assert all_there(ma.embed(store.sources, store.folder, encoder="thumbnail").store)


def test_what_is_where_it_was_is_read_there(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A store that is copied alone is read as before; with a copy of the images too."""
    folder = picture_folder(2)
    made = ma.embed(folder, tmp_path / "store", encoder="thumbnail")
    shutil.copytree(made.folder, tmp_path / "elsewhere" / "store")
    shutil.copytree(folder, tmp_path / "elsewhere" / "images")
    copied = ma.open_store(tmp_path / "elsewhere" / "store")
    assert copied.all_columns().uri.tolist() == made.store.all_columns().uri.tolist()
    shutil.rmtree(folder)
    assert all_there(copied)


def test_relative_paths_of_imported_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they were written where the store was made; from elsewhere by the folder it was made in, or beside it."""
    monkeypatch.chdir(tmp_path)
    first = touched(tmp_path / "a" / "1.png")
    second = touched(tmp_path / "stores" / "a" / "2.png")
    store = imported(tmp_path, ["a/1.png", "a/2.png", "a/3.png"], Path("stores/s"))
    assert store.all_columns().uri.tolist() == ["a/1.png", second, "a/3.png"]
    monkeypatch.chdir("/")
    store = ma.open_store(tmp_path / "stores" / "s")
    assert store.all_columns().uri.tolist() == [first, second, str(tmp_path / "a" / "3.png")]
    assert store.lost_images() == (
        f"images of store {store.folder} are not where it says: '2' was looked for at {tmp_path}/a/3.png (relative to "
        f"{tmp_path}, where it was made), then {tmp_path}/stores/a/3.png (relative to {tmp_path}/stores, where the "
        "store stands); put them there, move the store together with them, or embed them anew"
    )


def test_merged_stores_find_what_theirs_find(make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Of stores that were moved, one of them not, of which each stood elsewhere; and when all of it is moved again."""
    for name, seed in (("one", 0), ("two", 50)):
        picture_folder(2, name=f"work/{name}/images", first_seed=seed)
        make_store(tmp_path / "work" / name / "images", name=f"work/{name}/store")
    shutil.move(tmp_path / "work" / "one", tmp_path / "work" / "moved")
    stores = [Store.open(tmp_path / "work" / name / "store") for name in ("moved", "two")]
    merged = merge(stores, tmp_path / "work" / "deep" / "er" / "merged")
    assert [place.now for place in merged.manifest.places] == ["../../moved", ""]
    assert all_there(merged)
    assert merge(stores, merged.folder).digest == merged.digest
    shutil.move(tmp_path / "work", tmp_path / "again")
    assert all_there(Store.open(tmp_path / "again" / "deep" / "er" / "merged"))


def test_a_store_without_places_is_read_as_ever(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """One of before: its digest and its uris are what they were; places that are none are one line."""
    made = ma.embed(picture_folder(2), tmp_path / "store", encoder="thumbnail")
    edit_manifest(tmp_path / "store", lambda manifest: manifest.pop("places"))
    store = ma.open_store(tmp_path / "store")
    assert (store.digest, store.manifest.places) == (made.digest, ())
    assert all_there(store)
    for wrong in ("x", [1], [{"beside": "/a"}], [{"beside": 1, "base": ""}], [{"beside": "\0", "base": ""}]):
        edit_manifest(tmp_path / "store", lambda manifest, wrong=wrong: manifest.update(places=wrong))
        with pytest.raises(InputError, match=r"store\.json is damaged"):
            ma.open_store(tmp_path / "store")
