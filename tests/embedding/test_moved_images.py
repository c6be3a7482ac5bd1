"""Images that lie elsewhere than their store says."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from pictures import MakeFolder, MakeStore

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
from memaudit.images.sources import read_image
from memaudit.store import Store, is_same_file

EIGHT = EmbedOptions(shard_rows=4)


def embedded(*sources: Path, to: Path, append: bool = False, replace_changed: bool = False) -> Store:
    """Shards of four rows, by the thumbnail encoder."""
    encoder = load_encoder("thumbnail")
    return embed(sources, to, encoder, EIGHT, append=append, replace_changed=replace_changed)


def all_there(store: Store) -> bool:
    """Every uri leads to the file that was embedded."""
    columns = store.all_columns()
    return all(is_same_file(read_image(uri), sha) for uri, sha in zip(columns.uri, columns.sha256, strict=True))


@pytest.mark.parametrize("append", [False, True])
def test_moved_images_are_not_taken_for_what_is_there(picture_folder: MakeFolder, tmp_path: Path, append: bool) -> None:
    """The store would lead to nothing, and whatever compares pixels find nothing: it says so, and what to do."""
    source = picture_folder(6)
    embedded(source, to=tmp_path / "store")
    moved = source.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"not there any more.*6 images moved.*--replace-changed"):
        embedded(moved, to=tmp_path / "store", append=append)
    store = embedded(moved, to=tmp_path / "store", replace_changed=True)
    assert all(uri.startswith(f"{moved}/") for uri in store.all_columns().uri)
    assert all_there(store)


def test_a_copy_elsewhere_is_no_move(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The store is right as it is, and stays."""
    source = picture_folder(6)
    digest = embedded(source, to=tmp_path / "store").digest
    shutil.copytree(source, tmp_path / "copy")
    assert embedded(tmp_path / "copy", to=tmp_path / "store").digest == digest
    assert embedded(tmp_path / "copy", to=tmp_path / "store", append=True).digest == digest
    next(iter(sorted(source.iterdir()))).write_bytes(b"another")
    with pytest.raises(InputError, match=r"\(6 images moved\)"):
        embedded(tmp_path / "copy", to=tmp_path / "store")


def packed(folder: Path, to: Path, order: int) -> Path:
    """The folder as a tar, in rising or falling order of names."""
    with tarfile.open(to, "w") as archive:
        for path in sorted(folder.iterdir())[::order]:
            archive.add(path, path.name)
    return to


def test_an_archive_that_was_packed_anew(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The same images under the same names, at other places within it: the old places hold something else."""
    source = picture_folder(3)
    tar = packed(source, tmp_path / "a.tar", 1)
    embedded(tar, to=tmp_path / "store")
    packed(source, tar, -1)
    with pytest.raises(InputError, match="not there any more"):
        embedded(tar, to=tmp_path / "store")
    assert all_there(embedded(tar, to=tmp_path / "store", replace_changed=True))


def test_where_an_archive_is_does_not_depend_on_the_working_directory(
    make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by a relative path, it is found from elsewhere."""
    packed(picture_folder(2), tmp_path / "a.tar", 1)
    monkeypatch.chdir(tmp_path)
    store = make_store(Path("a.tar"))
    monkeypatch.chdir("/")
    assert all_there(store)
