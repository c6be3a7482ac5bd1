"""Stores of views: what a row is a view of, what becomes of broken files, and that a killed run continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from passes import Crops, PassEncoder
from pictures import MakeFolder, MakeStore, draw
from PIL import Image, ImageOps

from memaudit.embedding.rows import NO_EMBEDDING
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.views import ViewStore, embed_views, open_views
from memaudit.encoders import load_encoder
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.errors import InconclusiveError
from memaudit.images.views import details, tiles, views_of
from memaudit.store import Manifest, Store, verify_store
from memaudit.types import Float32, Status

ENCODER = load_encoder("thumbnail")
OPTIONS = EmbedOptions(shard_rows=40, workers=2)
ALL = views_of("all")[1:]


@pytest.fixture
def images(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    folder = picture_folder(6)
    Image.new("RGB", (30, 20), "white").save(folder / "0001b.png")
    (folder / "0002b.png").write_bytes(b"not an image")
    return make_store(folder)


def test_every_view_of_every_comparable_image_has_a_row(images: Store, tmp_path: Path) -> None:
    views = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    rows = np.arange(len(views.store))
    assert len(rows) == images.comparable * len(ALL)
    ids, parents = views.store.all_columns().image_id, images.columns(views.parent_of(rows)).image_id
    assert ids.tolist() == [f"{p}#{n}" for p, n in zip(parents, views.name_of(rows), strict=True)]
    assert sorted(set(views.parent_of(rows))) == images.comparable_rows().tolist()
    assert verify_store(tmp_path / "views") == []


def test_a_view_is_embedded_as_the_picture_that_it_shows(images: Store, tmp_path: Path) -> None:
    views = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    row = [view.name for view in ALL].index("mirrored")  # of the first image
    expected = ENCODER.encode(ENCODER.preprocess(ImageOps.mirror(draw(0)))[None])[0]
    assert np.allclose(views.store.embeddings(np.array([row]))[0], expected, atol=2e-3)


def test_files_that_are_gone_or_changed_are_unreadable_views(images: Store, tmp_path: Path) -> None:
    (tmp_path / "images" / "0000.png").unlink()
    draw(99).save(tmp_path / "images" / "0001.png")
    columns = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS).store.all_columns()
    by_image = dict(zip((i.partition("#")[0] for i in columns.image_id), columns.error, strict=True))
    assert "No such file" in by_image["0000.png"]
    assert "another one than was embedded" in by_image["0001.png"]
    assert (columns.status == Status.UNREADABLE).sum() == 2 * len(ALL)


def test_a_view_without_content_is_blank(make_store: MakeStore, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    image = Image.new("RGB", (80, 80), "white")
    image.paste(draw(1).resize((20, 20)), (60, 60))
    image.save(folder / "corner.png")
    columns = embed_views(make_store(folder), tmp_path / "views", ENCODER, ALL, OPTIONS).store.all_columns()
    blank = {name for name, status in zip(columns.image_id, columns.status, strict=True) if status == Status.BLANK}
    assert blank == {f"corner.png#{tile.name}" for tile in tiles()[:-1]}


def test_a_run_that_was_stopped_continues_to_the_same_store(images: Store, tmp_path: Path) -> None:
    whole = embed_views(images, tmp_path / "whole", ENCODER, ALL, OPTIONS)

    def stop(stage: str, done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS, stop)
    with pytest.raises(InconclusiveError, match="unfinished"):
        open_views(images, tmp_path / "views")
    assert embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS).store.digest == whole.store.digest


def test_details_are_embedded_as_sharp_as_the_file_has_them(make_store: MakeStore, tmp_path: Path) -> None:
    """A large JPEG is decoded for a sixth of it; few images wait with all their views, and a stopped run goes on."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in (1, 2):
        draw(seed, (1800, 1200)).save(folder / f"{seed}.jpg", quality=95)
    store, options = make_store(folder), EmbedOptions(shard_rows=100, workers=1)
    views = embed_views(store, tmp_path / "views", ENCODER, details(), options)
    pictures = [view.apply(draw(seed, (1800, 1200))) for seed in (1, 2) for view in details()]
    expected = ENCODER.encode(np.stack([ENCODER.preprocess(picture) for picture in pictures]))
    seen = views.store.all_columns().status == Status.OK
    agreement = (views.store.embeddings(np.flatnonzero(seen)) * expected[seen]).sum(axis=1)
    assert seen.sum() > 99
    assert np.quantile(agreement, 0.1) > 0.95  # almost plain windows are what JPEG makes of them

    def stop(stage: str, done: int, total: int) -> None:
        if done > len(details()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_views(store, tmp_path / "stopped", ENCODER, details(), options, stop)
    assert embed_views(store, tmp_path / "stopped", ENCODER, details(), options).store.digest == views.store.digest


def test_a_finished_store_is_not_embedded_again(images: Store, tmp_path: Path) -> None:
    embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    again = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS, _never)
    assert opened_alike(again, open_views(images, tmp_path / "views"))


