"""Tables with images inside, and manifests in other forms."""

import hashlib
import io
import json

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import draw

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
from memaudit.images.arrow_rows import plain_rows
from memaudit.images.image_ref import MOST_TEXT
from memaudit.images.sources import iter_images, read_image
from memaudit.types import Status


def jpg(seed: int) -> bytes:
    buffer = io.BytesIO()
    draw(seed).save(buffer, "JPEG")
    return buffer.getvalue()


def hugging_face(rows: int) -> pa.Table:
    """The `image` struct of Hugging Face datasets."""
    images = [{"bytes": jpg(i), "path": f"{i}.jpg"} for i in range(rows)]
    return pa.table({"image": images, "text": [f"picture {i}" for i in range(rows)], "score": list(range(rows))})


def img2dataset(rows: int) -> pa.Table:
    """img2dataset's Parquet output; a failed download is null."""
    images = [None if i == 1 else jpg(i) for i in range(rows)]
    return pa.table({"key": [f"{i:09d}" for i in range(rows)], "caption": ["x"] * rows, "jpg": images})


def test_the_image_struct_of_hugging_face(tmp_path):
    """Bytes come from the struct, captions from `text`, other columns are kept; ids name file and row."""
    pq.write_table(hugging_face(3), tmp_path / "train.parquet")
    refs = list(iter_images([tmp_path / "train.parquet"]))
    assert [ref.image_id for ref in refs] == ["train.parquet#0", "train.parquet#1", "train.parquet#2"]
    assert [ref.data for ref in refs] == [jpg(0), jpg(1), jpg(2)]
    assert refs[2].caption == "picture 2"
    assert json.loads(refs[2].metadata) == {"score": 2}
    assert read_image(refs[1].uri) == jpg(1)


def test_a_row_is_read_from_its_row_group(tmp_path, monkeypatch):
    """Any row of any group gives its own bytes, and no other group is read for it; a row too far is none."""
    table = hugging_face(11)
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for low, high in ((0, 3), (3, 4), (4, 4), (4, 11)):
            writer.write_table(table.slice(low, high - low), row_group_size=5)
    groups = pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups
    assert groups >= 4
    opened = []
    iter_batches = pq.ParquetFile.iter_batches

    def recorded(self, *arguments, **options):
        opened.append(options["row_groups"])
        return iter_batches(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", recorded)
    assert [read_image(f"{tmp_path}/t.parquet#row={row}") for row in range(11)] == [jpg(row) for row in range(11)]
    assert all(len(row_groups) == 1 for row_groups in opened)
    assert (opened[0], opened[10]) == ([0], [groups - 1])
    with pytest.raises(OSError, match="No such file"):
        read_image(f"{tmp_path}/t.parquet#row=11")


def test_a_row_of_an_arrow_file_with_many_batches(tmp_path):
    """Rows are counted over the batches, null cells included."""
    table = img2dataset(9)
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    images = [read_image(f"{tmp_path}/t.arrow#row={row}") for row in range(9)]
    assert images == [jpg(0), b"", *(jpg(row) for row in range(2, 9))]
    with pytest.raises(OSError, match="No such file"):
        read_image(f"{tmp_path}/t.arrow#row=9")


def test_img2dataset_keeps_its_keys_and_its_failures(tmp_path):
    """The key is the id; a failed download is an unreadable row, not a missing one."""
    pq.write_table(img2dataset(4), tmp_path / "00000.parquet")
    columns = embed([tmp_path / "00000.parquet"], tmp_path / "store", load_encoder("thumbnail")).all_columns()
    assert list(columns.image_id) == ["000000000", "000000001", "000000002", "000000003"]
    assert list(columns.status) == [Status.OK, Status.UNREADABLE, Status.OK, Status.OK]


def test_a_hugging_face_dataset_on_disk(tmp_path):
    """`save_to_disk` writes Arrow streams and state.json: listed files are read, caches are not."""
    folder = tmp_path / "set"
    folder.mkdir()
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name in [*names, "cache-1234.arrow"]:
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, hugging_face(2).schema) as writer:
            writer.write_table(hugging_face(2))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    refs = list(iter_images([folder]))
    assert [ref.image_id for ref in refs] == [f"{name}#{row}" for name in names for row in (0, 1)]
    assert [ref.data for ref in refs] == [jpg(0), jpg(1)] * 2
    assert read_image(refs[3].uri) == jpg(1)


