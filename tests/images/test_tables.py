"""Tables with images inside, and manifests in other forms."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import draw

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
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
