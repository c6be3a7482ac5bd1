"""Promises of benchmarks/importing.py, on a few thousand rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import rows_of

from benchmarks import importing
from benchmarks.runner import main


def test_every_step_has_its_ratio_and_peak(tmp_path: Path) -> None:
    """Import, verify and reading: seconds, ratio to np.load and a copy, peak memory, for each dtype."""
    arguments = [
        "--rows",
        "3000",
        "--rounds",
        "1",
        "--work",
        str(tmp_path / "work"),
        "--out",
        str(tmp_path / "results"),
    ]
    assert main(["importing", *arguments]) == 0
    (table,) = (tmp_path / "results").glob("importing-*.csv")
    rows = rows_of(table)
    assert {row["data"] for row in rows} == {"512-d float32", "512-d float16"}
    for step in ("import", "verify", "reading all blocks"):
        for measure in (f"{step}, s", f"{step} / np.load and copy", f"{step}, peak MB"):
            assert sum(row["measure"] == measure and float(row["median"]) > 0 for row in rows) == 2
    assert sum(row["asked"] == "<= 1000" for row in rows) == 4


def test_the_input_is_unit_vectors_and_one_id_a_row(tmp_path: Path) -> None:
    """More rows than one block, none left empty."""
    vectors, ids = importing.write_input(tmp_path, importing.BLOCK + 1, "float16")
    lengths = np.linalg.norm(np.load(vectors).astype(np.float32), axis=1)
    assert np.allclose(lengths, 1, atol=1e-2)
    assert len(set(ids.read_text().splitlines())) == len(lengths) == importing.BLOCK + 1


def test_a_failing_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written; exit code 2."""
    assert main(["importing", "--rows", "0", "--out", str(tmp_path / "results")]) == 2
    assert capsys.readouterr().err.startswith("benchmarks importing: ")
    assert not (tmp_path / "results").exists()
