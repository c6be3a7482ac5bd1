"""The benchmark of executors at its smallest: real processes, real files, pixels and clusters."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest
from pictures import photograph

from benchmarks import executors, size, unruly
from benchmarks.record import Figure


@pytest.fixture
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        photograph(number).resize((160, 120)).save(path)
    monkeypatch.setattr(size, "sources", lambda: [(path.name, path) for path in paths])
    monkeypatch.setattr(size, "sample_emoji", lambda: folder)
    monkeypatch.setattr(size, "sample_photographs", lambda: paths)


@pytest.mark.slow
@pytest.mark.usefixtures("_pictures")
def test_tasks_in_shuffled_order_decide_what_one_process_decides(tmp_path: Path) -> None:
    way = "local:2, tasks shuffled"
    options = argparse.Namespace(rows=600, pictures=9, copies=2, clusters=3, ways=[way])
    figures = list(executors.figures(options, tmp_path / "work"))
    found = {(figure.data, figure.measure): figure.median for figure in figures}
    assert found[executors.ALONE, "pairs compared on pixels"] == 9
    assert found[way, "files that differ from one process's"] == 0
    assert executors.table_of(figures)[-1].startswith(f"| {way} | ")


def test_a_way_that_failed_leaves_its_cells_empty() -> None:
    figures = [Figure("a", 1, "seconds", 2.0), Figure("a", 1, "CPU s", 3.0), Figure("b", 1, "seconds", None, note="x")]
    assert executors.table_of(figures)[2:] == ["| a | 2 | 3 |", "| b |  |  |"]


def test_the_stand_in_for_slurm_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    unruly.with_stand_in(tmp_path / "bin")
    compile((tmp_path / "bin" / "sbatch").read_text(), "sbatch", "exec")
    assert shutil.which("sbatch") == str(tmp_path / "bin" / "sbatch")
