"""What is beside a report is the report's: a flipped bit in a table, a list, a picture or the page is found."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import draw
from vectors import random_vectors, vector_store

import memaudit as ma
from memaudit.cli.app import run as call
from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of

TABLES = ("pairs.parquet", "groups.parquet", "decisions.parquet", "skew.parquet", "keep.txt", "drop.txt")


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
    for name in ("files", "stores"):
        del report[name], report["digests"][name]
    del report["digest"]
    (elsewhere / "report.json").write_text(json.dumps(report | {"digest": digest_of(report)}))
    return elsewhere


def test_a_run_and_what_is_beside_it_are_sound(run: Path) -> None:
    for path in (run, run / "report.json"):
        found = ma.verify(path)
        assert (found.outcome, found.faults, found.unchecked, found.notes) == ("sound", (), (), ())


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


def test_what_is_not_there_is_not_sound(run: Path, tmp_path: Path) -> None:
    """A report alone, sent by mail: each file and store that it names is said to be missing."""
    (tmp_path / "report.json").write_bytes((run / "report.json").read_bytes())
    found = ma.verify(tmp_path / "report.json")
    assert (found.sound, found.outcome, found.faults) == (False, "not checked whole", ())
    assert f"{tmp_path / 'drop.txt'} is not there: its digest is all that is known of it" in found.unchecked
    missing = {line.partition(" is not there")[0] for line in found.unchecked}
    assert missing == {*(str(tmp_path / name) for name in TABLES), str(tmp_path.parent / "store")}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_gone_is_not_sound(run: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    good = (run / name).read_bytes()
    (run / name).unlink()
    try:
        assert call(["verify", str(run)]) == 3
        out = capsys.readouterr().out
        assert out.startswith(f"{run} is not checked whole\nNot checked: {run / name} is not there")
    finally:
        (run / name).write_bytes(good)


def test_stores_that_the_report_names_are_checked(project: Path, tmp_path: Path) -> None:
    """Run and store moved together are found; a store that is gone, another one, or damaged is told apart."""
    moved = Path(shutil.copytree(project, tmp_path / "moved"))
    run, store = moved / "dedup", moved / "store"
    assert ma.verify(run).outcome == "sound"
    store.rename(moved / "elsewhere")
    gone = ma.verify(run)
    assert gone.unchecked == (f"{store} is not there: the store that the report is about cannot be checked",)
    vector_store(store, random_vectors(1, 14, 8))
    (fault,) = ma.verify(run).faults
    assert fault.startswith(f"{store} is another store than the report is about")
    shutil.rmtree(store)
    (moved / "elsewhere").rename(store)
    flipped(next(store.glob("*.h5")))
    assert ma.verify(run).outcome == "not sound"


def test_an_audit_names_every_store_that_it_read(tmp_path: Path) -> None:
    """Generations, controls, their views, and the training set with its tiles: those in the run, and beside it."""
    for folder, first in (("training", 0), ("generations", 100), ("held-out", 200)):
        (tmp_path / folder).mkdir()
        for number in range(3):
            draw(first + number).save(tmp_path / folder / f"{number}.png")
    store = ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail", tiles=True)
    ma.run_audit(tmp_path / "generations", store, out=tmp_path / "run", control=tmp_path / "held-out")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    own = {"generations", "generations-views", "control", "control-views", "planted", "planted-views"}
    assert set(report["stores"]) == {*own, "../store", "../store/tiles"}
    assert ma.verify(tmp_path / "run").outcome == "sound"
    for name in own:
        (tmp_path / "run" / name).rename(tmp_path / "aside")
        (missing,) = ma.verify(tmp_path / "run").unchecked
        assert missing.startswith(f"{tmp_path / 'run' / name} is not there")
        (tmp_path / "aside").rename(tmp_path / "run" / name)
    (tmp_path / "run" / "control").rename(tmp_path / "aside")
    shutil.copytree(tmp_path / "run" / "generations", tmp_path / "run" / "control")
    assert ma.verify(tmp_path / "run").outcome == "not sound"


def test_a_run_of_an_earlier_version_is_read_and_said_to_be_unbound(project: Path, run: Path, tmp_path: Path) -> None:
    old = as_of_0_2(run, tmp_path / "old")
    found = ma.verify(old)
    assert (found.outcome, found.faults) == ("not checked whole", ())
    assert len([line for line in found.unchecked if "is not bound" in line]) == 7
    assert f"{old} does not name the stores that were read" in found.unchecked[-2]
    assert ma.open_report(old).table("decisions").to_arrow().num_rows == 14
    assert len(ma.make_prompts(project / "store", strategy="mixed", dedup=old)) == 1
    (old / "groups.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="holds no groups"):
        ma.make_prompts(project / "store", strategy="mixed", dedup=old)
