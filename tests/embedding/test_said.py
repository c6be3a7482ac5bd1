"""What sources say of images is taken over where it changed, without encoding anything, and said where it is not."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pictures import MakeFolder

from memaudit.embedding.opt_outs import opt_out_counts
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.said import Said, is_otherwise
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.images.passed_over import PassedOver
from memaudit.store import StoreWriter, verify_store
from memaudit.types import Float32

Write = Callable[[Path, dict[str, bytes], dict[str, dict[str, str]]], Path]


@dataclass(frozen=True)
class Counting(ThumbnailEncoder):
    """Counts the images it is given."""

    given: list[int] = field(default_factory=list)

    def encode(self, batch: NDArray[Any]) -> Float32:
        self.given.append(len(batch))
        return super().encode(batch)


def manifest(folder: Path, files: dict[str, bytes], said: dict[str, dict[str, str]]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with (folder / "list.csv").open("w", newline="") as lines:
        table = csv.DictWriter(lines, ["path", "caption", "x-robots-tag"])
        table.writeheader()
        table.writerows({"path": name, **said.get(name, {})} for name in files)
    return folder / "list.csv"


def beside(folder: Path, files: dict[str, bytes], said: dict[str, dict[str, str]]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
        (folder / f"{name}.json").write_text(json.dumps(said.get(name, {})))
        (folder / name).with_suffix(".caption").write_text(said.get(name, {}).get("caption", ""))
    return folder


def packed(folder: Path, files: dict[str, bytes], said: dict[str, dict[str, str]]) -> Path:
    """The images first, so that each stays where it is."""
    texts = {Path(name).with_suffix(".json").name: json.dumps(said.get(name, {})).encode() for name in files}
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name, data in (files | texts).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder / "a.tar"


def table(folder: Path, files: dict[str, bytes], said: dict[str, dict[str, str]]) -> Path:
    columns = {name: [said.get(each, {}).get(name, "") for each in files] for name in ("caption", "x-robots-tag")}
    pq.write_table(pa.table({"key": list(files), "jpg": list(files.values()), **columns}), folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.parametrize("write", [manifest, beside, packed, table])
@pytest.mark.parametrize("reuse", [True, False])
def test_what_is_said_otherwise_is_taken_over_when_asked_for(
    write: Write, reuse: bool, picture_folder: MakeFolder, tmp_path: Path
) -> None:
    """A caption and an opt-out that came, and one that went; the store is then that of the sources, bit by bit."""
    files = {path.name: path.read_bytes() for path in sorted(picture_folder(6, "drawn").iterdir())}
    files["0002.png"] = b"none"
    (tmp_path / "set").mkdir()
    passed, encoder = PassedOver(), Counting()
    options = EmbedOptions(shard_rows=4, workers=2, reuse=reuse, passed=passed)
    before = {"0001.png": {"caption": "a disc"}, "0005.png": {"x-robots-tag": "noai"}}
    source = write(tmp_path / "set", files, before)
    made = embed([source], tmp_path / "store", encoder, options)
    assert (opt_out_counts(made).images, len(passed.otherwise.names)) == (1, 0)
    now = {
        "0001.png": {"caption": "a ring"},
        "0002.png": {"x-robots-tag": "noai"},
        "0003.png": {"x-robots-tag": "noai"},
    }
    write(tmp_path / "set", files, now)
    del encoder.given[:]
    assert embed([source], made.folder, encoder, options).digest == made.digest
    assert passed.otherwise.number == 4
    assert passed.lines[-1].startswith(
        "captions, columns or opt-outs of the sources are others by now than in the store"
    )
    taken = embed([source], made.folder, encoder, options, replace_changed=True)
    assert (encoder.given, passed.otherwise_line) == ([], "")
    fresh = embed([source], tmp_path / "fresh", Counting(), options)
    assert taken.digest == fresh.digest != made.digest
    assert [list(column) for column in taken.all_columns()[:-2]] == [
        list(column) for column in fresh.all_columns()[:-2]
    ]
    assert opt_out_counts(taken) == opt_out_counts(fresh)
    assert verify_store(made.folder) == []
    assert embed([source], made.folder, encoder, options, replace_changed=True).digest == taken.digest
    assert encoder.given == []


def test_a_file_that_changed_too_is_embedded(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """From its shard on all is made anew; what stands before it is not."""
    files = {path.name: path.read_bytes() for path in sorted(picture_folder(6, "drawn").iterdir())}
    (tmp_path / "set").mkdir()
    options, encoder = EmbedOptions(shard_rows=2, workers=2, reuse=False), Counting()
    source = manifest(tmp_path / "set", files, {})
    made = embed([source], tmp_path / "store", encoder, options)
    files["0003.png"] = files["0004.png"]
    manifest(tmp_path / "set", files, {name: {"caption": "a disc"} for name in ("0001.png", "0003.png", "0005.png")})
    del encoder.given[:]
    taken = embed([source], made.folder, encoder, options, replace_changed=True)
    assert sum(encoder.given) == 4
    assert taken.digest == embed([source], tmp_path / "fresh", encoder, options).digest


def test_killed_while_it_takes_over_it_goes_on_with_the_next_shard(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image of each shard: no more than one shard is there twice, and none that was written is written again."""
    files = {path.name: path.read_bytes() for path in sorted(picture_folder(8, "drawn").iterdir())}
    (tmp_path / "set").mkdir()
    options = EmbedOptions(shard_rows=2, workers=2)
    source = manifest(tmp_path / "set", files, {})
    made = embed([source], tmp_path / "store", Counting(), options)
    manifest(tmp_path / "set", files, {name: {"caption": "a disc"} for name in list(files)[::2]})
    writing, written = StoreWriter._written_shard, list[int]()

    def killed_at(most: int) -> None:
        def shard(self: StoreWriter, *given: Any) -> Any:
            written.append(len(list(made.folder.glob("shard-*"))))
            if len(written) == most:
                raise KeyboardInterrupt
            return writing(self, *given)

        monkeypatch.setattr(StoreWriter, "_written_shard", shard)

    killed_at(3)
    with pytest.raises(KeyboardInterrupt):
        embed([source], made.folder, Counting(), options, replace_changed=True)
    killed_at(99)
    taken = embed([source], made.folder, Counting(), options, replace_changed=True)
    assert written == [4, 4, 4, 4, 4]
    assert taken.digest == embed([source], tmp_path / "fresh", Counting(), options).digest
    assert verify_store(made.folder) == []