def _never(stage: str, done: int, total: int) -> None:
    raise AssertionError(f"{stage}: something was embedded again")


def opened_alike(left: ViewStore, right: ViewStore) -> bool:
    return left.store.digest == right.store.digest and left.names == right.names


@pytest.mark.parametrize("change", [lambda s, m: (s, ALL[:3]), lambda s, m: (m(), ALL)])
def test_views_of_something_else_are_written_anew(
    images: Store, make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path, change: Callable[..., tuple]
) -> None:
    embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    other, views = change(images, lambda: make_store(picture_folder(2, "more", 50), name="other"))
    renewed = embed_views(other, tmp_path / "views", ENCODER, views, OPTIONS)
    assert len(renewed.store) == other.comparable * len(views)
    assert verify_store(tmp_path / "views") == []


def test_views_of_another_state_of_the_images_do_not_open(
    images: Store, make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path
) -> None:
    embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    with pytest.raises(InconclusiveError, match="another state"):
        open_views(make_store(picture_folder(2, "more", 50), name="other"), tmp_path / "views")


def test_views_of_files_that_came_back_are_made(images: Store, tmp_path: Path) -> None:
    """An unreadable view must not stay one for good: its image would never be searched in parts."""
    files = tmp_path / "images"
    files.rename(tmp_path / "gone")
    assert not embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS).store.comparable
    (tmp_path / "gone").rename(files)
    views = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    assert views.store.digest == embed_views(images, tmp_path / "whole", ENCODER, ALL, OPTIONS).store.digest


def test_views_of_any_file_that_came_back_are_made(images: Store, tmp_path: Path) -> None:
    """One that is gone for good does not stand before it; and where nothing came back nothing is made."""
    files = tmp_path / "images"
    for name in ("0000.png", "0001.png"):
        (files / name).rename(tmp_path / name)
    embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS, _never)
    (tmp_path / "0001.png").rename(files / "0001.png")
    columns = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS).store.all_columns()
    lost = [i for i, status in zip(columns.image_id, columns.status, strict=True) if status == Status.UNREADABLE]
    assert {image_id.partition("#")[0] for image_id in lost} == {"0000.png"}


@dataclass(frozen=True)
class Failing(ThumbnailEncoder):
    """Gives no embedding of the first image of a batch."""

    def encode(self, batch: NDArray[Any]) -> Float32:
        vectors = super().encode(batch)
        vectors[0] = 0
        return vectors


def test_views_that_the_encoder_makes_nothing_of_stay_so(images: Store, tmp_path: Path) -> None:
    """Their files can be read: all that follows would be made again by each run."""
    made = embed_views(images, tmp_path / "views", Failing(), ALL, OPTIONS)
    assert made.store.all_columns().error.tolist().count(NO_EMBEDDING)
    embed_views(images, tmp_path / "views", Failing(), ALL, OPTIONS, _never)


