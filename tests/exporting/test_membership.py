"""Who is kept is answered by name, in passing; what nobody decided on is never passed over in silence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sets import deduped, in_tar, write_folder, write_tars

import memaudit as ma
from memaudit.errors import InputError, UsageError


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tars")
    return deduped(write_tars(place / "tars", 30, 10), place)


def samples_of(path: Path) -> list[dict[str, object]]:
    """As WebDataset hands them on before decoding."""
    grouped: dict[str, dict[str, object]] = {}
    for name, data in in_tar(path).items():
        key, _, ending = name.partition(".")
        grouped.setdefault(key, {"__key__": key, "__url__": str(path)})[ending] = data
    return list(grouped.values())


def test_it_is_the_list_of_what_is_kept(tars: Path) -> None:
    kept = ma.kept(tars)
    every, keep = ma.open_store(tars.parent / "store").all_columns().image_id, (tars / "keep.txt").read_text().split()
    assert kept.mask(every).tolist() == [name in keep for name in every]
    assert len(kept) == len(keep) == 24
    assert keep[0] in kept
    assert repr(kept) == "<Membership: 24 images kept>"


def test_samples_are_those_of_the_export(tars: Path, tmp_path: Path) -> None:
    """Of the shards where they are, and of the same shards elsewhere."""
    made = ma.export(tars, tmp_path / "out", to="webdataset")
    expected = [sample["__key__"] for sample in samples_of(made.folder / made.shards[0])]
    moved = Path(shutil.copytree(tars.parent / "tars", tmp_path / "moved"))
    for folder in (tars.parent / "tars", moved):
        shards = sorted(folder.glob("*.tar"))
        found = ma.kept(tars).samples(sample for shard in shards for sample in samples_of(shard))
        assert [sample["__key__"] for sample in found] == expected


def test_what_was_not_decided_on_is_said(tars: Path, tmp_path: Path) -> None:
    kept = ma.kept(tars)
    with pytest.raises(InputError, match=r"nothing was decided on 'another.jpg'"):
        _ = "another.jpg" in kept
    (new,) = samples_of(write_tars(tmp_path / "new", 1, 1) / "part-0000.tar")
    new["__url__"] = "s3://bucket/part-0099.tar"
    with pytest.raises(InputError, match=r"nothing was decided on 'part-0099.tar/000000'"):
        list(kept.samples([new]))
    assert list(kept.samples([new], unknown="keep")) == [new]
    assert list(kept.samples([new], unknown="drop")) == []
    with pytest.raises(UsageError, match="unknown='maybe'"):
        kept.mask(["a"], unknown="maybe")


def test_webdataset_is_filtered_as_it_comes(tars: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(str(path) for path in (tars.parent / "tars").glob("*.tar"))
    pipeline = webdataset.WebDataset(shards, shardshuffle=False).compose(ma.kept(tars).samples)
    assert len(list(pipeline)) == 24


def test_hugging_face_datasets_are_filtered(tmp_path: Path) -> None:
    """Held and streamed."""
    datasets = pytest.importorskip("datasets")
    source = write_folder(tmp_path / "images", 10)
    kept = ma.kept(deduped(source, tmp_path))
    names = sorted(path.name for path in source.glob("*.jpg"))
    held = datasets.Dataset.from_dict({"image_id": names, "n": list(range(10))})
    expected = np.flatnonzero(kept.mask(names)).tolist()
    assert kept.dataset(held, "image_id")["n"][:] == expected
    streamed = kept.dataset(held.to_iterable_dataset(), "image_id")
    assert [row["n"] for row in streamed] == expected


def test_no_images_at_all() -> None:
    from memaudit.exporting.membership import Membership

    nobody = Membership.of([])
    assert len(nobody) == 0
    assert nobody.mask(["a", "b"], unknown="drop").tolist() == [False, False]
    with pytest.raises(InputError, match="nothing was decided on 'a'"):
        nobody.mask(["a"])
