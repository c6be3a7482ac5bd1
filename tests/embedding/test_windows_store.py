"""Tiles and details within a store: those that are not whole, or of another state, are told and never searched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pictures import MakeFolder, MakeStore, draw
from PIL import Image

from memaudit.embedding.run import EmbedOptions
from memaudit.embedding.views import embed_views, writing_views
from memaudit.embedding.windows import DETAILS, TILES, window_counts, window_faults, windows_of
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError
from memaudit.images.views import details, tiles
from memaudit.store import Store

ENCODER = load_encoder("thumbnail")
OPTIONS = EmbedOptions(shard_rows=20, workers=2)


@pytest.fixture
def images(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    return make_store(picture_folder(4))


def without_manifest(folder: Path) -> None:
    (folder / "store.json").unlink()


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def a_link_to_nowhere(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.parent / "nowhere")


def damaged(folder: Path) -> None:
    (folder / "store.json").write_text("{")


def promise(folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool, writing_views({folder: tiles()}, ENCODER, OPTIONS, pool):
        pass


def promised(folder: Path) -> None:
    shutil.rmtree(folder)
    promise(folder)


@pytest.mark.parametrize("change", [without_manifest, emptied, a_file, a_link_to_nowhere, damaged, promised])
def test_what_is_not_whole_is_inconclusive(images: Store, change: Callable[[Path], None]) -> None:
    """Searched without it, its copies would be called clean."""
    folder = images.folder / "tiles"
    embed_views(images, folder, ENCODER, tiles(), OPTIONS)
    assert windows_of(images, TILES) is not None
    assert window_faults(images.folder) == []
    change(folder)
    advice = f"{folder} is unfinished: run memaudit embed again with --tiles, or delete {folder}"
    with pytest.raises(InconclusiveError) as raised:
        windows_of(images, TILES)
    assert str(raised.value) == advice
    assert window_faults(images.folder) == [advice]
    assert windows_of(images, DETAILS) is None


@pytest.mark.parametrize("change", [without_manifest, emptied, promised])
def test_embedding_again_mends_it(images: Store, change: Callable[[Path], None]) -> None:
    folder = images.folder / "tiles"
    before = embed_views(images, folder, ENCODER, tiles(), OPTIONS).store.digest
    change(folder)
    assert embed_views(images, folder, ENCODER, tiles(), OPTIONS).store.digest == before
    assert window_faults(images.folder) == []


def test_a_promise_leaves_what_is_there_alone(images: Store) -> None:
    folder = images.folder / "tiles"
    embed_views(images, folder, ENCODER, tiles(), OPTIONS)
    before = (folder / "store.json").read_bytes()
    promise(folder)
    assert (folder / "store.json").read_bytes() == before


def test_windows_of_another_version_are_a_fault(images: Store) -> None:
    """They would be compared at places where nothing was embedded."""
    embed_views(images, images.folder / "details", ENCODER, details()[:-1], OPTIONS)
    with pytest.raises(InconclusiveError, match=r"other details than this version .*--fine-tiles, or delete"):
        windows_of(images, DETAILS)
    assert len(window_faults(images.folder)) == 1


def test_windows_of_another_state_are_a_fault(images: Store, picture_folder: MakeFolder, make_store: MakeStore) -> None:
    embed_views(images, images.folder / "details", ENCODER, details(), OPTIONS)
    other = make_store(picture_folder(2, "more", 50), name="other")
    shutil.copytree(images.folder / "details", other.folder / "details")
    with pytest.raises(InconclusiveError, match=r"another state of .*--fine-tiles, or delete"):
        windows_of(other, DETAILS)
    (fault,) = window_faults(other.folder)
    assert "holds details of another state" in fault
    (images.folder / "details" / "shard-00001.h5").unlink()
    assert ["is missing" in fault for fault in window_faults(images.folder)] == [True]


def test_counts_tell_blank_windows_from_unreadable_ones(make_store: MakeStore, tmp_path: Path) -> None:
    """An image whose file is gone has none; one that is white but for a corner has one."""
    folder = tmp_path / "images"
    folder.mkdir()
    corner = Image.new("RGB", (80, 80), "white")
    corner.paste(draw(1).resize((20, 20)), (60, 60))
    for name, image in {"corner": corner, "gone": draw(2), "whole": draw(3)}.items():
        image.save(folder / f"{name}.png")
    images = make_store(folder)
    (folder / "gone.png").unlink()
    counts = window_counts(embed_views(images, images.folder / "tiles", ENCODER, tiles(), OPTIONS))
    assert counts == (2, 27, 8, 9)
    assert str(counts) == "27 windows of 2 images, 8 blank and 9 unreadable"