def test_resume_of_a_table(tmp_path):
    """A finished store of a table is recognised: nothing is embedded again; a changed table is refused."""
    table = tmp_path / "t.parquet"
    pq.write_table(hugging_face(5), table)
    encoder, options = load_encoder("thumbnail"), EmbedOptions(shard_rows=2)
    first = embed([table], tmp_path / "store", encoder, options)
    assert embed([table], tmp_path / "store", encoder, options).digest == first.digest
    pq.write_table(hugging_face(5).slice(1).append_column("more", [[0] * 4]), table)
    with pytest.raises(InputError, match=r"made from another file than .t\.parquet#0. now is"):
        embed([table], tmp_path / "store", encoder, options)


def test_a_table_without_images_is_a_manifest_or_refused(tmp_path):
    """With a path column it lists images; without one the message names what was found."""
    (tmp_path / "a.jpg").write_bytes(jpg(1))
    pq.write_table(pa.table({"path": ["a.jpg"], "image_id": ["one"], "caption": ["disc"]}), tmp_path / "m.parquet")
    assert [(ref.image_id, ref.caption) for ref in iter_images([tmp_path / "m.parquet"])] == [("one", "disc")]
    pq.write_table(pa.table({"x": [1]}), tmp_path / "n.parquet")
    with pytest.raises(InputError, match=r"no image path; expected one of the columns path, .*found x"):
        list(iter_images([tmp_path / "n.parquet"]))


def test_a_text_list(tmp_path):
    """One path a line, relative to the list; empty lines are skipped."""
    (tmp_path / "a.jpg").write_bytes(jpg(1))
    (tmp_path / "list.txt").write_text("a.jpg\n\n./b.jpg\n")
    assert [ref.image_id for ref in iter_images([tmp_path / "list.txt"])] == ["a.jpg", "./b.jpg"]


def test_further_columns_of_a_manifest_are_kept(tmp_path):
    """Whatever a manifest says of an image comes back from the store."""
    (tmp_path / "a.jpg").write_bytes(jpg(1))
    (tmp_path / "m.csv").write_text("path,artist,year\na.jpg,Ada,1843\n")
    columns = embed([tmp_path / "m.csv"], tmp_path / "store", load_encoder("thumbnail")).all_columns()
    assert json.loads(columns.metadata[0]) == {"artist": "Ada", "year": "1843"}


def times() -> dict[str, pa.Array]:
    """Each kind that Python's own dates cannot hold, for two rows."""
    return {
        "timestamp[ns]": pa.array([1700000000123456789] * 2, pa.timestamp("ns")),
        "with a zone": pa.array([1700000000000000000] * 2, pa.timestamp("ns", "Europe/Berlin")),
        "duration": pa.array([123456789] * 2, pa.duration("ns")),
        "time64[ns]": pa.array([123456789] * 2, pa.time64("ns")),
        "year 20000": pa.array([568971820800000000] * 2, pa.timestamp("us")),
        "before year 1": pa.array([-800000] * 2, pa.date32()),
        "inside": pa.array([[{"at": 5}]] * 2, pa.list_(pa.struct([("at", pa.timestamp("ns"))]))),
        "dictionary": pa.array([7, 7], pa.timestamp("ns")).dictionary_encode(),
        "interval": pa.array([(1, 2, 3)] * 2, pa.month_day_nano_interval()),
    }


@pytest.mark.parametrize("form", ["parquet", "arrow"])
@pytest.mark.parametrize("kind", times())
def test_times_of_any_range_are_text(tmp_path, kind, form):
    """In a manifest and beside images inside; a table that has them is read, whatever its other columns are for."""
    column = times()[kind]
    if kind == "interval" and form == "parquet":
        pytest.skip("Parquet has no intervals")
    for name, columns in {"m": {"path": ["a.jpg", "b.jpg"]}, "t": {"jpg": [jpg(0), jpg(1)]}}.items():
        write(tmp_path / f"{name}.{form}", pa.table({**columns, "taken": column}))
        refs = list(iter_images([tmp_path / f"{name}.{form}"]))
        assert len(refs) == 2
        assert json.loads(refs[0].metadata)["taken"]
    if kind == "timestamp[ns]":
        assert json.loads(refs[0].metadata)["taken"] == "2023-11-14 22:13:20.123456789"
    if kind == "duration":
        assert json.loads(refs[0].metadata)["taken"] == "123456789 ns"


