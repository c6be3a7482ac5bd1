"""What reserves rights beside an image is noted however long the rest is; what nobody could read is noted as unread."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memaudit.images.image_ref import MOST_TEXT
from memaudit.images.opt_outs import MOST_JSON, OptOuts, opt_outs_of
from memaudit.images.sources import iter_images

LONG = "x" * (MOST_TEXT + 4000)


def beside(source: Path) -> list[OptOuts]:
    """As an embedding run finds them, of what the source says alone."""
    return [opt_outs_of(b"", ref.metadata, None) for ref in iter_images([source])]


def test_columns_are_read_before_long_ones_are_left_out(tmp_path: Path) -> None:
    rows = [{"path": "0.png", "x-robots-tag": "noai", "exif": LONG}, {"path": "1.png", "exif": LONG}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert beside(tmp_path / "list.jsonl") == [OptOuts(("noai",)), OptOuts(())]
    (ref, _) = iter_images([tmp_path / "list.jsonl"])
    assert json.loads(ref.metadata)["opt_out"] == ["noai"]
    assert len(ref.metadata) < 200


def test_a_column_that_a_table_cuts_is_not_taken_for_one_without(tmp_path: Path) -> None:
    table = pa.table({"path": ["0.png", "1.png"], "exif": [LONG + " noai", "noai"], "note": ["a", LONG]})
    pq.write_table(table, tmp_path / "list.parquet")
    assert beside(tmp_path / "list.parquet") == [OptOuts((), ("columns",)), OptOuts(("noai",))]


@pytest.mark.parametrize("where", ["folder", "tar"])
def test_json_beside_an_image_is_read_whatever_is_kept_of_it(where: str, tmp_path: Path) -> None:
    said = {
        "0": {"robots": "noai", "\ud800": 1},
        "1": {"tdm-reservation": 1, "exif": 5 * LONG},
        "2": {"exif": "x" * MOST_JSON},
        "3": {"n": 3},
    }
    files = {f"{key}.{ending}": data for key, value in said.items() for ending, data in _files(value).items()}
    if where == "tar":
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    else:
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
    assert beside(tmp_path / "a.tar" if where == "tar" else tmp_path) == [
        OptOuts(("noai",)),
        OptOuts(("tdm-reservation",)),
        OptOuts((), ("columns",)),
        OptOuts(()),
    ]


def _files(said: dict[str, object]) -> dict[str, bytes]:
    return {"png": b"\x89PNG\r\n\x1a\n", "json": json.dumps(said).encode()}


def test_a_table_that_was_exported_carries_them_on(tmp_path: Path) -> None:
    """In its column of metadata."""
    noted = [json.dumps({"x_robots_tag": "noimageai"}), json.dumps({"opt_out_not_read": ["columns", "c2pa"]})]
    pq.write_table(pa.table({"path": ["0.png", "1.png"], "metadata": noted}), tmp_path / "manifest.parquet")
    assert beside(tmp_path / "manifest.parquet") == [OptOuts(("noimageai",)), OptOuts((), ("columns",))]
