"""The store: what was written is read back, and what is not whole says so instead of answering "clean"."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import as_of_0_2, edit_manifest

from memaudit.errors import InconclusiveError, InputError, MemauditError, UsageError
from memaudit.store import Columns, Row, Store, content_digest, require_same_encoder, verify_store, writing_store
from memaudit.types import EncoderSpec, Float32, Status

DIM = 24
SPEC = EncoderSpec("drawn", "ab" * 32, "none", DIM, 0.9)
STATUSES = (Status.OK, Status.OK, Status.BLANK, Status.OK, Status.UNREADABLE)


def unit_vectors(count: int, seed: int = 0) -> Float32:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def make_rows(count: int) -> list[Row]:
    """Rows with every kind of status and text."""
    rows = []
    for number, vector in enumerate(unit_vectors(count)):
        status = STATUSES[number % len(STATUSES)]
        rows.append(
            Row(
                image_id=f"ünï/{number}\n.png",
                uri=os.fsdecode(b"/data/\xff%d.png" % number),
                caption=f"picture {number}" if number % 3 else "",
                sha256=f"{number:064x}",
                width=number + 1,
                height=2 * number + 1,
                status=status,
                error="broken" if status is Status.UNREADABLE else "",
                embedding=vector if status is Status.OK else None,
            )
        )
    return rows


def write_store(folder: Path, rows: Sequence[Row], shard_rows: int = 7, spec: EncoderSpec = SPEC) -> Store:
    with writing_store(folder, spec, shard_rows, ["test"]) as writer:
        for low in range(0, len(rows), shard_rows):
            writer.write_shard(rows[low : low + shard_rows])
        writer.finish()
    return Store.open(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of 20 rows in shards of 7, 7 and 6."""
    return write_store(tmp_path / "store", make_rows(20)).folder


def edit_shard(folder: Path, change: Callable[[h5py.File], None]) -> None:
    """Change shard 1 and record its new size and sha256, as a faulty writer would have."""
    path = folder / "shard-00001.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    data = path.read_bytes()

    def record(manifest: dict[str, Any]) -> None:
        manifest["shards"][1] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit_manifest(folder, record)


