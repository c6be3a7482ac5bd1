"""The dedup benchmark runs, on synthetic data and on a store, and its table says what was found."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from vectors import families, vector_store

pytest.importorskip("faiss")
SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_dedup.py"


def run(tmp_path: Path, *arguments: str | Path) -> list[dict[str, str]]:
    folders = ("--folder", tmp_path / "scratch", "--results", tmp_path / "results")
    subprocess.run([sys.executable, SCRIPT, *folders, *arguments], check=True, capture_output=True)
    (table,) = (tmp_path / "results").glob("bench_dedup-*.csv")
    with table.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_synthetic_data(tmp_path: Path) -> None:
    """Every contender has a time, a ratio to ours and a recall; a second run replaces its lines."""
    contenders = ["ours", "ivf-99.9", "flat", "openai-2022"]
    for _ in range(2):
        rows = run(tmp_path, "--rows", "3000", "--only", ",".join(contenders))
        assert [row["contender"] for row in rows] == contenders
    assert [float(row["ratio"]) > 0 for row in rows] == [True] * 4
    assert float(rows[0]["recall_pair"]) == 1
    assert 0 < float(rows[3]["recall_pair"]) <= 1


def test_a_store(tmp_path: Path) -> None:
    """Real images come as a store; few of them are compared exhaustively."""
    vectors = families(3, [1] * 900 + [2] * 100)
    store = vector_store(tmp_path / "mine", vectors, threshold=0.75)
    (row,) = run(tmp_path, "--store", store.folder, "--only", "ours")
    assert (row["data"], row["rows"], row["recall_image"]) == ("mine", "1100", "1.0")
    assert row["method"].startswith("every image compared with every other")
