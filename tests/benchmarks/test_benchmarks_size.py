"""The benchmark of sizes: one order of files for all of them, one store that grows, and an exponent."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pictures import photograph

from benchmarks import size
from benchmarks.measure import BenchmarkError, Cost
from benchmarks.size import Deduped, Files, exponent


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Five pictures, one of them too small to be a source."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        photograph(number).resize((20, 20) if number == 2 else (160, 120)).save(path)
    monkeypatch.setattr(size, "sources", lambda: [(path.name, path) for path in paths])
    monkeypatch.setattr(size, "sample_emoji", lambda: folder)
    monkeypatch.setattr(size, "sample_photographs", lambda: paths)
    return paths


def test_a_smaller_set_is_the_beginning_of_a_larger_one(tmp_path: Path, pictures: list[Path]) -> None:
    """A picture and its copies, the same whenever they are written; too few is one line."""
    files = Files(tmp_path / "files", 2)
    six = files.first(6)
    bytes_of_six = [path.read_bytes() for path in six]
    assert [path.relative_to(tmp_path / "files").as_posix() for path in six[:4]] == [
        "000000/0.jpg",
        "000000/1.jpg",
        "000000/2.jpg",
        "000001/0.jpg",
    ]
    assert [path.read_bytes() for path in Files(tmp_path / "again", 2).first(9)[:6]] == bytes_of_six
    assert files.first(9)[:6] == six
    assert not any(path.parent.name == "000002" for path in files.first(12))
    with pytest.raises(BenchmarkError, match="5 pictures and 2 copies of each make 12 files, 13 are asked for"):
        files.first(13)


def test_figures_of_two_sizes(tmp_path: Path, pictures: list[Path]) -> None:
    options = argparse.Namespace(sizes=[12, 6], copies=2, encoder="thumbnail", dedup=["--match", "none"])
    figures = {(figure.count, figure.measure): figure for figure in size.figures(options, tmp_path)}
    for count in (6, 12):
        assert (figures[count, "dedup, CPU s"].median or 0) > 0
        assert figures[count, "pixels: checked"].median is None
    assert figures[12, "exponent, cpu_seconds"].asked == "<= 1.15"


def test_the_exponent_is_a_slope() -> None:
    runs = [Deduped(files, Cost(0, 3 * files**1.1, 0, ""), {}) for files in (10, 20, 40)]
    assert exponent(runs, "cpu_seconds") == pytest.approx(1.1)