def one_line(error: pytest.ExceptionInfo[MemauditError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


# --- what was written is read ---------------------------------------------------------------------------------------


def test_every_column_is_read_back(folder: Path) -> None:
    """Names, bytes of odd paths, captions, digests, sizes, status and errors come back as they were, in order."""
    store, rows = Store.open(folder), make_rows(20)
    columns = store.all_columns()
    assert len(store) == 20
    for name in columns._fields:
        np.testing.assert_array_equal(list(getattr(columns, name)), [getattr(row, name) for row in rows], name)


def test_embeddings_are_read_back_as_unit_vectors(folder: Path) -> None:
    """float16 on the disk costs less than 1e-3; the length is 1 to rounding; only OK rows are comparable."""
    store = Store.open(folder)
    blocks = list(store.blocks())
    rows = np.concatenate([block.rows for block in blocks])
    vectors = np.concatenate([block.embeddings for block in blocks])
    assert rows.tolist() == [n for n in range(20) if STATUSES[n % 5] is Status.OK]
    assert rows.tolist() == store.comparable_rows().tolist()
    assert store.comparable == len(rows)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert np.abs(vectors - unit_vectors(20)[rows]).max() < 1e-3


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_blocks_are_never_larger_than_asked(folder: Path, size: int) -> None:
    """Blocks bound the memory; together they are the comparable rows, whatever the size."""
    blocks = list(Store.open(folder).blocks(size))
    assert max(len(block.rows) for block in blocks) <= size
    assert all(len(block.rows) == len(block.embeddings) for block in blocks)
    assert np.concatenate([block.rows for block in blocks]).tolist() == Store.open(folder).comparable_rows().tolist()


@settings(max_examples=60, deadline=None)
@given(wanted=st.lists(st.integers(0, 2999), max_size=40))
def test_rows_are_gathered_in_any_order(wide: Store, wanted: list[int]) -> None:
    """Any order, repetitions, across shards and chunks: the same bits as in the blocks, and the right names."""
    rows = np.array(wanted, np.int64)
    every = np.concatenate([block.embeddings for block in wide.blocks(333)])
    assert (wide.embeddings(rows) == every[rows]).all()
    assert wide.columns(rows).image_id.tolist() == [f"{row:05d}" for row in wanted]
    some = wide.columns(rows, only=("image_id", "width"))
    assert (some.image_id.tolist(), some.width.tolist()) == ([f"{row:05d}" for row in wanted], [1] * len(wanted))
    assert len(some.caption) == len(some.sha256) == 0


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """3,000 comparable rows in shards of 1,400: chunks end inside them."""
    rows = [
        Row(f"{n:05d}", "", "", "0" * 64, 1, 1, Status.OK, "", vector) for n, vector in enumerate(unit_vectors(3000))
    ]
    return write_store(tmp_path_factory.mktemp("wide") / "store", rows, shard_rows=1400)


def test_no_row_is_no_result(folder: Path) -> None:
    """Asking for nothing is no error, and keeps shapes and types."""
    store, none = Store.open(folder), np.empty(0, np.int64)
    assert store.embeddings(none).shape == (0, DIM)
    assert len(store.columns(none).image_id) == 0
    assert store.columns(none).width.dtype == np.int64


@pytest.mark.parametrize("row", [-1, 20])
def test_rows_that_are_not_there_are_refused(folder: Path, row: int) -> None:
    """-1, which stands for "none" in results, is not the last row."""
    with pytest.raises(IndexError):
        Store.open(folder).embeddings(np.array([row]))
    with pytest.raises(IndexError):
        Store.open(folder).columns(np.array([row]))


@pytest.mark.parametrize("rows", [[True, False, True], [0.5], [[0, 1]], ["0"], None])
def test_what_is_no_position_is_refused(folder: Path, rows: object) -> None:
    """A mask, above all: read as positions it would give the second row again and again."""
    store = Store.open(folder)
    for read in (store.embeddings, store.stored_embeddings, store.columns):
        with pytest.raises(UsageError, match=r"rows are \S+ of shape .*: expected positions, whole numbers"):
            read(np.array(rows))


def test_coverage_counts_the_unreadable(folder: Path) -> None:
    """An unreadable image lacks; of a blank one nothing can be said, so it is out of scope."""
    coverage = Store.open(folder).coverage
    assert (coverage.measured, coverage.total) == (12, 16)


def test_nothing_but_blank_images(tmp_path: Path) -> None:
    """Nothing was asked for, nothing was measured."""
    rows = [replace(row, status=Status.BLANK, error="", embedding=None) for row in make_rows(3)]
    assert write_store(tmp_path / "store", rows).coverage.total == 0


def cut_rows(count: int) -> list[Row]:
    """Rows of which the unreadable ones are those of archives that end early."""
    rows = make_rows(count)
    return [replace(row, cut=bool(row.error)) for row in rows]


def test_rows_of_cut_archives_are_counted(folder: Path, tmp_path: Path) -> None:
    """Over all shards; other unreadable rows do not count."""
    assert Store.open(folder).cut == 0
    store = write_store(tmp_path / "cut", cut_rows(20))
    assert store.cut == 4
    assert [shard.cut for shard in store.manifest.shards] == [1, 1, 2]
    assert verify_store(store.folder) == []


def test_equal_content_has_an_equal_digest(tmp_path: Path) -> None:
    """The digest does not depend on the place or the time, but on every byte of content and on the encoder."""
    one, two = (write_store(tmp_path / name, make_rows(9)) for name in "ab")
    assert one.digest == two.digest
    changed = make_rows(9)[:-1] + make_rows(10)[-1:]
    assert write_store(tmp_path / "c", changed).digest != one.digest
    other = EncoderSpec("drawn", "cd" * 32, "none", DIM, 0.9)
    assert write_store(tmp_path / "d", make_rows(9), spec=other).digest != one.digest


def test_content_digest_keeps_names_apart() -> None:
    """No two lists of (image_id, sha256) share a digest by moving a border."""
    assert content_digest([("a", "b"), ("c", "d")]) != content_digest([("a", "bc"), ("", "d")])
    assert content_digest([("1:a", "b")]) != content_digest([("a", "b")])


# --- what is not whole ----------------------------------------------------------------------------------------------


def test_a_missing_shard(folder: Path) -> None:
    """The store does not open: its rows would pass for clean. verify names the shard and looks at the others."""
    (folder / "shard-00001.h5").unlink()
    with pytest.raises(InconclusiveError, match=r"shard-00001\.h5 is missing \(7 rows\): restore it") as caught:
        Store.open(folder)
    assert verify_store(folder) == [one_line(caught)]


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_shard(folder: Path, keep: int) -> None:
    """A cut shard is noticed when the store is opened."""
    path = folder / "shard-00002.h5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InconclusiveError, match=r"shard-00002\.h5 has \d+ bytes, expected \d+") as caught:
        Store.open(folder)
    assert verify_store(folder) == [one_line(caught)]


def test_a_flipped_bit_in_an_embedding_is_noticed_when_read(folder: Path) -> None:
    """Another similarity is never computed from a damaged row: reading it fails, and verify finds it."""
    path = folder / "shard-00000.h5"
    with h5py.File(path) as file:
        offset = file["embeddings"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 10] ^= 4
    path.write_bytes(data)
    store = Store.open(folder)
    with pytest.raises(InconclusiveError, match=r"shard-00000\.h5 was changed, or is another one") as caught:
        list(store.blocks())
    one_line(caught)
    with pytest.raises(InconclusiveError):
        store.embeddings(np.array([0]))
    (fault,) = verify_store(folder)
    assert "shard-00000.h5 was changed" in fault


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_anywhere(fuzzed: Path, data: st.DataObject) -> None:
    """Wherever a byte of a shard changes: reading gives the numbers that were written or an error of ours, verify
    always finds it."""
    path = fuzzed / "shard-00000.h5"
    good = path.read_bytes()
    where, value = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(1, 255))
    try:
        path.write_bytes(good[:where] + bytes([good[where] ^ value]) + good[where + 1 :])
        assert len(verify_store(fuzzed)) == 1
        outcome = numbers(fuzzed)
    finally:
        path.write_bytes(good)
    assert outcome in (numbers(fuzzed), "an error of ours")


def numbers(folder: Path) -> Any:
    try:
        store = Store.open(folder)
        columns = store.all_columns()
        return [
            [(block.rows.tolist(), block.embeddings.tolist()) for block in store.blocks()],
            [columns.sha256.tolist(), columns.status.tolist(), columns.width.tolist()],
        ]
    except (InconclusiveError, InputError):
        return "an error of ours"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("fuzzed") / "store", make_rows(6)).folder


