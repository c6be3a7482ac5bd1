"""Ready embeddings become a store, with nothing lost and nothing guessed."""

import csv
import json
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifests import edit_manifest

from memaudit.cli.app import run
from memaudit.embedding.importing import Part, clip_retrieval_parts, dimension_of, import_embeddings
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


def put_part(folder, vectors_name: str, table_name: str, seed: int) -> None:
    """A part of clip-retrieval's layout, whose ids say which seed made the vectors."""
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(exist_ok=True)
    np.save(folder / "img_emb" / f"{vectors_name}.npy", vectors(2, seed))
    pq.write_table(
        pa.table({"image_path": [f"{seed}-{i}" for i in range(2)]}), folder / "metadata" / f"{table_name}.parquet"
    )


@pytest.mark.parametrize(
    "names",
    [
        [("train_0", "train_0"), ("val_0", "val_0")],
        [("b_img_emb_0", "b_metadata_0"), ("a_img_emb_0", "a_metadata_0"), ("a_img_emb_1", "a_metadata_1")],
        [("img_emb_0", "metadata_0"), ("img_emb_00", "metadata_00")],
        [("train", "train"), ("val", "val")],
        [("img_emb_0", "metadata_00"), ("img_emb_1", "metadata_01")],
    ],
)
def test_runs_that_were_put_together(tmp_path, names):
    """Parts belong together by name, whatever number they end in: every id has its own vector, and none is lost."""
    for seed, (vectors_name, table_name) in enumerate(names):
        put_part(tmp_path, vectors_name, table_name, seed)
    store = import_embeddings(clip_retrieval_parts(tmp_path), tmp_path / "store", SPEC)
    ids = list(store.all_columns().image_id)
    assert sorted(ids) == [f"{seed}-{i}" for seed in range(len(names)) for i in range(2)]
    for row, image_id in enumerate(ids):
        seed, place = map(int, image_id.split("-"))
        own = vectors(2, seed)[place]
        assert store.embeddings(np.array([row]))[0] @ own / np.linalg.norm(own) > 0.999


def test_parts_whose_names_do_not_tell(tmp_path):
    """Two are part 0, and nothing says which metadata are whose: refused, in a line that names them."""
    for seed, name in enumerate("ab"):
        put_part(tmp_path, f"{name}_0", f"of_{name}_0", seed)
    with pytest.raises(InputError, match=r"a_0\.npy and b_0\.npy are all part 0, .*give both files of a part the same"):
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
    ("scale", "dtype"),
    [
        (1e25, np.float32),
        (1e-30, np.float32),
        (1e-42, np.float32),
        (1e100, np.float64),
        (1e-300, np.float64),
        (1e3, np.float16),
    ],
)
def test_finite_vectors_of_any_length(tmp_path, scale, dtype, recwarn):
    """Their squares may leave float32 or even the numbers float32 itself: they have a direction all the same."""
    source = part(tmp_path, 3)
    given = (vectors(3).astype(np.float64) * scale).astype(dtype)
    np.save(source.embeddings, given)
    store = import_embeddings([source], tmp_path / "store", SPEC)
    exact = given.astype(np.float64) / np.abs(given.astype(np.float64)).max(axis=1, keepdims=True)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert store.coverage.measured == 3
    np.testing.assert_allclose(store.embeddings(np.arange(3)), exact, atol=1e-3)
    assert not [warning for warning in recwarn if issubclass(warning.category, RuntimeWarning)]


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