def write(path, table):
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def test_an_arrow_file_is_read_as_well_as_a_stream(tmp_path):
    """Arrow's file format, with images inside and as a manifest; any of its rows can be read again."""
    for name, table in {"t": hugging_face(20), "m": pa.table({"path": ["a.jpg"]})}.items():
        with pa.OSFile(str(tmp_path / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    refs = list(iter_images([tmp_path / "t.arrow"]))
    assert [ref.data for ref in refs] == [jpg(i) for i in range(20)]
    assert read_image(refs[17].uri) == jpg(17)
    assert [ref.image_id for ref in iter_images([tmp_path / "m.arrow"])] == ["a.jpg"]


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_no_batch_of_an_arrow_file_is_lost_to_a_look_at_its_columns(tmp_path, new):
    """Which column holds images is told from its first rows where the name does not say: all rows are read none the
    less, each by its number, here and at a URL."""
    table = pa.table({"note": ["fine"] * 12, "photo": [jpg(i) for i in range(12)], "more": ["x"] * 12})
    with pa.OSFile(str(tmp_path / "t.arrow"), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    with fsspec.open("memory://lost/t.arrow", "wb") as copy:
        copy.write((tmp_path / "t.arrow").read_bytes())
    for source in (tmp_path / "t.arrow", "memory://lost/t.arrow"):
        refs = list(iter_images([source]))
        assert [ref.image_id for ref in refs] == [f"t.arrow#{i}" for i in range(12)]
        assert [ref.data for ref in refs] == [jpg(i) for i in range(12)]
    assert read_image(f"{tmp_path}/t.arrow#row=7") == jpg(7)


def readable_columns() -> dict[str, dict[str, object]]:
    images = [jpg(0), jpg(1)]
    return {
        "views": {"image": pa.array(images, pa.binary_view())},
        "dictionary": {"image": pa.array(images).dictionary_encode()},
        "padded": {"image": pa.array([(data + bytes(9000))[:9000] for data in images], pa.binary(9000))},
        "one name unknown": {"content": images, "phash": [b"12345678"] * 2},
        "upper case": {"JPG": images, "mask": [b"x"] * 2},
        "a binary path beside": {"content": images, "path": [b"a", b"b"]},
    }


@pytest.mark.parametrize("kind", readable_columns())
def test_images_in_columns_of_any_kind(tmp_path, kind):
    """Bytes are found by the column's name or by what they begin with; each row is an image, and can be read again."""
    (tmp_path / "f").mkdir()
    pq.write_table(pa.table(readable_columns()[kind]), tmp_path / "f" / "t.parquet")
    refs = list(iter_images([tmp_path / "f"]))
    assert [ref.data[: len(jpg(i))] for i, ref in enumerate(refs)] == [jpg(0), jpg(1)]
    assert read_image(refs[1].uri) == refs[1].data


def unplaced_columns() -> dict[str, dict[str, object]]:
    images = [jpg(0), jpg(1)]
    structs = [{"bytes": data, "path": None} for data in images]
    return {
        "list of structs": {"images": [[one] for one in structs]},
        "list of bytes": {"images": [images, []]},
        "two columns": {"jpeg_0": images, "jpeg_1": images[::-1]},
        "within a struct": {"data": [{"image": one} for one in structs]},
    }


@pytest.mark.parametrize("kind", unplaced_columns())
def test_images_where_nobody_looks_are_named(tmp_path, kind):
    """Beside a folder of images such a table was passed over without a row and without a word."""
    (tmp_path / "x.jpg").write_bytes(jpg(9))
    pq.write_table(pa.table(unplaced_columns()[kind]), tmp_path / "t.parquet")
    with pytest.raises(
        InputError, match=r"table .*t\.parquet holds images that are not read, in .*: give it one image"
    ):
        list(iter_images([tmp_path]))


def test_a_table_of_hashes_beside_images_is_a_companion(tmp_path):
    """Bytes that are no images: nothing is said, and nothing is lost."""
    (tmp_path / "x.jpg").write_bytes(jpg(9))
    pq.write_table(
        pa.table({"path": ["x.jpg"], "phash": [b"12345678"], "dhash": [b"87654321"]}), tmp_path / "t.parquet"
    )
    assert [ref.image_id for ref in iter_images([tmp_path])] == ["x.jpg"]
    assert [ref.image_id for ref in iter_images([tmp_path / "t.parquet"])] == ["x.jpg"]


def test_images_by_their_path(tmp_path):
    """Hugging Face leaves {bytes: null, path: file}: they are read where they lie, beside the table or elsewhere."""
    (tmp_path / "0.jpg").write_bytes(jpg(0))
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": None, "path": str(tmp_path / "0.jpg")}, {"bytes": None, "path": "0.jpg"}, None]
    pq.write_table(
        pa.table({"image": pa.array([*cells, {"bytes": jpg(3), "path": "0.jpg"}], kind)}), tmp_path / "t.parquet"
    )
    refs = list(iter_images([tmp_path / "t.parquet"]))
    assert [read_image(ref.uri) for ref in refs] == [jpg(0), jpg(0), b"", jpg(3)]
    store = embed([tmp_path / "t.parquet"], tmp_path / "store", load_encoder("thumbnail"))
    assert list(store.all_columns().status) == [Status.OK, Status.OK, Status.UNREADABLE, Status.OK]


def test_binary_text_is_text(tmp_path):
    """Spark and Impala write text as bytes: path, id and caption are none the less what they are."""
    (tmp_path / "ä.jpg").write_bytes(jpg(1))
    columns = {"path": ["ä.jpg".encode()], "id": [b"one"], "caption": [b"a disc"], "note": [b"fine"]}
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    columns = embed([tmp_path / "m.parquet"], tmp_path / "store", load_encoder("thumbnail")).all_columns()
    assert (columns.image_id[0], columns.caption[0], columns.status[0]) == ("one", "a disc", Status.OK)
    assert json.loads(columns.metadata[0]) == {"note": "fine"}


def test_what_img2dataset_says_beside_the_image_is_kept(tmp_path):
    """url, a second caption, the file's name: what is not taken for id or caption is metadata."""
    table = {
        "jpg": [jpg(0)],
        "key": ["k0"],
        "url": ["https://x/u"],
        "caption": ["c"],
        "text": ["alt"],
        "filename": ["f.jpg"],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    (ref,) = iter_images([tmp_path / "t.parquet"])
    assert (ref.image_id, ref.caption) == ("k0", "c")
    assert json.loads(ref.metadata) == {"url": "https://x/u", "text": "alt", "filename": "f.jpg"}


def test_a_second_image_of_a_row_is_named_by_its_digest(tmp_path):
    """A mask, or a conditioning image: the metadata say that it is there without holding it."""
    pq.write_table(pa.table({"image": [jpg(0)], "mask": [jpg(1)]}), tmp_path / "t.parquet")
    (ref,) = iter_images([tmp_path / "t.parquet"])
    assert json.loads(ref.metadata)["mask"] == f"{len(jpg(1)):,} bytes, sha256 {hashlib.sha256(jpg(1)).hexdigest()}"


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("column", ["jpg", "caption"])
def test_offsets_that_lead_out_of_an_arrow_file(tmp_path, new, column):
    """Arrow does not look where damaged offsets lead: what is there would be read, or the process killed."""
    columns = {"jpg": [jpg(0), jpg(1)], "caption": ["a", "bc"]}
    path, batch = tmp_path / "t.arrow", pa.record_batch(columns)
    with pa.OSFile(str(path), "wb") as sink, new(sink, batch.schema) as writer:
        writer.write_batch(batch)
    ends = np.array([0, *np.cumsum([len(cell) for cell in columns[column]])], np.int32).tobytes()
    data = path.read_bytes()
    assert data.count(ends) == 1
    path.write_bytes(data.replace(ends, np.array([0, 1 << 30, 1 << 30], np.int32).tobytes()))
    with pytest.raises(InputError, match=r"table .*t\.arrow is damaged"):
        list(iter_images([tmp_path / "t.arrow"]))


def test_text_that_is_too_long_is_cut_before_it_is_a_value(tmp_path):
    """Of a dictionary, which is how Parquet's text is read, and of a plain column; what is short stays."""
    texts = pa.array(["short", "x" * (MOST_TEXT + 5), None])
    for column in (texts, texts.dictionary_encode()):
        (short, long, nothing) = plain_rows(pa.RecordBatch.from_arrays([column], ["text"]))
        assert (short["text"], nothing["text"]) == ("short", None)
        assert len(long["text"]) == MOST_TEXT + 1


def test_times_within_an_extension_type_are_text():
    """Arrow's own extension types may hold what Python's dates cannot."""

    class Taken(pa.ExtensionType):
        def __init__(self):
            super().__init__(pa.timestamp("ns"), "test.taken")

        def __arrow_ext_serialize__(self):
            return b""

        @classmethod
        def __arrow_ext_deserialize__(cls, storage, serialized):
            return cls()

    storage = pa.array([1_500_000_000_000_000_001], pa.timestamp("ns"))
    batch = pa.RecordBatch.from_arrays([pa.ExtensionArray.from_storage(Taken(), storage)], ["when"])
    assert str(plain_rows(batch)[0]["when"]).startswith("2017-07-14")