def test_an_unfinished_store(tmp_path: Path) -> None:
    """What a killed run left does not open; the message says how to go on."""
    with writing_store(tmp_path / "store", SPEC, 7, ["test"]) as writer:
        writer.write_shard(make_rows(7))
    with pytest.raises(
        InconclusiveError, match=r"unfinished \(1 shards written\): run the same memaudit embed"
    ) as error:
        Store.open(tmp_path / "store")
    one_line(error)
    assert "unfinished" in verify_store(tmp_path / "store")[0]


def test_a_store_that_grows_is_unfinished(folder: Path) -> None:
    """A finished store to which a shard is added is unfinished until it is finished again."""
    with writing_store(folder, SPEC, 7, ["test"]) as writer:
        writer.write_shard(make_rows(7))
        with pytest.raises(InconclusiveError, match="unfinished"):
            Store.open(folder)
        writer.finish()
    assert len(Store.open(folder)) == 27


def test_another_schema(folder: Path) -> None:
    """A store of another version is named as such."""
    edit_manifest(folder, lambda manifest: manifest.update(schema="memaudit-store/99"))
    with pytest.raises(InputError, match=r"schema 'memaudit-store/99', this version reads 'memaudit-store/2'"):
        Store.open(folder)


def test_no_store(tmp_path: Path) -> None:
    """An empty folder, an absent one and a file are no stores."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(InputError, match=r"no embedding store.*memaudit embed"):
            Store.open(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["shards"].pop(),
        lambda m: m["shards"].clear(),
        lambda m: m["shards"].append(m["shards"][0]),
        lambda m: m["shards"][0].update(rows=3),
        lambda m: m["shards"][0].update(rows=-7),
        lambda m: m["shards"][0].update(rows="7"),
        lambda m: m["shards"][0].update(ok=10),
        lambda m: m["shards"][0].update(cut=-1),
        lambda m: m["shards"][0].update(cut=4),
        lambda m: m["shards"][0].update(cut=None),
        lambda m: m["shards"][0].pop("cut"),
        lambda m: m["shards"][0].update(bytes=None),
        lambda m: m["shards"][0].update(name="../shard-00000.h5"),
        lambda m: m["shards"][0].update(name=5),
        lambda m: m["shards"][0].update(extra=5),
        lambda m: m["shards"][0].pop("sha256"),
        lambda m: m.update(shards=None),
        lambda m: m.update(shards={}),
        lambda m: m.pop("encoder"),
        lambda m: m["encoder"].pop("weights_sha256"),
        lambda m: m["encoder"].update(dim="24"),
        lambda m: m["encoder"].update(name=None),
        lambda m: m["encoder"].update(threshold="high"),
        lambda m: m.update(encoder=[]),
        lambda m: m.update(complete="yes"),
        lambda m: m.update(sources="test"),
        lambda m: m.update(shard_rows=[7]),
        lambda m: m.update(views={"parent": "", "names": ["mirrored"], "scheme": 5}),
        lambda m: m.update(views={"parent": "", "names": ["mirrored"], "scheme": ""}),
        lambda m: m.update(rows=19),
    ],
)
def test_a_damaged_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rows that the manifest forgot would pass for clean: what does not fit together is refused in one line."""
    edit_manifest(folder, change)
    with pytest.raises(InputError, match=r"store\.json is damaged.*restore it or embed again") as caught:
        Store.open(folder)
    one_line(caught)


