"""What is exported is read by others: WebDataset, pyarrow, datasets, polars, mlcroissant, a loader of PyTorch."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from sets import deduped, files_of, in_tar, jpeg, write_rows, write_tars

import memaudit as ma

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tars")
    return deduped(write_tars(place / "tars", 30, 10), place)


@pytest.fixture(scope="module")
def exported(tars: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("exported")
    for to in ("webdataset", "parquet", "hf", "folder", "manifest"):
        ma.export(tars, out / to, to=to, shard_samples=10, embeddings=to == "manifest")
    return {path.name: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def numbers(tars: Path) -> list[int]:
    return [int(name[-10:-4]) for name in (tars / "keep.txt").read_text().splitlines()]


def test_webdataset_reads_the_shards(exported: dict[str, Path], numbers: list[int]) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(str(path) for path in exported["webdataset"].glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert [int(sample["__key__"]) for sample in samples] == numbers
    for sample, number in zip(samples, numbers, strict=True):
        assert {ending: sample[ending] for ending in files_of(number)} == files_of(number)


def test_pyarrow_reads_the_rows(exported: dict[str, Path], numbers: list[int]) -> None:
    rows = pq.read_table(exported["parquet"] / "data").to_pylist()
    assert [row["image"] for row in rows] == [{"bytes": jpeg(n), "path": f"{n:06d}.jpg"} for n in numbers]
    assert [row["caption"] for row in rows] == [f"picture {number}" for number in numbers]
    files = {file["path"].partition(".")[2]: file["bytes"] for file in rows[0]["files"]}
    assert files == {ending: data for ending, data in files_of(numbers[0]).items() if ending != "jpg"}


def test_datasets_reads_rows_shards_and_folders(exported: dict[str, Path], numbers: list[int], tmp_path: Path) -> None:
    """As `load_dataset` takes them, pictures as pictures; nothing is asked of a hub."""
    datasets = pytest.importorskip("datasets")
    cache = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    found = datasets.load_dataset(str(exported["hf"]), **cache)
    assert [int(row["image_id"][-10:-4]) for row in found] == numbers
    assert found[0]["image"].size == Image.open(io.BytesIO(jpeg(numbers[0]))).size
    shards = datasets.load_dataset("webdataset", data_files=str(exported["webdataset"] / "*.tar"), **cache)
    assert [row["txt"] for row in shards] == [f"picture {number}" for number in numbers]
    folder = datasets.load_dataset("imagefolder", data_dir=str(exported["folder"] / "images"), **cache)
    assert len(folder) == len(numbers)


def test_datasets_reads_copied_rows(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_rows(tmp_path / "rows" / "train.parquet", range(12))
    made = ma.export(deduped(tmp_path / "rows", tmp_path), tmp_path / "out", to="hf")
    found = datasets.load_dataset(str(made.folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == made.samples.kept == 9
    assert found.column_names == ["image", "caption", "n", "mask"]


def test_a_saved_data_set_comes_out_again(tmp_path: Path) -> None:
    """Arrow files of `save_to_disk`, in several parts: the rows that stay, with all features."""
    datasets = pytest.importorskip("datasets")
    rows = {"image": [{"bytes": jpeg(n), "path": None} for n in range(12)], "label": [n % 3 for n in range(12)]}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    datasets.Dataset.from_dict(rows, features).save_to_disk(tmp_path / "saved", num_shards=2)
    dedup = deduped(tmp_path / "saved", tmp_path)
    made = ma.export(dedup, tmp_path / "out", to="hf")
    found = datasets.load_dataset(str(made.folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features == features
    kept = (tmp_path / "dedup" / "keep.txt").read_text().split()
    numbers = [6 * ("00001-of" in name) + int(name.rpartition("#")[2]) for name in kept]
    assert found["label"][:] == [number % 3 for number in numbers]
    packed = ma.export(dedup, tmp_path / "tar", to="webdataset")
    assert [data for name, data in in_tar(packed.folder / packed.shards[0]).items() if name.endswith(".jpg")] == [
        jpeg(number) for number in numbers
    ]


def test_polars_reads_decisions_and_embeddings(exported: dict[str, Path], tars: Path, numbers: list[int]) -> None:
    polars = pytest.importorskip("polars")
    manifest = polars.read_parquet(exported["manifest"] / "manifest.parquet")
    joined = manifest.join(polars.read_parquet(tars / "decisions.parquet"), on="image_id")
    assert len(joined) == len(numbers)
    assert set(joined["decision"]) == {"keep"}
    assert manifest["embedding"].to_numpy().shape == (len(numbers), ma.open_store(tars.parent / "store").encoder.dim)


@pytest.mark.parametrize("to", ["webdataset", "parquet", "hf", "folder", "manifest"])
def test_croissant_describes_it(to: str, exported: dict[str, Path], tars: Path, numbers: list[int]) -> None:
    """Without an error, with where it comes from, and each record is found by it."""
    mlcroissant = pytest.importorskip("mlcroissant")
    path = exported[to] / "croissant.json"
    described = mlcroissant.Dataset(jsonld=str(path))
    assert described.metadata.ctx.issues.errors == set()
    report = ma.open_report(tars).report
    assert f"sha256:{report.digest}" in path.read_text()
    assert f"sha256:{report.inputs['store']}" in path.read_text()
    assert f"memaudit {ma.__version__}" in path.read_text()
    records = {each.uuid: list(described.records(each.uuid)) for each in described.metadata.record_sets}
    if to != "manifest":
        assert len(records["files"]) == 4 * len(numbers)
    if to in ("parquet", "hf", "manifest"):
        assert [int(row["samples/image_id"][-10:-4]) for row in records["samples"]] == numbers


@pytest.mark.torch
def test_a_step_is_trained_on_it(exported: dict[str, Path], numbers: list[int]) -> None:
    """By a plain loader, as in docs/how-to/export.md: the weights are others than before."""
    import numpy as np
    import torch

    class Shards(torch.utils.data.IterableDataset):  # type: ignore[misc, type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            for path in sorted(exported["webdataset"].glob("*.tar")):
                with tarfile.open(path) as archive:
                    for member in archive:
                        if member.name.endswith(".jpg"):
                            image = Image.open(io.BytesIO(archive.extractfile(member).read())).resize((32, 32))  # type: ignore[union-attr]
                            yield torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / 255)

    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32 * 3, 1))
    before = [weights.detach().clone() for weights in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = next(iter(torch.utils.data.DataLoader(Shards(), batch_size=len(numbers))))
    assert len(batch) == len(numbers)
    model(batch).square().mean().backward()
    optimiser.step()
    assert not all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
