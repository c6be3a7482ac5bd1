"""Several audits in a row, some of which could not measure what they set out to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Memaudit
from reports import Report, audit, sealed, write

from memaudit.report.inconclusive import write_inconclusive

KINDS = ["partial", "re-drawn"]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The report of an audit of 100 generations, of which six gave a training image back."""
    return write(tmp_path / "runs" / "earlier.json", audit(100, range(6), days_old=9))


def later(tmp_path: Path, report: Report) -> Path:
    return write(tmp_path / "runs" / "later.json", report)


def test_where_nothing_could_be_read_nothing_is_gone(memaudit: Memaudit, tmp_path: Path, earlier: Path) -> None:
    """No difference is told, the reason is, and the exit code is 3: by history as by compare."""
    silent = later(tmp_path, audit(0, total=1, conclusive=False))
    page = tmp_path / "h.html"
    called = memaudit("history", earlier, silent, "--out", page)
    assert called.code == 3
    assert "no difference can be told" in called.out
    assert "Gone" not in called.out
    assert "calls itself inconclusive: a shard was missing" in called.out
    assert "a shard was missing" in page.read_text()
    assert json.loads(memaudit("compare", earlier, silent, "--json").out)["difference"] is None
    called = memaudit("compare", earlier, silent)
    assert (called.code, "Difference B - A: not measured" in called.out) == (3, True)


def test_what_counted_other_kinds_is_no_progress(memaudit: Memaudit, tmp_path: Path, earlier: Path) -> None:
    other = later(tmp_path, audit(100, counted_kinds=KINDS))
    memaudit("compare", earlier, other).failed(3, "they counted different kinds of matches")
    called = memaudit("history", earlier, other, "--out", tmp_path / "h.html")
    assert (called.code, "they counted different kinds" in called.out) == (3, True)


def test_an_audit_that_measured_nothing_keeps_its_place(memaudit: Memaudit, tmp_path: Path, earlier: Path) -> None:
    """In a folder it was passed over: the release before the last stood there as the newest."""
    write_inconclusive("audit", "no generation is there", tmp_path / "runs" / "failed")
    called = memaudit("history", tmp_path / "runs", "--out", tmp_path / "h.html", "--json")
    assert called.code == 3
    assert [(each["value"], each["conclusive"]) for each in called.json["audits"]] == [(0.06, True), (None, False)]
    assert called.json["unit"] == "prompts"
    assert "the later audit measured nothing" in called.json["since"]["why"]
    assert "not measured" in memaudit("history", tmp_path / "runs", "--out", tmp_path / "h.html").out


def test_an_audit_of_faces_that_measured_nothing_does_not_name_the_rates_of_others(
    memaudit: Memaudit, tmp_path: Path, earlier: Path
) -> None:
    """What rates are of is told by the audits that have one; where none has, by all."""
    failed = write_inconclusive("audit", "no face is there", tmp_path / "failed").content
    of_faces = later(tmp_path, sealed({**failed, "results": {**failed["results"], "about": "faces"}}))
    called = memaudit("history", earlier, of_faces, "--out", tmp_path / "h.html", "--json")
    assert called.json["unit"] == "prompts"
    assert [each["measured"] for each in called.json["audits"]] == [100, 0]
    assert memaudit("history", of_faces, "--out", tmp_path / "f.html", "--json").json["unit"] == "faces"