def test_a_manifest_that_forgot_a_shard(folder: Path) -> None:
    """Where the counts were changed as well, the file that nobody lists gives it away."""

    def forget(manifest: dict[str, Any]) -> None:
        last = manifest["shards"].pop()
        manifest["rows"] -= last["rows"]
        manifest["ok"] -= last["ok"]

    edit_manifest(folder, forget)
    assert verify_store(folder) == ["shard-00002.h5 is not listed in store.json"]


def test_a_manifest_that_says_fewer_rows(folder: Path) -> None:
    """A shard that holds more rows than it should is not read in part."""

    def shorten(manifest: dict[str, Any]) -> None:
        manifest["shards"][0]["rows"] -= 1
        manifest["rows"] -= 1

    edit_manifest(folder, shorten)
    with pytest.raises(InconclusiveError, match="does not hold 6 embeddings"):
        list(Store.open(folder).blocks())
    assert "does not hold 6 embeddings" in verify_store(folder)[0]


def test_a_shard_that_is_no_hdf5(folder: Path) -> None:
    """Garbage of the right size is an error in one line."""
    path = folder / "shard-00000.h5"
    path.write_bytes(os.urandom(path.stat().st_size))
    for read in (Store.comparable_rows, Store.all_columns, lambda store: list(store.blocks())):
        with pytest.raises(InconclusiveError, match=r"was changed, or is another one: its sha256 is") as caught:
            read(Store.open(folder))
        one_line(caught)


def test_a_sound_store_has_no_faults(folder: Path) -> None:
    """verify says nothing about a good store, whatever hidden files lie in it."""
    (folder / ".DS_Store").write_text("")
    assert verify_store(folder) == []


def replaced(name: str, row: int, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][row] = value

    return change


def test_verify_finds_a_row_of_nan(folder: Path) -> None:
    """NaN is similar to nothing: verify names the row, and reading refuses it."""
    edit_shard(folder, replaced("embeddings", 1, np.nan))
    assert verify_store(folder) == ["shard-00001.h5 row 1: embedding of length nan, expected 1"]
    with pytest.raises(InputError, match="NaN or of length 0: run memaudit verify"):
        list(Store.open(folder).blocks())
    with pytest.raises(InputError, match="NaN or of length 0"):
        Store.open(folder).embeddings(np.array([8]))


