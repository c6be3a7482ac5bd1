"""Weights of a run of reweight stand beside each sample, whatever it is written as; what has none is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sets import contents, deduped, in_tar, write_rows, write_tars
from test_membership import samples_of

import memaudit as ma
from memaudit.errors import InputError, UsageError


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tars")
    run = deduped(write_tars(place / "tars", 10, 5), place)
    write_weights(place / "weights.parquet", (run / "keep.txt").read_text().split())
    return run


def write_weights(path: Path, names: list[str]) -> Path:
    weights = [1 + 0.25 * number for number in range(len(names))]
    pq.write_table(pa.table({"image_id": names, "weight": weights}), path)
    return path


def weights_of(tars: Path) -> dict[str, float]:
    table = pq.read_table(tars.parent / "weights.parquet")
    return dict(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_a_tar_has_a_number_for_each_key_and_is_else_the_same(tars: Path, tmp_path: Path) -> None:
    made = ma.export(tars, tmp_path / "out", to="webdataset", weights=tars.parent / "weights.parquet")
    plain = ma.export(tars, tmp_path / "plain", to="webdataset")
    files, bare = (in_tar(each.folder / each.shards[0]) for each in (made, plain))
    extra = {name: data for name, data in files.items() if name.endswith(".weight.json")}
    assert {name: data for name, data in files.items() if name not in extra} == bare
    expected = {f"{Path(name).stem}.weight.json": weight for name, weight in weights_of(tars).items()}
    assert {name: json.loads(data) for name, data in extra.items()} == expected
    assert ma.verify(made.folder).sound
    assert any(
        each["name"] == "memaudit weights of the images"
        for each in json.loads((made.folder / "croissant.json").read_text())["isBasedOn"]
    )


def test_a_decoder_makes_numbers_of_them(tars: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    made = ma.export(tars, tmp_path / "out", to="webdataset", weights=tars.parent / "weights.parquet")
    read = webdataset.WebDataset(str(made.folder / made.shards[0]), shardshuffle=False).decode()
    assert [sample["weight.json"] for sample in read] == list(weights_of(tars).values())


@pytest.mark.parametrize("to", ["parquet", "hf", "manifest"])
def test_tables_have_a_column(tars: Path, tmp_path: Path, to: str) -> None:
    made = ma.export(tars, tmp_path / "out", to=to, weights=tars.parent / "weights.parquet")
    table = pq.read_table(made.folder / made.shards[0])
    found = dict(zip(table["image_id"].to_pylist(), table["weight"].to_pylist(), strict=True))
    assert found == weights_of(tars)
    if to == "hf":
        assert json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["weight"]["dtype"] == "float64"


def test_rows_of_tables_stay_as_they_were_but_for_it(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows/a.parquet", range(10))
    run = deduped(source.parent, tmp_path)
    names = (run / "keep.txt").read_text().split()
    weights = write_weights(tmp_path / "weights.parquet", names)
    made = ma.export(run, tmp_path / "out", to="hf", weights=weights)
    table = pq.read_table(made.folder / made.shards[0])
    rows = [int(name.rpartition("#")[2]) for name in names]
    assert table.drop_columns("weight") == pq.read_table(source).take(rows)
    again = tmp_path / "again"
    ma.embed(made.folder / "data", out=again / "store", encoder="thumbnail")
    keep = again / "keep.txt"
    keep.write_text("".join(f"{name}\n" for name in ma.open_store(again / "store").all_columns().image_id))
    weights = write_weights(again / "weights.parquet", keep.read_text().split())
    with pytest.raises(InputError, match="have a column 'weight' already"):
        ma.export(again / "store", again / "out", to="parquet", keep=keep, weights=weights)


def test_weights_of_another_list_are_refused(tars: Path, tmp_path: Path) -> None:
    few = write_weights(tmp_path / "few.parquet", (tars / "keep.txt").read_text().split()[1:])
    for to in ("webdataset", "parquet", "manifest"):
        with pytest.raises(InputError, match=r"is kept, and the weights have none for it"):
            ma.export(tars, tmp_path / to, to=to, weights=few)
    with pytest.raises(InputError, match=r"is kept, and the weights have none for it"):
        ma.kept(tars, weights=few)
    with pytest.raises(InputError, match="holds no weights of memaudit reweight"):
        ma.export(tars, tmp_path / "none", to="parquet", weights=tars / "pairs.parquet")
    weights = tars.parent / "weights.parquet"
    with pytest.raises(UsageError, match="no place in a folder"):
        ma.export(tars, tmp_path / "folder", to="folder", weights=weights)
    with pytest.raises(UsageError, match="of what is kept, not of --which all"):
        ma.export(tars, tmp_path / "all", to="parquet", which="all", weights=weights)


def test_other_weights_are_another_export(tars: Path, tmp_path: Path) -> None:
    weights = tars.parent / "weights.parquet"
    ma.export(tars, tmp_path / "out", to="webdataset", weights=weights)
    before = contents(tmp_path / "out")
    ma.export(tars, tmp_path / "out", to="webdataset", weights=weights)
    assert contents(tmp_path / "out") == before
    with pytest.raises(UsageError, match="from another state of the weights"):
        ma.export(tars, tmp_path / "out", to="webdataset")


def test_an_iterator_has_them(tars: Path) -> None:
    kept = ma.kept(tars, weights=tars.parent / "weights.parquet")
    shards = sorted((tars.parent / "tars").glob("*.tar"))
    found = list(kept.samples(sample for shard in shards for sample in samples_of(shard)))
    expected = weights_of(tars)
    assert [json.loads(bytes(str(sample["weight.json"])[2:-1], "ascii")) for sample in found] == list(expected.values())
    assert kept.weights([*expected, "another.jpg"]).tolist() == [*expected.values(), 0.0]
    with pytest.raises(UsageError, match="no weights"):
        ma.kept(tars).weights(["a"])


def test_datasets_have_them(tars: Path) -> None:
    datasets = pytest.importorskip("datasets")
    expected = weights_of(tars)
    kept = ma.kept(tars, weights=tars.parent / "weights.parquet")
    held = datasets.Dataset.from_dict({"image_id": list(expected)})
    for dataset in (held, held.to_iterable_dataset()):
        rows = list(kept.dataset(dataset, "image_id"))
        assert np.allclose([row["weight"] for row in rows], list(expected.values()))
