"""The benchmark of exports: samples that are the same in every run, kills that count, differences that are seen."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pictures import photograph

from benchmarks import export, size


@pytest.fixture
def _pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        photograph(number).resize((160, 120)).save(path)
    monkeypatch.setattr(size, "sources", lambda: [(path.name, path) for path in paths])
    monkeypatch.setattr(size, "sample_emoji", lambda: folder)
    monkeypatch.setattr(size, "sample_photographs", lambda: paths)


@pytest.mark.slow
@pytest.mark.usefixtures("_pictures")
def test_an_export_that_was_killed_does_not_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EACH", 8)
    options = argparse.Namespace(samples=24, copies=3, encoder="thumbnail")
    figures = {(figure.data, figure.measure): figure for figure in export.figures(options, tmp_path)}
    kept = figures["tars", "samples kept"].median
    for to in export.TARGETS:
        assert figures[to, "files that differ from an undisturbed run's"].median == 0
    assert figures["tars", "samples that pyarrow reads"].median == kept
    assert figures["filter", "samples kept"].median == kept


def test_what_differs_is_seen(tmp_path: Path) -> None:
    """Another content, and a file that only one of them has."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("same")
        (tmp_path / name / "other").write_text(name)
    (tmp_path / "b" / "more").write_text("")
    assert export.differing(tmp_path / "a", tmp_path / "b") == {"other", "more"}