def test_verify_finds_a_row_of_zeros(folder: Path) -> None:
    """So is a row without direction."""
    edit_shard(folder, replaced("embeddings", 1, 0))
    assert verify_store(folder) == ["shard-00001.h5 row 1: embedding of length 0, expected 1"]
    with pytest.raises(InputError, match="NaN or of length 0"):
        list(Store.open(folder).blocks())


def test_verify_finds_a_row_that_is_not_of_unit_length(folder: Path) -> None:
    """A row of length 3 is named with its length."""
    edit_shard(folder, lambda file: file["embeddings"].write_direct(file["embeddings"][:] * 3))
    faults = verify_store(folder)
    assert len(faults) == Store.open(folder).manifest.shards[1].ok
    assert re.fullmatch(r"shard-00001\.h5 row 1: embedding of length (3|2\.99\d|3\.00\d), expected 1", faults[0])


def test_verify_finds_a_repeated_image_id(folder: Path) -> None:
    """Also across shards."""
    edit_shard(folder, replaced("image_id", 3, "ünï/0\n.png"))
    assert verify_store(folder) == ["shard-00001.h5: image_id 'ünï/0\\n.png' occurs twice"]


def test_verify_names_every_repeated_image_id_and_the_shard_of_it(folder: Path) -> None:
    """Not only the first; twice more is two lines."""

    def twice(file: h5py.File) -> None:
        file["image_id"][3] = file["image_id"][5] = "ünï/0\n.png"

    edit_shard(folder, twice)
    assert verify_store(folder) == ["shard-00001.h5: image_id 'ünï/0\\n.png' occurs twice"] * 2


def test_verify_keeps_8_bytes_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a block of 256 rows here, but no image_ids: of three times more images it takes little more."""
    monkeypatch.setattr("memaudit.store.verify.BLOCK_ROWS", 256)
    peaks = []
    for count in (2048, 8192):
        store = write_store(tmp_path / str(count), make_rows(count), shard_rows=256)
        tracemalloc.start()
        assert verify_store(store.folder) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 30 * (8192 - 2048)


def test_verify_finds_a_status_that_hides_a_row(folder: Path) -> None:
    """An image that became blank behind the manifest's back would not be compared any more."""
    edit_shard(folder, replaced("status", 1, 1))
    assert verify_store(folder) == ["shard-00001.h5: 3 rows are comparable, store.json says 4"]


def test_verify_finds_a_manifest_that_hides_a_cut_archive(tmp_path: Path) -> None:
    """store.json alone would make a store with lost images look whole."""
    store = write_store(tmp_path / "store", cut_rows(5))
    edit_manifest(store.folder, lambda manifest: manifest["shards"][0].update(cut=0))
    assert verify_store(store.folder) == ["shard-00000.h5: the archives of 1 rows end early, store.json says 0"]


@pytest.mark.parametrize("name", [name for name in Columns._fields if name != "cut"])
def test_verify_misses_no_column(folder: Path, name: str) -> None:
    """A shard that lacks a column is not sound: whoever needs the column could not read it."""
    edit_shard(folder, lambda file: file.__delitem__(name))
    (fault,) = verify_store(folder)
    assert "shard-00001.h5 cannot be read" in fault
    assert name in fault


def test_verify_finds_columns_of_another_length_or_type(folder: Path) -> None:
    """A column that is too short, and numbers in the place of text."""

    def shorten(file: h5py.File) -> None:
        kept = file["simplicity"][:-1]
        del file["simplicity"]
        file["simplicity"] = kept

    def number(file: h5py.File) -> None:
        del file["metadata"]
        file["metadata"] = np.zeros(7)

    edit_shard(folder, shorten)
    assert verify_store(folder) == ["shard-00001.h5: column simplicity has 6 rows"]
    edit_shard(folder, number)
    assert "shard-00001.h5 cannot be read" in verify_store(folder)[0]
    with pytest.raises(InconclusiveError, match="cannot be read"):
        Store.open(folder).all_columns()


