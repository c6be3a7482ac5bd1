"""Samples of several images: what must not be there takes the whole sample with it, and no image is in two folds."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pictures import draw
from PIL import PngImagePlugin
from sets import add

import memaudit as ma
from memaudit.errors import EmptyInputError

COUNT = 16


def png(seed: int, text: str = "") -> bytes:
    data, info = io.BytesIO(), PngImagePlugin.PngInfo()
    if text:
        info.add_text("robots", text)
    draw(seed, (64, 64)).save(data, "PNG", pnginfo=info)
    return data.getvalue()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar of samples with two images each: one of their own, of which that of sample 0 says noai, and a second one,
    which all even samples share, and odd ones not."""
    place = tmp_path_factory.mktemp("together")
    with tarfile.open(place / "a.tar", "w") as archive:
        for number in range(COUNT):
            add(archive, f"{number:02}.png", png(number, "" if number else "noai"))
            add(archive, f"{number:02}.b.png", png(100 + number % 2 * number))
    ma.embed(place / "a.tar", out=place / "store", encoder="thumbnail")
    ma.run_dedup(place / "store", out=place / "dedup")
    return place / "store"


def exported(out: Path, source: Path, **options: str | bool | Path) -> set[str]:
    made = ma.export(source, out, to="manifest", **options)  # type: ignore[arg-type]
    return set(pq.read_table(made.folder / "manifest.parquet")["image_id"].to_pylist())


def test_who_loads_shards_meets_no_sample_that_an_export_leaves_out(store: Path, tmp_path: Path) -> None:
    (tmp_path / "drop.txt").write_text("a.tar/03.b.png\n")
    options = {"drop": tmp_path / "drop.txt", "respect_opt_outs": True}
    expected = exported(tmp_path / "out", store, **options)
    assert len(expected) == 2 * (COUNT - 2)
    kept = ma.kept(store, drop=tmp_path / "drop.txt", respect_opt_outs=True)
    samples = [{"__url__": "a.tar", "__key__": f"{number:02}"} for number in range(COUNT)]
    assert [sample["__key__"] for sample in kept.samples(samples)] == sorted({name[6:8] for name in expected})
    every = ma.open_store(store).all_columns().image_id.tolist()
    assert {name for name, is_kept in zip(every, kept.mask(every), strict=True) if is_kept} == expected
    assert len(kept) == len(expected)


def test_a_list_of_what_must_not_be_there_holds_whatever_is_exported(store: Path, tmp_path: Path) -> None:
    (tmp_path / "drop.txt").write_text("a.tar/03.png\n")
    named = {"a.tar/03.png", "a.tar/03.b.png"}
    every = set(ma.open_store(store).all_columns().image_id.tolist())
    assert exported(tmp_path / "all", store, which="all", drop=tmp_path / "drop.txt") == every - named
    with pytest.raises(EmptyInputError, match="or all that are must not be there"):
        exported(tmp_path / "dropped", store, which="dropped", drop=tmp_path / "drop.txt")


def test_no_file_is_in_two_folds(store: Path, tmp_path: Path) -> None:
    """Samples that share an image are in one fold; the others are where the least of their hashes leads."""
    files: list[set[str]] = []
    for number in (1, 2):
        made = ma.export(store.parent / "dedup", tmp_path / str(number), to="manifest", which="all", fold=f"{number}/2")
        table = pq.read_table(made.folder / "manifest.parquet")
        files.append(set(table["sha256"].to_pylist()))
        odd = {name[6:8] for name in table["image_id"].to_pylist() if int(name[6:8]) % 2}
        assert odd == {each for each in map("{:02}".format, range(1, COUNT, 2)) if _fold(each) == number - 1}
    assert not files[0] & files[1]
    assert len(files[0] | files[1]) == COUNT + 1 + COUNT // 2


def _fold(key: str) -> int:
    names = (f"a.tar/{key}.png", f"a.tar/{key}.b.png")
    return min(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") for name in names) % 2
