"""Promises of benchmarks/faces.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from face_stores import needs_photographs, sample_folder
from written import rows_of

from benchmarks.runner import main


@needs_photographs
def test_ratios_are_written_with_machine_and_versions(tmp_path: Path) -> None:
    """The ratio that is asked for, and pairs/s of the join."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one/t1.jpg").write_bytes((sample_folder() / "t1.jpg").read_bytes())
    arguments = [str(tmp_path / "one"), "--rounds", "1", "--rows", "300", "--out", str(tmp_path / "results")]
    assert main(["faces", *arguments]) == 0
    (table,) = (tmp_path / "results").glob("faces-*.csv")
    rows = {row["measure"]: row for row in rows_of(table)}
    assert rows["memaudit faces / bare loop"]["asked"] == ">= 1.0"
    assert "6 faces (6 by memaudit)" in rows["memaudit faces / bare loop"]["data"]
    assert float(rows["join, pairs/s"]["median"]) > 0
    assert rows["join, pairs/s"]["opencv-python-headless"].startswith("4.")


def test_without_photographs_it_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2."""
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path))
    assert main(["faces", "--out", str(tmp_path / "results")]) == 2
    assert capsys.readouterr().err.endswith("run scripts/fetch_faces\n")