def test_stores_of_different_encoders_are_not_compared(tmp_path: Path) -> None:
    """Another name, other weights, other preprocessing: each is another encoder; another default threshold is not."""
    store = write_store(tmp_path / "a", make_rows(2))
    variants = {
        "name": EncoderSpec("other", SPEC.weights_sha256, SPEC.preprocessing, DIM, 0.9),
        "weights": EncoderSpec(SPEC.name, "", SPEC.preprocessing, DIM, 0.9),
        "preprocessing": EncoderSpec(SPEC.name, SPEC.weights_sha256, "centre crop", DIM, 0.9),
    }
    for name, spec in variants.items():
        with pytest.raises(InconclusiveError, match="different encoders cannot be compared"):
            require_same_encoder(store, write_store(tmp_path / name, make_rows(2), spec=spec))
    same = EncoderSpec(SPEC.name, SPEC.weights_sha256, SPEC.preprocessing, DIM, 0.5)
    require_same_encoder(store, write_store(tmp_path / "same", make_rows(2), spec=same))


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """While one process writes a store, another gets a line, and the first is not disturbed."""
    code = (
        "import sys; from pathlib import Path; from memaudit.errors import InputError\n"
        "from memaudit.store import writing_store; from memaudit.types import EncoderSpec\n"
        "try:\n  with writing_store(Path(sys.argv[1]), EncoderSpec('drawn', 'ab' * 32, 'none', 24, 0.9), 7, []): pass\n"
        "except InputError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store")]
    with writing_store(tmp_path / "store", SPEC, 7, ["test"]) as writer:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "is being written by another process" in done.stdout
        assert done.stdout.count("\n") == 1
        writer.write_shard(make_rows(5))
        writer.finish()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    assert len(Store.open(tmp_path / "store")) == 5


def test_a_store_of_another_encoder_is_not_continued(folder: Path) -> None:
    """Rows of two encoders never share a store."""
    other = EncoderSpec("other", "", "none", DIM, 0.9)
    with pytest.raises(InputError, match="was begun with encoder drawn"), writing_store(folder, other, 7, []):
        pass
    otherwise = replace(SPEC, preprocessing="found in another way")
    with pytest.raises(InputError, match="another version of memaudit"), writing_store(folder, otherwise, 7, []):
        pass
    with pytest.raises(InputError, match="begun with --shard-rows 7, not 8"), writing_store(folder, SPEC, 8, []):
        pass
    assert verify_store(folder) == []


def test_a_folder_with_something_else_is_not_written_to(tmp_path: Path) -> None:
    """A mistyped --out does not mix a store into other files."""
    (tmp_path / "thesis.doc").write_text("")
    with pytest.raises(UsageError, match=r"not empty and holds no store \(found thesis\.doc\)"):
        write_store(tmp_path, make_rows(1))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".h5"] == []


def test_a_file_in_the_place_of_the_store(tmp_path: Path) -> None:
    """--out that names a file is an error of the operating system or ours, with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises((InputError, FileExistsError), match="file"):
        write_store(tmp_path / "file", make_rows(1))


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    """Temporary files and shards of ours go, by the names of 0.2 and of today; anybody else's files stay."""
    folder = tmp_path / "store"
    folder.mkdir()
    temporary = [".shard-00000.h5.123.tmp", ".store.json.9.tmp", ".store.json.0123456789abcdef.tmp"]
    others = ["my-shard-00000.h5", ".shard-notes", "shard-00007.h5.bak"]
    for name in temporary:
        (folder / name).write_text("garbage")
    with writing_store(folder, SPEC, 7, ["test"]) as writer:
        for name in ["shard-00007.h5", *others]:
            (folder / name).write_text("garbage")
        writer.write_shard(make_rows(3))
        writer.finish()
    assert sorted(os.listdir(folder)) == sorted([".lock", "shard-00000.h5", "store.json", *others])
    assert verify_store(folder) == []


def test_a_full_disk_leaves_no_half_shard(tmp_path: Path) -> None:
    """The error is one line, the interpreter lives (HDF5 itself would crash it), and the store can be continued."""
    code = (
        "import resource, sys; from test_store import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))\n"
        "try: write_store(Path(sys.argv[1]), make_rows(40), 20)\n"
        "except InputError as error: print(error)"
    )
    folder = tmp_path / "store"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"{folder / 'shard-00000.h5'} cannot be written: File too large\n"
    assert sorted(os.listdir(folder)) == [".lock", "store.json"]
    assert len(write_store(folder, make_rows(40), 20)) == 40


