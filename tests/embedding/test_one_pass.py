"""One pass over the images makes their store and those of their views: as a pass for each would, whenever it dies."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from passes import PassEncoder
from pictures import MakeFolder, draw, mosaic
from PIL import Image

from memaudit.embedding import pictures
from memaudit.embedding.run import Embedded, EmbedOptions, embed, embed_with_views
from memaudit.embedding.views import embed_kinds, embed_views
from memaudit.encoders import load_encoder
from memaudit.encoders.encoder import Encoder
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.files import writing
from memaudit.images.views import View, details, tiles, views_of
from memaudit.store import Manifest, Store, verify_store
from memaudit.types import Float32, Status

ENCODER = load_encoder("thumbnail")
OPTIONS = EmbedOptions(batch_size=2, workers=2, shard_rows=5)  # shards of 5 images, of the flips of 2, the tiles of 1
FLIPS = views_of("flips")[1:]


def kinds_at(store: Path) -> dict[Path, Sequence[View]]:
    return {store / "tiles": tiles(), store.with_name(f"{store.name}-flips"): FLIPS}


def one_pass(folder: Path, store: Path, encoder: Encoder = ENCODER, **options: bool) -> Embedded:
    return embed_with_views([folder], store, encoder, kinds_at(store), OPTIONS, **options)


def two_passes(folder: Path, store: Path, encoder: Encoder = ENCODER, **options: bool) -> None:
    images = embed([folder], store, encoder, OPTIONS, **options)
    embed_kinds(images, kinds_at(store), encoder, OPTIONS)


def contents(store: Path) -> dict[str, str]:
    """The digest of every file of a store and of those of its views, but for the locks."""
    found = {}
    for folder in (store, *kinds_at(store)):
        for path in folder.iterdir():
            if path.is_file() and path.name != ".lock":
                place = "images" if folder == store else folder.name.rpartition("-")[2]
                found[f"{place}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.fixture
def folder(picture_folder: MakeFolder) -> Path:
    """Eleven images: a blank one, a broken one, copies near the first and far from it."""
    folder = picture_folder(7)
    Image.new("RGB", (30, 20), "white").save(folder / "0001b.png")
    (folder / "0002b.png").write_bytes(b"not an image")
    shutil.copy(folder / "0000.png", folder / "0000b.png")
    shutil.copy(folder / "0001.png", folder / "0009.png")
    return folder


@pytest.mark.parametrize("encoder", [ENCODER, PassEncoder()])
def test_it_makes_what_two_passes_make(folder: Path, tmp_path: Path, encoder: Encoder) -> None:
    """Bit by bit, the images' own store and each of their views."""
    made = one_pass(folder, tmp_path / "one", encoder)
    two_passes(folder, tmp_path / "two", encoder)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert [len(views.store) for views in made.views] == [9 * 9, 9 * 2]
    for store in (made.store, *(views.store for views in made.views)):
        assert verify_store(store.folder) == []


def test_large_photographs_are_decoded_for_each_scale_as_if_alone(tmp_path: Path) -> None:
    """A JPEG comes at several scales: neither the whole image nor a detail depends on what else is made of it."""
    (tmp_path / "images").mkdir()
    for seed in (1, 2):
        mosaic(seed).save(tmp_path / "images" / f"{seed}.jpg", quality=92)
    store = tmp_path / "store"
    kinds = {store / "tiles": tiles(), store / "details": details()}
    embed_with_views([tmp_path / "images"], store, ENCODER, kinds, OPTIONS)
    alone = embed([tmp_path / "images"], tmp_path / "alone", ENCODER, OPTIONS)
    assert Store.open(store).digest == alone.digest
    for path, views in kinds.items():
        separate = embed_views(alone, tmp_path / f"alone-{path.name}", ENCODER, views, OPTIONS)
        assert separate.store.digest == Store.open(path).digest


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded, by its digest."""
    counts: Counter[str] = Counter()
    decoding = pictures.decoding

    def counted(data: bytes, *arguments: Any) -> Any:
        counts[hashlib.sha256(data).hexdigest()] += 1
        return decoding(data, *arguments)

    monkeypatch.setattr(pictures, "decoding", counted)
    return counts


def test_each_image_is_decoded_once(picture_folder: MakeFolder, tmp_path: Path, decodes: Counter[str]) -> None:
    """For itself, its tiles and its flips; nothing is read again afterwards."""
    one_pass(picture_folder(12), tmp_path / "store")
    assert len(decodes) == 12
    assert set(decodes.values()) == {1}


def events(monkeypatch: pytest.MonkeyPatch, last: int) -> list[int]:
    """Count files that appear or go. At the event number `last` the process dies as by a SIGKILL."""
    count = [0]
    replace, unlink = os.replace, Path.unlink

    def event() -> None:
        count[0] += 1
        if count[0] == last:
            os._exit(9)

    def replaced(*arguments: Any) -> None:
        event()
        replace(*arguments)

    def unlinked(path: Path, *arguments: Any, **options: Any) -> None:
        if path.exists():
            event()
        unlink(path, *arguments, **options)

    monkeypatch.setattr(writing.os, "replace", replaced)
    monkeypatch.setattr(Path, "unlink", unlinked)
    return count


def killed_at(number: int, folder: Path, store: Path) -> None:
    """Run it in a process that dies at an event."""
    process = os.fork()
    if not process:
        with pytest.MonkeyPatch.context() as patch:
            events(patch, number)
            one_pass(folder, store)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


def promised(store: Path) -> bool:
    """Whether a finished store of images has all its windows, or shows that they are missing."""
    if not (store / "store.json").exists() or not Manifest.read(store).complete:
        return True
    return all((path / "store.json").exists() for path in kinds_at(store))


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_killed_at_any_file_it_ends_in_the_same_stores(folder: Path, tmp_path: Path, step: int) -> None:
    """Run again after a kill at each file that appears or goes, it makes what an unbroken run makes, bit by bit."""
    with pytest.MonkeyPatch.context() as patch:
        count = events(patch, 0)
        one_pass(folder, tmp_path / "whole")
        total = count[0]
    expected = contents(tmp_path / "whole")
    assert total > 30
    for number in range(1, total + 1, step):
        store = tmp_path / f"killed-{number}"
        killed_at(number, folder, store)
        assert promised(store), number
        one_pass(folder, store)
        assert contents(store) == expected, number


def test_after_a_kill_nothing_is_decoded_for_views_that_are_there(
    picture_folder: MakeFolder, tmp_path: Path, decodes: Counter[str]
) -> None:
    """Views are written ahead of their images' shard: those count, and each image is decoded once more at most."""
    folder, store = picture_folder(9), tmp_path / "store"
    killed_at(24, folder, store)
    made = {Manifest.read(path).shards for path in kinds_at(store)}
    assert any(shards for shards in made)
    tiles_there = {shard.name: (store / "tiles" / shard.name).stat().st_mtime_ns for shard in max(made, key=len)}
    one_pass(folder, store)
    assert max(decodes.values()) == 1
    assert {name: (store / "tiles" / name).stat().st_mtime_ns for name in tiles_there} == tiles_there


