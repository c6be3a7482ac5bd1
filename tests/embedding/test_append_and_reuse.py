"""A finished store grows by new images, and no file is embedded twice."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import MakeFolder, draw, write_pictures

from memaudit.embedding.options import PartOf
from memaudit.embedding.run import EmbedOptions, embed, embed_with_views
from memaudit.encoders import load_encoder
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.images.passed_over import PassedOver
from memaudit.images.views import details
from memaudit.store import Row, Store, StoreWriter, verify_store
from memaudit.types import Float32

ENCODER = load_encoder("thumbnail")
SHARDS_OF_4 = EmbedOptions(batch_size=3, workers=2, shard_rows=4)


@dataclass(frozen=True)
class Counting(ThumbnailEncoder):
    """Counts the images it is given."""

    batches: list[int] = field(default_factory=list)

    def encode(self, batch: NDArray[Any]) -> Float32:
        self.batches.append(len(batch))
        return super().encode(batch)


@dataclass(frozen=True)
class Stopping(Counting):
    """As if Ctrl-C came with the second shard."""

    def encode(self, batch: NDArray[Any]) -> Float32:
        if sum(self.batches) >= 4:
            raise KeyboardInterrupt
        return super().encode(batch)


@dataclass(frozen=True)
class Numbering(ThumbnailEncoder):
    """Never gives the same image the same embedding twice, so that a copied embedding can be told from a new one."""

    given: list[int] = field(default_factory=list)

    def encode(self, batch: NDArray[Any]) -> Float32:
        rows = super().encode(batch)
        for row in rows:
            self.given.append(1)
            row[0] += 0.01 * len(self.given)
        unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def ids_of(store: Store) -> list[str]:
    return list(store.all_columns().image_id)


# --- appending ------------------------------------------------------------------------------------------------------


def test_appended_images_join_those_that_are_there(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The old sources need not be at hand: their rows stay as they are, and the manifest names both sources."""
    old = picture_folder(6)
    first = embed([old], tmp_path / "store", ENCODER, SHARDS_OF_4)
    kept = {path.name: path.read_bytes() for path in first.folder.glob("*.h5")}
    shutil.rmtree(old)
    new = write_pictures(tmp_path / "new", range(6, 9))
    store = embed([new], tmp_path / "store", ENCODER, SHARDS_OF_4, append=True)
    assert ids_of(store) == [f"{n:04d}.png" for n in range(9)]
    assert store.manifest.sources == (str(old), str(new))
    assert {name: (store.folder / name).read_bytes() for name in kept} == kept
    assert verify_store(store.folder) == []


