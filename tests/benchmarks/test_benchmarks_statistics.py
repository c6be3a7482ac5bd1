"""Promises of benchmarks/statistics, with few draws: a formula that drifts fails here."""

from __future__ import annotations

from pathlib import Path

import pytest
from written import rows_of

from benchmarks.runner import main
from benchmarks.statistics import LINES

DRAWS = {
    "controls": 40,
    "matched": 300,
    "nights": 40,
    "people": 80,
    "planted": 40,
    "rates": 40,
    "recalls": 60,
    "runs": 100,
    "sizes": 40,
    "strangers": 25,
    "weights": 60,
}
LEAST, MOST = 0.85, 0.15  # of few draws; the seeds are fixed


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted(LINES))
def test_intervals_hold_and_tests_accuse_nobody(line: str, tmp_path: Path) -> None:
    """Coverage of every world, its mean, and false alarms; what was computed before fails somewhere."""
    assert main(["statistics", "--draws", str(DRAWS[line]), "--lines", line, "--out", str(tmp_path)]) == 0
    (table,) = tmp_path.glob("statistics-*.csv")
    rows = rows_of(table)
    covered = [float(row["median"]) for row in rows if row["asked"].startswith(">=")]
    alarmed = [float(row["median"]) for row in rows if row["asked"].startswith("<=")]
    assert min(covered, default=1) >= LEAST
    assert not covered or sum(covered) / len(covered) >= 0.94
    assert max(alarmed, default=0) <= MOST
    assert not alarmed or sum(alarmed) / len(alarmed) <= 0.055
    power = [float(row["median"]) for row in rows if row["measure"].startswith("power on")]
    assert not power or min(power) > 0.5
    before = [float(row["median"]) for row in rows if row["measure"].endswith("before")]
    worse = [value < LEAST or MOST < value < 0.5 for value in before]
    assert any(worse) or not before