def test_a_file_that_changed_after_a_kill_has_no_views_of_the_old_one(folder: Path, tmp_path: Path) -> None:
    """Views of the images to come are held against these once they are there."""
    store = tmp_path / "store"
    killed_at(12, folder, store)
    assert not Manifest.read(store).shards
    assert Manifest.read(store / "tiles").shards
    draw(77).save(folder / "0000.png")
    one_pass(folder, store)
    two_passes(folder, tmp_path / "fresh")
    assert contents(store) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("change", ["other file", "fewer", "more"])
def test_changed_sources_replace_views_as_well(
    folder: Path, tmp_path: Path, change: str, decodes: Counter[str]
) -> None:
    """An audit's own store of generations that were made anew: everything is what it would be from nothing."""
    one_pass(folder, tmp_path / "store")
    if change == "other file":
        draw(77).save(folder / "0003.png")
    elif change == "fewer":
        (folder / "0000.png").unlink()
    else:
        draw(78).save(folder / "00.png")
    decodes.clear()
    one_pass(folder, tmp_path / "store", replace_changed=True)
    assert max(decodes.values()) <= 2  # that of two equal files
    two_passes(folder, tmp_path / "fresh")
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_appended_images_get_their_views_in_the_same_pass(
    picture_folder: MakeFolder, tmp_path: Path, decodes: Counter[str]
) -> None:
    """Also where the first images have none, or not all, of theirs."""
    old, new = picture_folder(3, "old"), picture_folder(4, "new", 50)
    for make, store in ((one_pass, tmp_path / "one"), (two_passes, tmp_path / "two")):
        embed([old], store, ENCODER, OPTIONS)
        decodes.clear()
        make(new, store, append=True)
    decodes_of_two, one, two = dict(decodes), contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    decodes.clear()
    embed([old], tmp_path / "again", ENCODER, OPTIONS)
    decodes.clear()
    one_pass(new, tmp_path / "again", append=True)
    assert set(decodes.values()) == {1}
    assert max(decodes_of_two.values()) == 2


@dataclass(frozen=True)
class FaultyEncoder(ThumbnailEncoder):
    """Gives NaN for one picture."""

    def encode(self, batch: NDArray[Any]) -> Float32:
        rows = super().encode(batch)
        rows[(batch == ENCODER.preprocess(draw(1))).all(axis=(1, 2, 3))] = np.nan
        return rows


def test_an_image_that_the_encoder_fails_on_has_no_views(folder: Path, tmp_path: Path) -> None:
    """It is known only after its views were made: what follows is made again."""
    made = one_pass(folder, tmp_path / "one", FaultyEncoder())
    assert (made.store.all_columns().status == Status.UNREADABLE).sum() == 3
    two_passes(folder, tmp_path / "two", FaultyEncoder())
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_no_views_is_what_embed_does(folder: Path, tmp_path: Path) -> None:
    nothing: Mapping[Path, Sequence[View]] = {}
    made = embed_with_views([folder], tmp_path / "one", ENCODER, nothing, OPTIONS)
    assert made.views == ()
    assert made.store.digest == embed([folder], tmp_path / "two", ENCODER, OPTIONS).digest
