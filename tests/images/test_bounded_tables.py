"""Tables that are small on the disk and large in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.errors import InputError
from memaudit.images.image_ref import MOST_TEXT, ImageRef
from memaudit.images.sources import iter_images

MEMORY = """
import resource, sys
from memaudit.images.sources import iter_images
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(1 for _ in iter_images([sys.argv[1]]))
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("column", ["caption", "notes"])
def test_a_small_table_of_huge_texts(tmp_path: Path, dictionary: bool, column: str) -> None:
    """3,000 captions of a megabyte in some kilobytes: read in little memory, a row each, and none of them kept."""
    path = tmp_path / "m.parquet"
    names = pa.array([f"{n}.png" for n in range(3000)])
    schema = pa.schema({"path": pa.string(), column: pa.string()})
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=dictionary, compression_level=19) as writer:
        for low in range(0, 3000, 100):
            writer.write_table(pa.table([names[low : low + 100], ["x" * 1_000_000] * 100], schema=schema))
    assert path.stat().st_size < 1 << 20
    done = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True)
    rows, megabytes = map(int, done.stdout.split())
    assert rows == 3000
    assert megabytes < 600
    ref = next(iter(iter_images([path])))
    assert ref.caption == ""
    left_out = "caption" if column == "caption" else "metadata"
    assert json.loads(ref.metadata) == {"left_out": [f"{left_out}: over the limit of 65,536 characters"]}


def test_more_rows_than_a_file_can_name(tmp_path: Path) -> None:
    """A hundred million rows of one name in a few kilobytes are refused before they are counted."""
    path = tmp_path / "m.parquet"
    column = pa.array(["a.png"] * 5_000_000)
    pq.write_table(pa.table({"path": column}), path, compression="zstd", row_group_size=5_000_000)
    with pytest.raises(InputError, match=r"5,000,000 rows in [0-9,]+ bytes: no list of images"):
        list(iter_images([path]))


def test_more_values_than_a_row_can_use(tmp_path: Path) -> None:
    """A list of ten million times nothing takes no place on the disk."""
    path = tmp_path / "m.parquet"
    lists = pa.ListArray.from_arrays([0, 10_000_000], pa.nulls(10_000_000, pa.int8()))
    pq.write_table(pa.table({"path": ["a.png"], "tags": lists}), path, compression="zstd")
    with pytest.raises(InputError, match="10,000,000 values in 1 rows of 'tags"):
        list(iter_images([path]))


def test_one_text_that_would_fill_the_memory(tmp_path: Path) -> None:
    """A caption of 300 MB in some kilobytes is refused unread."""
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table({"path": ["a.png"], "caption": ["x" * 300_000_000]}), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="bytes of text in 1 rows of 'caption': take it out"):
        list(iter_images([path]))


def test_what_is_left_out_is_said() -> None:
    """Whatever else the metadata hold stays, if they are not what is too long."""
    ref = ImageRef("a", "a", "x" * (MOST_TEXT + 1), '{"s": 1, "left_out": ["b"]}').bounded()
    assert ref.caption == ""
    assert json.loads(ref.metadata) == {"s": 1, "left_out": ["b", "caption: over the limit of 65,536 characters"]}
    whole = ImageRef("a", "a", "x" * MOST_TEXT, '{"s": 1}')
    assert whole.bounded() is whole


@pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_compressed_batches_of_arrow(tmp_path: Path, new: Callable[..., Any], compression: str | None) -> None:
    """Compressed ones are read; one that would fill the memory is refused before it is unpacked."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    schema = pa.schema({"path": pa.string(), "caption": pa.string(), "kind": pa.dictionary(pa.int32(), pa.string())})
    for name, size in {"small.arrow": 100, "large.arrow": 3_000_000}.items():
        with pa.OSFile(str(tmp_path / name), "wb") as file, new(file, schema, options=options) as writer:
            kinds = pa.array(["k"] * 100).dictionary_encode()
            columns = [[f"{n}.png" for n in range(100)], ["x" * size] * 100, kinds]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    assert [ref.caption for ref in iter_images([tmp_path / "small.arrow"])] == ["x" * 100] * 100
    if compression:
        with pytest.raises(InputError, match=r"large.arrow has 300,[0-9,]+ bytes in one batch"):
            list(iter_images([tmp_path / "large.arrow"]))
    else:
        assert len(list(iter_images([tmp_path / "large.arrow"]))) == 100