NOTED = json.dumps({"a": 1, "opt_out": ["noai"]})


@pytest.mark.parametrize(
    ("source", "in_file", "stored", "otherwise"),
    [
        ("", {"noai"}, json.dumps({"opt_out": ["noai"]}), False),
        ("", set(), json.dumps({"opt_out": ["noai"]}), True),
        ("", {"c2pa"}, json.dumps({"opt_out": ["c2pa: c2pa.ai_training notAllowed"]}), False),
        ("", set(), json.dumps({"opt_out": ["c2pa: c2pa.ai_training notAllowed"]}), True),
        ("", set(), json.dumps({"opt_out_not_read": ["c2pa"]}), False),
        ("", set(), json.dumps({"opt_out_not_read": ["columns"]}), True),
        ('{"a": 1}', {"noai"}, NOTED, False),
        ('{"a": 2}', {"noai"}, NOTED, True),
        ('{"a": NaN}', set(), '{"a": NaN, "left_out": ["3 frames beyond the first"]}', False),
        ('{"robots": "noai"}', set(), '{"robots": "noai", "opt_out": ["noai"]}', False),
        ('{"opt_out": ["noai", "tdm-reservation"]}', set(), json.dumps({"opt_out": ["noai"]}), True),
        ('{"opt_out": ["%s"]}' % ("x" * 300), set(), json.dumps({"opt_out": ["x" * 200]}), False),
        (json.dumps({"opt_out": [f"{n}" for n in range(40)]}), set(), json.dumps({"opt_out": ["1"] * 32}), False),
    ],
)
def test_what_memaudit_notes_itself_is_no_difference(
    source: str, in_file: set[str], stored: str, otherwise: bool
) -> None:
    """Of files, and of what it left out: stores of other versions note other things of them."""
    said = Said("a disc", source, frozenset(in_file))
    assert is_otherwise(said, "a disc", stored, opt_outs=True) == otherwise
    assert is_otherwise(said._replace(caption="another"), "a disc", stored, opt_outs=True)


def test_a_store_that_did_not_look_for_opt_outs_is_not_told_of_them() -> None:
    assert not is_otherwise(Said("", '{"robots": "noai"}'), "", '{"robots": "noai"}', opt_outs=False)
    assert not is_otherwise(Said("", '{"robots":  "noai"}'), "", '{"robots": "noai"}', opt_outs=False)
