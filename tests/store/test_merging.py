"""Merged stores are what one run would have made, or their images one after the other; nothing is lost or doubled."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from pictures import MakeFolder, MakeStore, write_pictures

import memaudit as ma
from memaudit.embedding import run
from memaudit.errors import EmptyInputError, InconclusiveError, InputError, UsageError
from memaudit.store import Store, merge, merging, shard, verify_store
from memaudit.store.places import Whereabouts


def parts_of(folder: Path, place: Path, count: int, shard_rows: int = 4) -> list[Path]:
    """Parts of a set, made each by itself, as on several machines."""
    made = []
    for number in range(1, count + 1):
        part = f"{number}/{count}"
        out = place / f"part-{number}"
        ma.embed(folder, out=out, encoder="thumbnail", part=part, shard_rows=shard_rows)
        made.append(out)
    return made


@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_become_the_store_of_one_run(count: int, picture_folder: MakeFolder, tmp_path: Path) -> None:
    """In whatever order they are named: equal digests, shard by shard, equal manifests."""
    folder = picture_folder(18)
    whole = ma.embed(folder, out=tmp_path / "whole", encoder="thumbnail", shard_rows=4)
    parts = parts_of(folder, tmp_path, count)
    assert sum(len(Store.open(part)) for part in parts) == 18
    if count == 1:
        return
    merged = ma.merge_stores(parts[::-1], tmp_path / "merged")
    assert merged.digest == whole.digest
    assert (tmp_path / "merged" / "store.json").read_bytes() == (tmp_path / "whole" / "store.json").read_bytes()
    assert ma.verify(merged).sound
    again = ma.embed(folder, out=tmp_path / "merged", encoder="thumbnail", shard_rows=4)
    assert again.digest == whole.digest


def test_a_part_alone_is_no_training_set(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """What one machine's part has not was told of the whole set, with exit code 0. One of one is whole."""
    folder = picture_folder(8)
    (alone,) = parts_of(folder, tmp_path / "whole", 1)
    ma.open_guard(alone)
    part, _ = parts_of(folder, tmp_path, 2)
    for told in (
        lambda: ma.run_audit(folder, part, out=tmp_path / "audit", planted=0),
        lambda: ma.run_dedup(part, out=tmp_path / "dedup"),
        lambda: ma.run_dedup(alone, out=tmp_path / "dedup", against=part),
        lambda: ma.build_index(part, tmp_path / "index"),
        lambda: ma.run_lookup(folder, part),
        lambda: ma.open_guard(part),
        lambda: ma.answer_claim(folder, part, tmp_path / "claims", claimant="R. Holder"),
    ):
        with pytest.raises(InconclusiveError, match=r"is part 1/2 of .*, and nothing can be said of the other"):
            told()
    assert not (tmp_path / "claims").exists()


