"""Ready embeddings become a store, with nothing lost and nothing guessed."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifests import edit_manifest

from memaudit.cli.app import run
from memaudit.embedding.importing import Part, clip_retrieval_parts, import_embeddings
from memaudit.errors import InputError
from memaudit.store import verify_store
from memaudit.types import EncoderSpec, Status

SPEC = EncoderSpec("mine", "ab" * 32, "as is", 8, 0.9)


def vectors(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32) * 3


def part(folder, rows: int, ids: list[str] | None = None) -> Part:
    np.save(folder / "v.npy", vectors(rows))
    (folder / "ids.txt").write_text("".join(f"{i}\n" for i in (ids or [f"image-{n}" for n in range(rows)])))
    return Part(folder / "v.npy", folder / "ids.txt")


def test_vectors_and_ids_arrive_in_order(tmp_path):
    """Rescaled to unit length, ids as given, over several shards; the store is sound."""
    store = import_embeddings([part(tmp_path, 21)], tmp_path / "store", SPEC, shard_rows=8)
    expected = vectors(21) / np.linalg.norm(vectors(21), axis=1, keepdims=True)
    np.testing.assert_allclose(store.embeddings(np.arange(21)), expected, atol=1e-3)
    assert list(store.all_columns().image_id) == [f"image-{n}" for n in range(21)]
    assert store.encoder == SPEC
    assert verify_store(tmp_path / "store") == []


def test_clip_retrievals_folder(tmp_path):
    """Parts by number, not by name: 10 comes after 9. Captions, uris and further columns are kept."""
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    for number in (9, 10):
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", vectors(2, number).astype(np.float16))
        table = {"image_path": [f"{number}-{i}.jpg" for i in range(2)], "caption": ["a", "b"], "NSFW": ["no", "no"]}
        pq.write_table(pa.table(table), tmp_path / "metadata" / f"metadata_{number}.parquet")
    columns = import_embeddings(clip_retrieval_parts(tmp_path), tmp_path / "store", SPEC).all_columns()
    assert list(columns.image_id) == ["9-0.jpg", "9-1.jpg", "10-0.jpg", "10-1.jpg"]
    assert list(columns.caption) == ["a", "b", "a", "b"]
    assert json.loads(columns.metadata[0])["NSFW"] == "no"
    (tmp_path / "metadata" / "metadata_9.parquet").unlink()
    with pytest.raises(InputError, match="part 9 has embeddings or metadata, but not both"):
        clip_retrieval_parts(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_what_is_no_vector_is_an_unreadable_row(tmp_path, value):
    """NaN would be similar to nothing and look clean: the row is there, and lowers the coverage."""
    source = part(tmp_path, 3)
    broken = vectors(3)
    broken[1] = value
    np.save(source.embeddings, broken)
    store = import_embeddings([source], tmp_path / "store", SPEC)
    assert list(store.all_columns().status) == [Status.OK, Status.UNREADABLE, Status.OK]
    assert store.coverage.measured == 2


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["a", "b"], "has 3 embeddings, .* names 2"),
        (["a", "b", "a"], "'a' occurs twice"),
        (["a", "", "c"], "line 2 is empty"),
    ],
)
def test_ids_that_do_not_fit(tmp_path, ids, words):
    """Each fault is one line, and no store appears."""
    with pytest.raises(InputError, match=words):
        import_embeddings([part(tmp_path, 3, ids)], tmp_path / "store", SPEC)
    assert not (tmp_path / "store").exists()


def test_pickles_and_other_arrays_are_refused(tmp_path):
    """Nothing is unpickled; a matrix of floats is expected."""
    source = part(tmp_path, 3)
    np.save(source.embeddings, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"cannot be read as a \.npy array"):
        import_embeddings([source], tmp_path / "store", SPEC)
    np.save(source.embeddings, np.zeros((3, 8), int))
    with pytest.raises(InputError, match=r"holds int64 of shape \(3, 8\), expected floats"):
        import_embeddings([source], tmp_path / "store", SPEC)


def test_a_finished_store_is_not_overwritten(tmp_path):
    """An unfinished one is written anew, bit by bit the same."""
    source = part(tmp_path, 20)
    first = import_embeddings([source], tmp_path / "a", SPEC, shard_rows=8)
    with pytest.raises(InputError, match="is complete already"):
        import_embeddings([source], tmp_path / "a", SPEC, shard_rows=8)

    def unfinished(manifest):
        manifest |= {"complete": False, "rows": 8, "ok": 8, "shards": manifest["shards"][:1]}

    edit_manifest(tmp_path / "a", unfinished)
    assert import_embeddings([source], tmp_path / "a", SPEC, shard_rows=8).digest == first.digest


def test_the_command(tmp_path, capsys):
    """import, then dedup and index of the imported store."""
    source = part(tmp_path, 30)
    arguments = ["--ids", str(source.ids), "--encoder", "mine", "--threshold", "0.9", "--out", str(tmp_path / "store")]
    assert run(["import", str(source.embeddings), *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"]["measured"] == 30
    assert run(["dedup", str(tmp_path / "store"), "--out", str(tmp_path / "dedup")]) == 0
    assert run(["import", str(tmp_path), *arguments]) == 2
