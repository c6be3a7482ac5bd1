"""Promises of benchmarks/record.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from written import rows_of

from benchmarks.record import Figure, Recorder, rate


def test_runs_are_added_to_the_table(tmp_path: Path) -> None:
    """Earlier figures stay."""
    for value in (1.0, 2.0):
        recorder = Recorder.of("ours", tmp_path, {"numpy": "2"})
        recorder.add(Figure("drawn", 2, "ratio", value))
    assert [row["median"] for row in rows_of(recorder.path)] == ["1", "2"]
    assert recorder.path.name.startswith("ours-")


def test_a_column_that_only_earlier_runs_have_stays(tmp_path: Path) -> None:
    """Another version of a benchmark may write down another package."""
    for package in ("torch", "numpy"):
        recorder = Recorder.of("ours", tmp_path, {package: "2"})
        recorder.add(Figure("drawn", 2, "ratio", 1.0))
    assert [(row["torch"], row["numpy"]) for row in rows_of(recorder.path)] == [("2", ""), ("", "2")]


def test_a_rate_needs_something_to_find() -> None:
    """Families without a true pair count for nothing; without any there is no rate."""
    found = rate(np.array([1, 0, 0]), np.array([2, 2, 0]))
    assert found is not None
    assert found.value == 0.25
    assert found.low < 0.25 < found.high
    assert rate(np.zeros(3, np.int64), np.zeros(3, np.int64)) is None
