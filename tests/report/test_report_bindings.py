"""What is beside a report is the report's: a flipped bit in a table, a list, a picture or the page is found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from vectors import random_vectors, vector_store

import memaudit as ma
from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 14 images, four of which are another's, and a dedup run of it."""
    folder = tmp_path_factory.mktemp("project")
    vectors = random_vectors(0, 10, 8)
    store = vector_store(folder / "store", [*vectors, *vectors[:4]], captions=["a caption"] * 14)
    ma.run_dedup(store, out=folder / "dedup", match="none")
    return folder


@pytest.fixture
def run(project: Path) -> Path:
    return project / "dedup"


def flipped(path: Path, seed: int = 0) -> bytes:
    """Flip a bit, and return what was there."""
    good = path.read_bytes()
    place, bit = random.Random(seed).randrange(len(good)), 1 << random.Random(seed).randrange(8)
    path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
    return good


def as_of_0_2(run: Path, elsewhere: Path) -> Path:
    """The run as an earlier version wrote it: no digests of what is beside the report."""
    elsewhere.mkdir()
    for path in run.iterdir():
        if path.is_file():
            (elsewhere / path.name).write_bytes(path.read_bytes())
    page = (elsewhere / "report.html").read_text().splitlines()[:-1]
    (elsewhere / "report.html").write_text("\n".join(page))
    report = json.loads((run / "report.json").read_text())
    del report["files"], report["digests"]["files"], report["digest"]
    (elsewhere / "report.json").write_text(json.dumps(report | {"digest": digest_of(report)}))
    return elsewhere


def test_a_run_and_what_is_beside_it_are_sound(run: Path) -> None:
    for path in (run, run / "report.json"):
        found = ma.verify(path)
        assert (found.faults, found.notes) == ((), ())


@pytest.mark.parametrize(
    "name",
    ["pairs.parquet", "groups.parquet", "decisions.parquet", "skew.parquet", "keep.txt", "drop.txt", "report.html"],
)
def test_a_flipped_bit_beside_a_report_is_found(run: Path, name: str) -> None:
    """One line that names the file."""
    good = flipped(run / name)
    try:
        (fault,) = ma.verify(run).faults
        assert fault.startswith(f"{run / name} was changed after")
        assert "\n" not in fault
    finally:
        (run / name).write_bytes(good)


READERS: dict[str, list[Callable[[ma.DedupRun], object]]] = {
    "decisions.parquet": [
        lambda dedup: dedup.decisions.to_arrow(),
        lambda dedup: len(dedup.decisions),
        lambda dedup: dedup.keep,
    ],
    "groups.parquet": [
        lambda dedup: dedup.groups.columns,
        lambda dedup: ma.make_prompts(dedup.folder.parent / "store", strategy="mixed", dedup=dedup),
        lambda dedup: ma.make_prompts(dedup.folder.parent / "store", strategy="mixed", dedup=dedup.folder),
    ],
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_of_a_table_holds_it_against_the_report(run: Path, name: str) -> None:
    """An image_id with a flipped bit names an image that does not exist, a decision another fate."""
    good = flipped(run / name)
    try:
        dedup = ma.open_report(run)
        assert isinstance(dedup, ma.DedupRun)
        for read in READERS[name]:
            with pytest.raises(InconclusiveError, match=f"{name} was changed after its report was written"):
                read(dedup)
    finally:
        (run / name).write_bytes(good)


def test_a_table_of_another_run_is_not_taken(project: Path, run: Path, tmp_path: Path) -> None:
    """Sound in itself."""
    other = ma.run_dedup(project / "store", out=tmp_path / "other", match="none", threshold=0.1)
    good = (run / "groups.parquet").read_bytes()
    (run / "groups.parquet").write_bytes((other.folder / "groups.parquet").read_bytes())
    try:
        with pytest.raises(InconclusiveError, match=r"groups\.parquet was changed"):
            ma.make_prompts(project / "store", strategy="mixed", dedup=run)
    finally:
        (run / "groups.parquet").write_bytes(good)


def test_the_page_of_another_report_is_found(project: Path, run: Path, tmp_path: Path) -> None:
    other = ma.run_dedup(project / "store", out=tmp_path / "other", match="none", threshold=0.1)
    (other.folder / "report.html").write_bytes((run / "report.html").read_bytes())
    assert ma.verify(other.folder).faults == (f"{other.page} is the page of another report: run again",)


def test_what_is_not_there_is_a_note(run: Path, tmp_path: Path) -> None:
    """A report alone, sent by mail, is sound; its tables are not there to mislead anybody."""
    (tmp_path / "report.json").write_bytes((run / "report.json").read_bytes())
    found = ma.verify(tmp_path / "report.json")
    assert found.sound
    assert f"{tmp_path / 'drop.txt'} is not there: only its digest is known" in found.notes


def test_a_run_of_an_earlier_version_is_read_and_said_to_be_unbound(project: Path, run: Path, tmp_path: Path) -> None:
    old = as_of_0_2(run, tmp_path / "old")
    found = ma.verify(old)
    assert found.sound
    assert len([note for note in found.notes if "is not bound" in note]) == 7
    assert ma.open_report(old).table("decisions").to_arrow().num_rows == 14
    assert len(ma.make_prompts(project / "store", strategy="mixed", dedup=old)) == 1
    (old / "groups.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="holds no groups"):
        ma.make_prompts(project / "store", strategy="mixed", dedup=old)
