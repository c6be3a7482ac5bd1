"""Promises of `python -m benchmarks`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from written import rows_of

from benchmarks import runner
from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure
from benchmarks.runner import BENCHMARKS, Benchmark, load, main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark of one figure, after which it fails."""

    def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
        yield Figure("drawn", 2, "ratio", 1.0)
        raise BenchmarkError("no disk")

    monkeypatch.setattr(runner, "load", lambda name: Benchmark("", (), lambda parser: None, figures))


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_the_list_names_each_with_a_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name as well."""
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == list(BENCHMARKS)


# The experiment trains a model
MARKED = [pytest.param(name, marks=[pytest.mark.torch] * (name == "experiment")) for name in BENCHMARKS]


@pytest.mark.parametrize("name", MARKED)
def test_each_can_be_asked_for_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` says what is measured, and names --work and --out."""
    pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
    assert load(name).figures
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--work FOLDER" in said
    assert "--out FOLDER" in said


def test_every_module_with_a_benchmark_is_listed() -> None:
    """None is forgotten: what defines BENCHMARK has a line of its own."""
    found = {
        path.parent.name if path.name == "__init__.py" else path.stem
        for path in (ROOT / "benchmarks").rglob("*.py")
        if "\nBENCHMARK = " in path.read_text(encoding="utf-8")
    }
    assert found == set(BENCHMARKS)


def test_it_runs_as_a_module() -> None:
    """From the root of the repository."""
    command = [sys.executable, "-m", "benchmarks", "list"]
    assert "gate" in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are; exit code 2."""
    assert main(["speed"]) == 2
    assert capsys.readouterr().err.startswith("benchmarks speed: no such benchmark: expected one of audit, ")


def test_what_was_measured_before_an_error_is_written(
    cut_short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, and the figures so far in the table."""
    assert main(["gate", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "benchmarks gate: no disk\n"
    (table,) = tmp_path.iterdir()
    assert [row["measure"] for row in rows_of(table)] == ["ratio"]


def test_a_folder_that_exists_is_not_worked_in(
    cut_short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stores of another run would be taken for those of this one: one line and exit code 2."""
    assert main(["gate", "--work", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("exists: name a new folder\n")
    assert not list(tmp_path.iterdir())