def test_appended_images_leave_the_views_of_the_others_alone(
    make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path
) -> None:
    """Images may be appended without the old ones at hand: their views are there."""
    old, new = picture_folder(3, "old"), picture_folder(2, "new", 50)
    make_store(old)
    before = embed_views(make_store(old), tmp_path / "views", ENCODER, ALL, OPTIONS).store.all_columns()
    images = embed([new], tmp_path / "store", ENCODER, EmbedOptions(shard_rows=8), append=True)
    old.rename(tmp_path / "gone")
    after = embed_views(images, tmp_path / "views", ENCODER, ALL, OPTIONS)
    assert after.store.comparable == len(after.store) == 5 * len(ALL)
    assert after.store.all_columns().image_id[: len(before.image_id)].tolist() == before.image_id.tolist()
    assert len(open_views(images, tmp_path / "views").parents) == 5


def test_windows_of_passes_say_so_and_turned_views_are_what_they_were(images: Store, tmp_path: Path) -> None:
    """A window's row is that of the window; what is no window is encoded as ever, to the bit."""
    views = embed_views(images, tmp_path / "views", PassEncoder(), ALL, OPTIONS)
    singly = embed_views(images, tmp_path / "singly", ENCODER, ALL, OPTIONS)
    assert [Manifest.read(each.store.folder).views.scheme for each in (views, singly)] == ["crops", ""]
    assert verify_store(views.store.folder) == []
    ours, theirs = (each.store.all_columns() for each in (views, singly))
    assert ours.image_id.tolist() == theirs.image_id.tolist()
    assert ours.status.tolist() == theirs.status.tolist()
    rows = np.arange(len(views.store))
    turned = ~np.char.startswith(views.name_of(rows).astype(str), "tile")
    left, right = (each.store.embeddings(rows) for each in (views, singly))
    assert (left[turned] == right[turned]).all()
    assert (left * right).sum(axis=1).min() > 0.9
    assert not (left == right).all()


def test_windows_that_were_begun_one_by_one_go_on_so(
    make_store: MakeStore, picture_folder: MakeFolder, tmp_path: Path
) -> None:
    """As stores of earlier versions are: all rows of a store are made in one way, and nothing is embedded again."""
    old, new, encoder = picture_folder(3, "old"), picture_folder(2, "new", 50), PassEncoder()
    before = embed_views(make_store(old), tmp_path / "views", ENCODER, tiles(), OPTIONS)
    assert opened_alike(embed_views(make_store(old), tmp_path / "views", encoder, tiles(), OPTIONS, _never), before)
    images = embed([new], tmp_path / "store", ENCODER, EmbedOptions(shard_rows=8), append=True)
    after = embed_views(images, tmp_path / "views", encoder, tiles(), OPTIONS)
    assert len(after.store) == 5 * 9
    assert (encoder.regions.seen, Manifest.read(after.store.folder).views.scheme) == ([], "")
    fresh, rows = embed_views(images, tmp_path / "fresh", ENCODER, tiles(), OPTIONS), np.arange(5 * 9)
    np.testing.assert_array_equal(after.store.embeddings(rows), fresh.store.embeddings(rows))


@pytest.mark.parametrize("encoder", [ENCODER, PassEncoder(regions=Crops("other crops"))])
def test_windows_of_another_pass_are_made_anew(images: Store, tmp_path: Path, encoder: PassEncoder) -> None:
    embed_views(images, tmp_path / "views", PassEncoder(), tiles(), OPTIONS)
    renewed = embed_views(images, tmp_path / "views", encoder, tiles(), OPTIONS)
    assert renewed.store.digest == embed_views(images, tmp_path / "fresh", encoder, tiles(), OPTIONS).store.digest
    expected = encoder.regions.scheme if encoder.regions else ""
    assert Manifest.read(renewed.store.folder).views.scheme == expected


def test_passes_that_were_stopped_continue_to_the_same_store(images: Store, tmp_path: Path) -> None:
    whole = embed_views(images, tmp_path / "whole", PassEncoder(), ALL, OPTIONS)

    def stop(stage: str, done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_views(images, tmp_path / "views", PassEncoder(), ALL, OPTIONS, stop)
    encoder = PassEncoder()
    assert embed_views(images, tmp_path / "views", encoder, ALL, OPTIONS).store.digest == whole.store.digest
    assert 0 < len(encoder.regions.seen) < 6