@pytest.mark.parametrize("when", ["between", "within"])
def test_parts_of_two_states_are_not_merged(
    when: str, picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file went between two parts, or while one was made: another one would be in none. Embedded again they fit."""
    folder = picture_folder(8)
    first = ma.embed(folder, out=tmp_path / "1", encoder="thumbnail", part="1/2", shard_rows=2)
    if when == "between":
        (folder / "0000.png").unlink()
    else:
        reconciled = run._reconciled
        went = lambda *given, **more: ((folder / "0000.png").unlink(), reconciled(*given, **more))[1]  # noqa: E731
        monkeypatch.setattr(run, "_reconciled", went)
    second = ma.embed(folder, out=tmp_path / "2", encoder="thumbnail", part="2/2", shard_rows=2)
    monkeypatch.undo()
    words = {"between": "is a part of 8 images, and .* of 7 others", "within": "hold 7 images, and 8 were listed"}
    with pytest.raises(InconclusiveError, match=rf"{words[when]}.*run what made them again.*--replace-changed"):
        ma.merge_stores([first, second], tmp_path / "merged")
    again = [
        ma.embed(folder, tmp_path / n, encoder="thumbnail", part=f"{n}/2", shard_rows=2, replace_changed=True)
        for n in "12"
    ]
    assert len(ma.merge_stores(again, tmp_path / "merged")) == 7


def test_shards_are_shared_and_not_copied(picture_folder: MakeFolder, tmp_path: Path) -> None:
    parts = parts_of(picture_folder(16), tmp_path, 2)
    merged = ma.merge_stores(parts, tmp_path / "merged").folder
    assert (merged / "shard-00001.h5").samefile(parts[1] / "shard-00000.h5")
    shutil.rmtree(parts[0])
    assert ma.verify(merged).sound


def test_another_disk_gets_a_copy(picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: object, target: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    parts = parts_of(picture_folder(8), tmp_path, 2)
    monkeypatch.setattr(merging.os, "link", refused)
    merged = ma.merge_stores(parts, tmp_path / "merged")
    assert not (merged.folder / "shard-00000.h5").samefile(parts[0] / "shard-00000.h5")
    assert ma.verify(merged).sound


def test_stores_of_other_sets_follow_each_other(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path
) -> None:
    """And what they do not share is taken as it is."""
    first = make_store(picture_folder(5, name="a"), name="one")
    second = make_store(picture_folder(6, name="b", first_seed=50), name="two", shard_rows=4)
    merged = merge([first, second], tmp_path / "merged")
    assert merged.all_columns().image_id.tolist() == [
        *first.all_columns().image_id,
        *second.all_columns().image_id,
    ]
    assert merged.manifest.sources == (*first.manifest.sources, *second.manifest.sources)
    assert merge([first, second], tmp_path / "merged").digest == merged.digest
    with pytest.raises(UsageError, match="holds another store"):
        merge([second, first], tmp_path / "merged")


def test_what_a_larger_merge_left_is_removed(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its manifest it leaves shards; a merge of fewer stores there is sound."""
    stores = [make_store(picture_folder(2, f"images-{n}", 10 * n), name=f"store-{n}") for n in range(3)]

    def killed(path: Path, value: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(merging, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(stores, tmp_path / "merged")
    assert len(list((tmp_path / "merged").glob("shard-*"))) == 3
    merge(stores[:2], tmp_path / "merged")
    assert verify_store(tmp_path / "merged") == []
    assert len(list((tmp_path / "merged").glob("shard-*"))) == 2


def test_names_alone_are_read(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No caption is, and no image is looked for, as it would be in stores that were moved."""
    stores = [make_store(picture_folder(2, f"images-{n}", 10 * n), name=f"store-{n}") for n in range(2)]

    def asked(*given: object) -> NoReturn:
        raise AssertionError(given)

    monkeypatch.setitem(shard._READ, "caption", asked)
    monkeypatch.setattr(Whereabouts, "located", asked)
    assert len(merge(stores, tmp_path / "merged")) == 4


def test_what_cannot_be_merged(picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path) -> None:
    folder = picture_folder(12)
    store = make_store(folder)
    parts = parts_of(folder, tmp_path, 3)
    out = tmp_path / "out"
    for given, error, words in (
        ([store], UsageError, "one store alone"),
        ([store, store], InputError, "image_id '0000.png' is in two of the stores"),
        (parts[:2], InconclusiveError, "part 3/3 is missing"),
        ([*parts, parts[0]], UsageError, "a part is given twice"),
        ([parts[0], store], InconclusiveError, "merge the parts of one set"),
    ):
        with pytest.raises(error, match=words):
            ma.merge_stores(given, out)
        assert not (out / "store.json").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty and holds no store \(found thesis.txt\)"):
        ma.merge_stores([parts[0], *parts[1:]], tmp_path / "mine")


def test_parts_that_are_none(picture_folder: MakeFolder, tmp_path: Path) -> None:
    folder = picture_folder(6)
    for part in ("0/2", "3/2", "1", "a/b", "1/0"):
        with pytest.raises(UsageError, match="is no part: expected one such as 2/5"):
            ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part=part)
    with pytest.raises(EmptyInputError, match=r"no image in part 2/2 of .*take fewer parts"):
        ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part="2/2")
    with pytest.raises(UsageError, match="--append adds to a whole store"):
        ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part="1/2", append=True, shard_rows=3)


def test_a_part_stays_that_part(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Run again it continues; as another part, or as all, it is refused; that it lacks images is no news."""
    folder = picture_folder(8)
    first = ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part="1/2", shard_rows=2)
    assert (
        ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part="1/2", shard_rows=2).digest == first.digest
    )
    with pytest.raises(InputError, match="holds part 1/2 of its sources, not part 2/2"):
        ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", part="2/2", shard_rows=2)
    with pytest.raises(InputError, match="holds part 1/2 of its sources, not all"):
        ma.embed(folder, out=tmp_path / "store", encoder="thumbnail", shard_rows=2)
    assert ma.describe(tmp_path / "store").values["part"] == "1/2"
    write_pictures(folder, [99])
    assert ma.verify(tmp_path / "store").notes == ()


def test_a_changed_shard_is_no_part(picture_folder: MakeFolder, tmp_path: Path) -> None:
    parts = parts_of(picture_folder(8), tmp_path, 2)
    shard = parts[1] / "shard-00000.h5"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InconclusiveError, match="was changed, or is another one"):
        ma.merge_stores(parts, tmp_path / "merged")
    assert not (tmp_path / "merged" / "store.json").exists()


def test_tiles_are_said_to_be_left_and_made_anew(picture_folder: MakeFolder, tmp_path: Path) -> None:
    folder = picture_folder(4)
    for part in ("1/2", "2/2"):
        ma.embed(folder, out=tmp_path / part[0], encoder="thumbnail", part=part, shard_rows=2, tiles=True)
    merged = ma.merge_stores([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")
    assert merged.not_read == tuple(f"not taken over: {tmp_path / name / 'tiles'}" for name in "12")
    again = ma.embed(folder, out=tmp_path / "merged", encoder="thumbnail", shard_rows=2, tiles=True)
    assert again.digest == merged.digest
    assert again.tiles is not None
    assert ma.verify(again).sound