def shards_of(folder: Path) -> tuple[Path, Path]:
    return folder / "shard-00000.h5", folder / "shard-00001.h5"


def test_swapped_shards_are_refused_by_every_reader(folder: Path) -> None:
    """Each is sound, and of equal size: the answers would be about other images."""
    first, second = shards_of(folder)
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)
    readers: list[Callable[[Store], Any]] = [
        lambda store: list(store.blocks()),
        lambda store: list(store.stored_blocks(first_shard=1)),
        lambda store: store.embeddings(np.array([8])),
        lambda store: store.columns(np.array([0])),
        lambda store: list(store.iter_columns()),
        Store.all_columns,
        Store.comparable_rows,
        lambda store: store.coverage,
    ]
    for read in readers:
        with pytest.raises(InconclusiveError, match=r"shard-0000[01]\.h5 was changed, or is another one") as caught:
            read(Store.open(folder))
        one_line(caught)
    assert len(verify_store(folder)) == 2


def test_a_shard_that_changes_while_it_is_read(folder: Path) -> None:
    """What was read before the change is not taken for what the manifest lists."""
    store, (first, second) = Store.open(folder), shards_of(folder)
    blocks = store.stored_blocks(size=2)
    next(blocks)
    first.write_bytes(second.read_bytes())
    with pytest.raises(InconclusiveError, match="was changed, or is another one"):
        list(blocks)


def test_an_open_store_reads_what_it_opened_or_nothing(tmp_path: Path) -> None:
    """A store that is written anew gives names of shards to other images: an earlier reader takes none for his."""
    old = write_store(tmp_path / "store", make_rows(20))
    with writing_store(old.folder, SPEC, 7, ["test"]) as writer:
        writer.keep_shards(1)
        assert len(old.all_columns().image_id) == 20
        writer.write_shard(make_rows(21)[14:])
        writer.finish()
    assert len(old.columns(np.array([0])).image_id) == 1
    for rows, reason in ((np.array([8]), "was changed, or is another one"), (np.array([15]), "is missing")):
        with pytest.raises(InconclusiveError, match=reason):
            old.columns(rows)


def test_a_store_that_was_written_since_is_no_longer_current(tmp_path: Path) -> None:
    """Grown, written anew, begun again, cut, or gone."""
    store = write_store(tmp_path / "store", make_rows(14))
    store.require_current()
    with writing_store(store.folder, SPEC, 7, ["test"]) as writer:
        writer.write_shard(make_rows(21)[14:])
        with pytest.raises(InconclusiveError, match="was changed while it was read"):
            store.require_current()
        writer.finish()
    with pytest.raises(InconclusiveError, match="was changed while it was read"):
        store.require_current()
    grown = Store.open(store.folder)
    (store.folder / "store.json").unlink()
    with pytest.raises(InconclusiveError, match="was changed while it was read"):
        grown.require_current()


@pytest.mark.parametrize(
    "flip", [('"threshold": 0.9', '"threshold": 0.8'), ('"rows": 20', '"rows": 21'), ('"sources"', '"tources"')]
)
def test_a_flipped_bit_in_the_manifest(folder: Path, flip: tuple[str, str]) -> None:
    """A threshold of another value is as sound as the one that was measured: only a digest tells."""
    path = folder / "store.json"
    text = path.read_text()
    assert flip[0] in text
    path.write_text(text.replace(*flip))
    for check in (Store.open, verify_store):
        with pytest.raises(InconclusiveError, match=r"store\.json was changed after it was written") as caught:
            check(folder)
        one_line(caught)


def test_a_store_of_an_earlier_version_has_no_digest(folder: Path) -> None:
    """It is read, and continued with a manifest of this version."""
    as_of_0_2(folder)
    assert (len(Store.open(folder)), Store.open(folder).manifest.bound, verify_store(folder)) == (20, False, [])
    with writing_store(folder, SPEC, 7, ["test"]) as writer:
        writer.write_shard(make_rows(27)[20:])
        writer.finish()
    assert Store.open(folder).manifest.bound


