"""Results: what they show, and how they are written and read again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import memaudit as ma


@pytest.fixture
def store(folders: Path) -> ma.MadeStore:
    return ma.embed("training.csv", out="store", encoder="thumbnail")


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and "previous-runs" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_run_in_memory_writes_what_a_run_with_out_writes(store: ma.MadeStore, folders: Path) -> None:
    made = ma.run_dedup(store)
    written = made.write("written")
    assert ma.open_report("written") == made
    assert files_of(written).keys() == files_of(ma.run_dedup(store, out="dedup").folder).keys()
    assert written.joinpath("pairs.parquet").read_bytes() == (folders / "dedup" / "pairs.parquet").read_bytes()


def test_a_run_is_not_written_over_what_another_command_wrote(store: ma.MadeStore, folders: Path) -> None:
    ma.run_dedup(store, out="dedup")
    with pytest.raises(ma.errors.UsageError, match="choose another --out"):
        ma.run_audit("generations", store).write("dedup")


def test_a_copy_of_what_is_its_owners_is_its_owners(store: ma.MadeStore, folders: Path) -> None:
    """Also in a later process than the one that made it: the files tell, with their folders."""
    made = ma.run_dedup(store, out="dedup")
    plain = made.write("plain")
    for path in made.folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    copied = ma.open_report("dedup").write("copied")
    written = [copied, *copied.rglob("*")]
    assert [path for path in written if path.stat().st_mode & 0o077] == []
    assert any(path.parent.name == "thumbnails" for path in written)
    assert plain.joinpath("report.json").stat().st_mode & 0o044


def test_a_run_is_in_its_own_folder_already(store: ma.MadeStore, folders: Path) -> None:
    """Also behind a link: nothing is moved, and nothing is lost."""
    made = ma.run_dedup(store, out="dedup")
    Path("link").symlink_to("dedup")
    before = files_of(made.folder)
    assert [made.write(made.folder), made.write("link")] == [Path("dedup"), Path("link")]
    assert files_of(made.folder) == before
    assert not (folders / "dedup" / "previous-runs").exists()
    earlier = shutil.copytree("dedup", "dedup/previous-runs/2026-01-01T00-00-00Z")
    for place in (earlier, shutil.copytree("dedup", "dedup/previous-run", ignore=lambda *_: ["previous-runs"])):  # 0.2
        with pytest.raises(ma.errors.UsageError, match="was put aside in dedup, and may be dropped there"):
            ma.open_report(place).write("dedup")


def test_a_temporary_folder_is_gone_with_its_result(store: ma.MadeStore) -> None:
    """But not while somebody holds one of its tables."""
    made = ma.run_dedup(store)
    pairs, folder = made.pairs, made.folder
    del made
    assert len(pairs) == 1
    del pairs
    assert not folder.exists()


def test_nothing_is_printed(store: ma.MadeStore, capfd: pytest.CaptureFixture[str]) -> None:
    ma.run_audit("generations", store, match="none")
    assert capfd.readouterr() == ("", "")


def test_progress_is_a_callback(folders: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    ma.embed("training", "store", encoder="thumbnail", progress=lambda *step: seen.append(step))
    assert seen[-1][1] == 12


def test_an_inconclusive_run_says_why(store: ma.MadeStore, folders: Path) -> None:
    (folders / "generations" / "broken.png").write_bytes(b"none")
    audit = ma.run_audit("generations", store, out="audit")
    assert not audit.conclusive
    assert "only 5 of 6 generations could be measured" in audit.warnings[0]


def test_a_run_that_could_not_measure_leaves_a_report(store: ma.MadeStore, folders: Path) -> None:
    (folders / "empty").mkdir()
    with pytest.raises(ma.errors.InconclusiveError):
        ma.run_audit("empty", store, out="audit")
    audit = ma.open_report("audit")
    assert isinstance(audit, ma.AuditRun)
    assert (audit.conclusive, audit.rate, audit.results) == (False, None, None)
    assert "inconclusive" in audit._repr_html_()


def test_an_audit_in_a_notebook(store: ma.MadeStore) -> None:
    audit = ma.run_audit("generations", store)
    html = audit._repr_html_()
    for words in ("1 of 5 generations", "(1 of 5)", "95% interval", "5 of 5 images"):
        assert words in html
    assert "<script" not in html
    assert repr(audit).startswith("<AuditRun: 1 of 5 generations")


def test_a_caption_is_no_markup(folders: Path) -> None:
    (folders / "training.csv").write_text("path,caption\ntraining/0000.png,<script>alert(1)</script>\n")
    html = ma.make_prompts(ma.embed("training.csv", "store", encoder="thumbnail"))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_every_result_shows_itself(store: ma.MadeStore) -> None:
    audit, dedup = ma.run_audit("generations", store, out="audit"), ma.run_dedup(store, out="dedup")
    results = (
        *(
            store,
            audit,
            dedup,
            audit.matches,
            audit.findings,
            dedup.findings,
            dedup.decisions,
            ma.describe(store),
            ma.verify(store),
            ma.doctor(),
            ma.compare(audit, audit),
        ),
        *(ma.run_gate([audit, dedup]), ma.run_lookup("generations/copy.png", store), ma.make_prompts(store)),
    )
    for result in results:
        assert repr(result).startswith("<")
        assert result._repr_html_().startswith("<div>")
        assert ">nan<" not in result._repr_html_()


def test_a_finding_shows_its_pictures(store: ma.MadeStore, folders: Path) -> None:
    """Side by side; but no file that lies elsewhere, whatever the report says."""
    audit = ma.run_audit("generations", store)
    assert audit.findings._repr_html_().count("<img ") == 2
    elsewhere = [{**audit.findings.content[0], "query_picture": "../training/0000.png"}]
    assert replace(audit.findings, content=tuple(elsewhere), folder=folders / "held")._repr_html_().count("<img ") == 0


def test_no_findings_are_said(store: ma.MadeStore) -> None:
    assert "No findings" in ma.run_audit("generations", store, threshold=1.0, match="none").findings._repr_html_()


def test_what_did_not_pass_is_shown_first(store: ma.MadeStore) -> None:
    html = ma.run_gate(ma.run_audit("generations", store, out="audit"))._repr_html_()
    assert html.index("max_findings") < html.index("conclusive")


def test_what_is_opened_says_what_it_is(store: ma.MadeStore) -> None:
    assert repr(ma.open_store(store)) == "<Store store: 12 rows, thumbnail>"
    assert repr(ma.build_index(store, "index")) == "<Index index: 12 rows, flat>"


def test_tables_are_columns(store: ma.MadeStore) -> None:
    dedup = ma.run_dedup(store)
    assert dedup.pairs.columns[:3] == ("left_id", "right_id", "similarity")
    assert len(dedup.groups) == 2
    assert (dedup.keep + dedup.drop).__len__() == 12
    assert ma.run_audit("generations", store).findings.to_arrow().column("kind").to_pylist() == ["verbatim"]


def test_a_table_that_was_not_written_is_told(store: ma.MadeStore) -> None:
    """Faces of an audit that compared none, say: by every way to look at it."""
    table = ma.run_audit("generations", store).face_matches
    for look in (len, repr, ma.Table.to_arrow, lambda each: each.columns):
        with pytest.raises(
            ma.errors.InputError, match=r"face_matches\.parquet is not there: the run wrote no such table"
        ):
            look(table)
