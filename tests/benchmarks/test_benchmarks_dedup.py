"""The dedup benchmark runs, on synthetic data and on a store, and its table says what was found."""

from __future__ import annotations

from pathlib import Path

import pytest
from vectors import families, vector_store
from written import rows_of

from benchmarks.runner import main

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")


def run(tmp_path: Path, *arguments: str | Path) -> dict[str, dict[str, dict[str, str]]]:
    """The figures by data and measure."""
    options = ("--work", tmp_path / "work", "--out", tmp_path / "results", *arguments)
    assert main(["dedup", *map(str, options)]) == 0
    (table,) = (tmp_path / "results").glob("dedup-*.csv")
    figures: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows_of(table):
        figures.setdefault(row["data"], {})[row["measure"]] = row
    return figures


@pytest.mark.slow
def test_synthetic_data(tmp_path: Path) -> None:
    """Every contender has a time, a ratio to ours and a recall; a second run works with what the first has made."""
    contenders = ["ours", "ivf-99.9", "flat", "openai-2022", "inside-clusters"]
    for _ in range(2):
        figures = run(tmp_path, "--rows", "3000", "--only", *contenders)
    assert list(figures) == [f"synthetic, {name}" for name in contenders]
    ours, _, flat, openai, inside = figures.values()
    for measure in ("seconds", "CPU s", "seconds / ours", "CPU s / ours", "peak MB"):
        assert all(float(found[measure]["median"]) > 0 for found in figures.values())
    assert float(ours["recall by pair"]["median"]) == 1
    assert all(0 < float(found["recall by pair"]["median"]) <= 1 for found in (inside, openai))
    assert "recall by pair" not in flat


def test_a_store(tmp_path: Path) -> None:
    """Real images come as a store; few of them are compared exhaustively."""
    vectors = families(3, [1] * 900 + [2] * 100)
    store = vector_store(tmp_path / "mine", vectors, threshold=0.75)
    figures = run(tmp_path, "--store", store.folder, "--only", "ours")["mine, ours"]
    assert figures["seconds"]["count"] == "1100"
    assert figures["recall by image"]["median"] == "1"
    assert figures["seconds"]["note"].startswith("every image compared with every other")