@pytest.mark.parametrize("threshold", [9.95, -1.5, True, "0.9"])
def test_a_number_out_of_range_is_refused_of_earlier_versions(folder: Path, threshold: object) -> None:
    """Without a digest only what no version wrote is told."""
    as_of_0_2(folder, lambda manifest: manifest["encoder"].update(threshold=threshold))
    with pytest.raises(InputError, match="encoder threshold"):
        Store.open(folder)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"shard_rows": 0}, "shard_rows 0, expected 1"),
        ({"shard_rows": "7"}, "shard_rows 7, expected 1"),
        ({"sources": [7]}, "sources that are no text"),
        ({"views": {"parent": "", "names": []}}, "views without names"),
    ],
)
def test_a_manifest_that_no_version_wrote_is_refused(folder: Path, changed: dict[str, object], reason: str) -> None:
    """In one line that says what is wrong with it."""
    as_of_0_2(folder, lambda manifest: manifest.update(changed))
    with pytest.raises(InputError, match=reason) as caught:
        Store.open(folder)
    one_line(caught)


@pytest.mark.parametrize("where", ["external storage", "external link", "soft link", "virtual"])
def test_a_shard_whose_numbers_lie_elsewhere_is_refused(folder: Path, where: str) -> None:
    """A store from somebody else would have its reader print any of his files, as hashes or captions."""
    secret, rows = folder.parent / "secret", 7
    secret.write_bytes(b"TOPSECRET-" * 30)

    def change(file: h5py.File) -> None:
        kept = file["sha256"][:]
        del file["sha256"]
        if where == "external storage":
            file.create_dataset("sha256", shape=(rows, 32), dtype="u1", external=[(str(secret), 0, rows * 32)])
        elif where == "external link":
            file["sha256"] = h5py.ExternalLink(str(folder / "shard-00000.h5"), "/sha256")
        elif where == "soft link":
            file.create_group("aside").create_dataset("sha256", data=kept)
            file["sha256"] = h5py.SoftLink("/aside/sha256")
        else:
            layout = h5py.VirtualLayout(shape=(rows, 32), dtype="u1")
            layout[:] = h5py.VirtualSource(str(folder / "shard-00000.h5"), "sha256", shape=(rows, 32))
            file.create_virtual_dataset("sha256", layout)

    edit_shard(folder, change)
    with pytest.raises(
        InconclusiveError, match=r"(is a link or a folder, and no column|lies in another file)"
    ) as caught:
        Store.open(folder).all_columns()
    one_line(caught)
    assert len(verify_store(folder)) == 1


# --- a file system that grants no locks ------------------------------------------------------------------------------

_NO_LOCKS = """
import errno, fcntl, sys
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from memaudit.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def without_locks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _NO_LOCKS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_store_is_read_without_a_lock(folder: Path) -> None:
    """NFS without its lock service: what is sound is sound, and read where HDF5 would ask for a lock."""
    done = without_locks("verify", folder)
    assert (done.returncode, done.stderr) == (0, "")
    opened: list[dict[str, Any]] = []
    real = h5py.File

    def recorded(*arguments: Any, **options: Any) -> Any:
        opened.append(options)
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(h5py, "File", recorded)
        Store.open(folder).all_columns()
    assert opened
    assert all(options == {"locking": False} for options in opened)


def test_where_no_lock_is_granted_a_file_stands_for_it(tmp_path: Path) -> None:
    """It is written all the same, by one at a time: who is second is told whose the folder is, and the way out."""
    np.save(tmp_path / "v.npy", np.eye(3, 8, dtype=np.float32))
    (tmp_path / "ids.txt").write_text("a\nb\nc\n")
    options = ("--encoder", "mine", "--threshold", "0.9", "--out", tmp_path / "s")
    command = ("import", tmp_path / "v.npy", "--ids", tmp_path / "ids.txt", *options)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / ".lock-owner").write_text(f"{os.getpid()} {platform.node()}")
    done = without_locks(*command)
    assert done.returncode == 2
    assert "is being written by another process (process" in done.stderr
    assert f"if it is dead delete {tmp_path / 's' / '.lock-owner'}" in done.stderr
    (tmp_path / "s" / ".lock-owner").unlink()
    assert without_locks(*command).returncode == 0
    assert sorted(os.listdir(tmp_path / "s")) == [".lock", "shard-00000.h5", "store.json"]
