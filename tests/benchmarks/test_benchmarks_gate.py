"""Promises of benchmarks/gate.py, in one round."""

from __future__ import annotations

from pathlib import Path

import pytest
from written import rows_of

from benchmarks import gate
from benchmarks.runner import main


def test_both_reports_have_their_seconds_and_ratio(tmp_path: Path) -> None:
    """A clean audit and one with findings, beside the bare import of typer and rich."""
    assert main(["gate", "--rounds", "1", "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("gate-*.csv")
    rows = rows_of(table)
    assert [row["data"] for row in rows if row["measure"] == "start-up to verdict, s"] == [
        "clean audit",
        "12 findings, baseline",
    ]
    ratios = [float(row["median"]) for row in rows if row["measure"] == "ratio to import typer, rich"]
    assert len(ratios) == 2
    assert min(ratios) > 1


def test_a_failing_command_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another verdict than the reports were made for is no figure."""
    monkeypatch.setattr(gate, "report_of", lambda findings: {})
    assert main(["gate", "--rounds", "1", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("benchmarks gate: ")
    assert not list(tmp_path.iterdir())