def test_appending_again_adds_what_came_since(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """An image that the store has is skipped, whichever source it came from."""
    embed([picture_folder(3)], tmp_path / "store", ENCODER)
    encoder = Counting()
    for last in (5, 5, 6):
        store = embed([write_pictures(tmp_path / "new", range(2, last))], tmp_path / "store", encoder, append=True)
    assert encoder.batches == [2, 1]
    assert ids_of(store) == [f"{n:04d}.png" for n in range(6)]


def test_another_image_of_the_same_name_is_not_taken_for_known(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A clash of ids is an error, and the finished store stays finished."""
    store = embed([picture_folder(3)], tmp_path / "store", ENCODER)
    before = (store.folder / "store.json").read_bytes()
    new = write_pictures(tmp_path / "new", [7, 8])
    (new / "0007.png").rename(new / "0001.png")
    with pytest.raises(InputError, match=r"made from another file than '0001.png' now is: .* an image_id of its own"):
        embed([new], store.folder, ENCODER, append=True)
    assert (store.folder / "store.json").read_bytes() == before


def test_other_sources_without_append_say_how(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Who points at the wrong store learns it before anything is written, and who means it learns the option."""
    store = embed([picture_folder(3)], tmp_path / "store", ENCODER)
    with pytest.raises(InputError, match=r"holds 3 images that are not in the sources .*'0000.png'.* --append"):
        embed([write_pictures(tmp_path / "new", [7, 8])], store.folder, ENCODER)
    assert len(Store.open(store.folder)) == 3


def test_appending_does_not_finish_another_command(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A store that still lacks images of one source is not called finished because those of another one are there."""
    first, second = picture_folder(9), write_pictures(tmp_path / "second", range(20, 29))
    store, third = tmp_path / "store", write_pictures(tmp_path / "third", range(40, 43))
    interrupted(first, store)
    with pytest.raises(InconclusiveError, match=r"unfinished, it still lacks .*images: first run the command"):
        embed([second], store, ENCODER, SHARDS_OF_4, append=True)
    embed([first], store, ENCODER, SHARDS_OF_4)
    interrupted(second, store, append=True)
    for other in (first, third):
        with pytest.raises(InconclusiveError, match=r"unfinished, it still lacks images of .*second"):
            embed([other], store, ENCODER, SHARDS_OF_4, append=True)
    embed([second], store, ENCODER, SHARDS_OF_4, append=True)
    assert len(embed([third], store, ENCODER, SHARDS_OF_4, append=True)) == 21


def interrupted(source: Path, store: Path, *, append: bool = False) -> None:
    """Embed until the second batch, where the encoder stops."""
    with pytest.raises(KeyboardInterrupt):
        embed([source], store, Stopping(), SHARDS_OF_4, append=append)


def test_the_same_images_under_a_prefix_are_refused(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Several sources get their names before their image_ids: one that is there already would be there twice."""
    old, new = picture_folder(3), write_pictures(tmp_path / "new", [7, 8])
    store = embed([old], tmp_path / "store", ENCODER)
    with pytest.raises(InputError, match=r"'images/0000.png' is '0000.png' of store .* name the new sources alone"):
        embed([old, new], store.folder, ENCODER, append=True)
    assert len(Store.open(store.folder)) == 3


def test_there_must_be_a_store_to_append_to(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A mistyped --out does not become a new store."""
    with pytest.raises(UsageError, match="holds no store to append to"):
        embed([picture_folder(2)], tmp_path / "stroe", ENCODER, append=True)


@pytest.mark.parametrize("when", ["then", "now"])
def test_a_file_that_could_not_be_read_is_said(picture_folder: MakeFolder, tmp_path: Path, when: str) -> None:
    """Not that it is another one; and there is a way to go on."""
    folder, aside = picture_folder(3), tmp_path / "aside.png"
    (folder / "0001.png").rename(aside)
    (folder / "0001.png").symlink_to(tmp_path / ("absent.png" if when == "then" else "aside.png"))
    store = embed([folder], tmp_path / "store", ENCODER).folder
    aside.rename(tmp_path / ("absent.png" if when == "then" else "elsewhere.png"))
    message = "could not be read when .* and now can" if when == "then" else "cannot be read any more: restore the file"
    with pytest.raises(InputError, match=f"'0001.png'.* {message}.*--replace-changed"):
        embed([folder], store, ENCODER)
    assert embed([folder], store, ENCODER, replace_changed=True).comparable == (3 if when == "then" else 2)


@pytest.mark.parametrize("tiles", [False, True])
def test_a_file_that_failed_for_a_moment_stops_no_killed_run(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: bool
) -> None:
    """Of what a kill left nothing is embedded again but it; one that fails now stays, which is said. In the end the
    store, and its tiles, are those of a run that nothing stopped."""
    folder, kind = picture_folder(10), details()[:2]
    views = {tmp_path / "store" / "tiles": kind} if tiles else {}
    shutil.copytree(folder, tmp_path / "sound")
    write = StoreWriter.write_shard

    def killed(writer: StoreWriter, rows: Sequence[Row]) -> None:
        if writer.folder.name == "store" and len(writer.manifest.shards) == 2:
            raise KeyboardInterrupt
        write(writer, rows)

    def gone(name: str) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("nowhere")

    def back(name: str) -> None:
        (folder / name).unlink()
        shutil.copy(tmp_path / "sound" / name, folder / name)

    gone("0001.png")
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            embed_with_views([folder], tmp_path / "store", ENCODER, views, SHARDS_OF_4)
    back("0001.png")
    gone("0006.png")
    encoder, passed = Counting(), PassedOver()
    options = replace(SHARDS_OF_4, passed=passed)
    store = embed([folder], tmp_path / "store", encoder, options, views=views)
    assert sum(encoder.batches) == 3 or tiles
    line = "files could not be read again, and their images stay as they were embedded: 1 (0006.png)"
    assert passed.lines == (line,)
    assert verify_store(store.folder) == []
    back("0006.png")
    again = embed_with_views([folder], tmp_path / "store", ENCODER, views, options)
    fresh = {tmp_path / "fresh" / "tiles": kind} if tiles else {}
    alone = embed_with_views([folder], tmp_path / "fresh", ENCODER, fresh, SHARDS_OF_4)
    assert again.store.digest == store.digest == alone.store.digest
    assert [each.store.digest for each in again.views] == [each.store.digest for each in alone.views]
    assert passed.lines == ()


def test_a_part_tries_again_what_it_could_not_read(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """It is a set that is not done, also where no image is left to it."""
    folder, options = picture_folder(8), replace(SHARDS_OF_4, part=PartOf(1, 2))
    (folder / "0001.png").rename(tmp_path / "aside.png")
    (folder / "0001.png").symlink_to(tmp_path / "absent.png")
    assert embed([folder], tmp_path / "store", ENCODER, options).comparable == 3
    (tmp_path / "aside.png").rename(tmp_path / "absent.png")
    assert embed([folder], tmp_path / "store", ENCODER, options).comparable == 4


# --- the same file again --------------------------------------------------------------------------------------------


@pytest.fixture
def with_copies(picture_folder: MakeFolder) -> Path:
    """Twelve files of five pictures: copies in the same batch, in the same shard and in others; two unreadable."""
    folder = picture_folder(5)
    for number, original in enumerate((0, 0, 3, 4, 1), start=5):
        shutil.copy(folder / f"{original:04d}.png", folder / f"{number:04d}.png")
    (folder / "0001b.png").write_bytes(b"broken")
    (folder / "0009b.png").write_bytes(b"broken")
    return folder


def test_a_file_is_embedded_once(with_copies: Path, tmp_path: Path) -> None:
    """Its copies get the same embedding bit by bit, the same measures and their own names."""
    encoder = Numbering()
    store = embed([with_copies], tmp_path / "store", encoder, SHARDS_OF_4)
    assert len(encoder.given) == 5
    columns = store.all_columns()
    vectors = store.stored_embeddings(np.arange(12))
    assert columns.status.tolist().count("unreadable") == 2
    for sha256 in set(columns.sha256):
        rows = np.flatnonzero(columns.sha256 == sha256)
        assert (vectors[rows] == vectors[rows[0]]).all()
        for measure in (columns.width, columns.height, columns.simplicity, columns.status):
            assert len({str(value) for value in measure[rows]}) == 1
    assert len(set(columns.uri)) == 12
    assert verify_store(store.folder) == []


def test_asked_to_every_file_is_embedded(with_copies: Path, tmp_path: Path) -> None:
    """Without reuse each row has an embedding of its own."""
    encoder = Numbering()
    embed([with_copies], tmp_path / "store", encoder, EmbedOptions(shard_rows=4, reuse=False))
    assert len(encoder.given) == 10


def test_reuse_does_not_change_the_store(with_copies: Path, tmp_path: Path) -> None:
    """With an encoder whose rows do not depend on their batch it only saves time."""
    stores = [
        embed([with_copies], tmp_path / str(reuse), ENCODER, EmbedOptions(shard_rows=4, reuse=reuse))
        for reuse in (True, False)
    ]
    assert stores[0].digest == stores[1].digest


def test_appended_copies_are_not_embedded(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A file that an earlier run embedded under another name costs its reading only."""
    folder = picture_folder(6)
    embed([folder], tmp_path / "store", ENCODER, SHARDS_OF_4)
    new = tmp_path / "new"
    new.mkdir()
    for number in (5, 0, 3):
        shutil.copy(folder / f"{number:04d}.png", new / f"copy-{number}.png")
    draw(50).save(new / "new.png")
    encoder = Counting()
    store = embed([new], tmp_path / "store", encoder, SHARDS_OF_4, append=True)
    assert encoder.batches == [1]
    vectors, columns = store.stored_embeddings(np.arange(10)), store.all_columns()
    assert columns.image_id[6:].tolist() == ["copy-0.png", "copy-3.png", "copy-5.png", "new.png"]
    assert (vectors[[6, 7, 8]] == vectors[[0, 3, 5]]).all()
    assert (columns.width[[6, 7, 8]] == columns.width[[0, 3, 5]]).all()
    assert (columns.simplicity[[6, 7, 8]] == columns.simplicity[[0, 3, 5]]).all()


@dataclass(frozen=True)
class Failing(ThumbnailEncoder):
    """Fails on the first batch it is given, once."""

    calls: list[int] = field(default_factory=list)

    def encode(self, batch: NDArray[Any]) -> Float32:
        self.calls.append(1)
        return super().encode(batch) * (np.nan if len(self.calls) == 1 else 1)


def test_a_failed_embedding_is_not_handed_on(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A copy within the shard shares the fate of its original; one in a later shard is tried anew."""
    folder = picture_folder(1)
    for number in range(1, 6):
        shutil.copy(folder / "0000.png", folder / f"{number:04d}.png")
    store = embed([folder], tmp_path / "store", Failing(), EmbedOptions(shard_rows=2))
    assert store.all_columns().status.tolist() == ["unreadable"] * 2 + ["ok"] * 4