def as_zip(path):
    with zipfile.ZipFile(path, "w") as archive:  # what torch.save makes is such a file
        archive.writestr("archive/data.pkl", b"x")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("v.npz", lambda path: np.savez(path, vectors(3))),
        ("v.pt", as_zip),
        ("v.npy", lambda path: path.write_bytes(b"")),
        ("v.npy", lambda path: path.write_bytes(b"\x93NUMPY")),
        ("v.npy", lambda path: path.write_bytes(b"\x93NUMPY\2\0v\0\0\0{'descr': (" + b" " * 110)),
        ("v.npy", os.mkfifo),
        ("v.npy", lambda path: np.save(path, vectors(0))),
    ],
)
def test_what_is_no_array_is_one_line(tmp_path, capsys, name, make):
    """An archive of arrays, a PyTorch file, an empty or a cut file, a pipe: exit code 2, and the file's name."""
    make(tmp_path / name)
    (tmp_path / "ids.txt").write_text("")
    options = ["--encoder", "mine", "--threshold", "0.9", "--out", str(tmp_path / "store")]
    assert run(["import", str(tmp_path / name), "--ids", str(tmp_path / "ids.txt"), *options]) == 2
    message = capsys.readouterr().err
    assert name in message
    assert message.count("\n") == 1
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet", "arrow"])
def test_ids_in_a_table(tmp_path, suffix):
    """A column says which are the ids, and captions and the rest come along; lines of a table are no ids."""
    rows = [{"SAMPLE": n, "Image_Id": f"i,{n}", "url": f"https://x/{n}", "caption": f"c{n}"} for n in range(3)]
    path = tmp_path / f"ids.{suffix}"
    write_rows(path, rows)
    np.save(tmp_path / "v.npy", vectors(3))
    columns = import_embeddings([Part(tmp_path / "v.npy", path)], tmp_path / "store", SPEC).all_columns()
    assert list(columns.image_id) == ["i,0", "i,1", "i,2"]
    assert list(columns.uri) == ["https://x/0", "https://x/1", "https://x/2"]
    assert list(columns.caption) == ["c0", "c1", "c2"]
    assert str(json.loads(columns.metadata[2])["SAMPLE"]) == "2"


def write_rows(path, rows):
    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    if separator:
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".arrow":
        table = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as stream:
            stream.write_table(table)
    else:
        lines = [json.dumps(row) for row in rows]
        path.write_text("\n".join(lines) if path.suffix == ".jsonl" else f"[{','.join(lines)}]")


def test_a_table_of_ids_without_ids(tmp_path):
    """The line names the columns that would do, and those that are there."""
    np.save(tmp_path / "v.npy", vectors(1))
    (tmp_path / "ids.csv").write_text("a.png\nb.png\n")
    with pytest.raises(InputError, match=r"ids .*ids\.csv: a row has none of image_id, .*; its columns are a\.png"):
        import_embeddings([Part(tmp_path / "v.npy", tmp_path / "ids.csv")], tmp_path / "store", SPEC)


def test_what_utf8_columns_cannot_hold_is_escaped(tmp_path):
    """NUL and halves of surrogate pairs in ids, captions and the rest, as `embed` escapes them; an id is one line."""
    rows = [
        {"image_id": "a\0b\nc", "caption": "x\0y", "path": "p\0q", "note": "z\0"},
        {"image_id": "\ud800", "caption": "\ud800"},
    ]
    write_rows(tmp_path / "ids.jsonl", rows)
    np.save(tmp_path / "v.npy", vectors(2))
    columns = import_embeddings(
        [Part(tmp_path / "v.npy", tmp_path / "ids.jsonl")], tmp_path / "store", SPEC
    ).all_columns()
    assert list(columns.image_id) == [r"a\0b\nc", r"\ud800"]
    assert list(columns.caption) == [r"x\0y", r"\ud800"]
    assert list(columns.uri) == [r"p\0q", ""]


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


def test_files_that_belong_to_nothing(tmp_path):
    """No embeddings, parts without a number, parts of two dimensions, names that cannot be read."""
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    with pytest.raises(InputError, match=r"holds no img_emb/\*.npy: give a .npy file with --ids"):
        clip_retrieval_parts(tmp_path)
    np.save(tmp_path / "img_emb" / "img_emb_new.npy", vectors(2))
    with pytest.raises(InputError, match="has no part number at the end of its name, such as img_emb_0"):
        clip_retrieval_parts(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    narrow = part(second, 2)
    np.save(narrow.embeddings, vectors(2)[:, :4])
    with pytest.raises(InputError, match="embeddings of different dimensions: 4, 8; import them apart"):
        dimension_of([part(first, 2), narrow])
    with pytest.raises(InputError, match="is 4-d, expected 8"):
        import_embeddings([part(first, 2), narrow], tmp_path / "store", SPEC)
    np.save(narrow.embeddings, vectors(2))
    with pytest.raises(InputError, match=r"ids .*names\.csv cannot be read: No such file"):
        import_embeddings([narrow._replace(ids=second / "names.csv")], tmp_path / "store", SPEC)
