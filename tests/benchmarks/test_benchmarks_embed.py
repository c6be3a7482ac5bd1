"""Promises of benchmarks/embed.py, on a few drawn pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import draw
from written import rows_of

from benchmarks import embed, venvs
from benchmarks.runner import main


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with five drawn pictures in the place of the photographs."""
    folder = tmp_path / "cache/samples/images/photographs/drawn"
    folder.mkdir(parents=True)
    for seed in range(5):
        draw(seed, (64, 64)).save(folder / f"{seed}.jpg")
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def small() -> list[str]:
    return ["--encoder", "thumbnail", "--rounds", "1", "--memory", "3", "6"]


def test_throughput_and_memory_are_written_with_machine_and_versions(
    cache: Path, small: list[str], tmp_path: Path
) -> None:
    """Machine and versions, the ratio that is asked for on both image sets, and the growth in memory."""
    assert main(["embed", *small, "--out", str(tmp_path / "results")]) == 0
    (table,) = (tmp_path / "results").glob("embed-*.csv")
    rows = rows_of(table)
    assert all(row["cpu"] and row["cores"] and row["python"] and row["pillow"] for row in rows)
    ratios = {row["data"]: float(row["median"]) for row in rows if row["asked"] == ">= 0.90"}
    assert ratios.keys() == {"photographs, 512 px", "photographs, original size"}
    assert all(ratio > 0 for ratio in ratios.values())
    peaks = [float(row["median"]) for row in rows if row["measure"] == "embed command, peak MB"]
    (growth,) = (float(row["median"]) for row in rows if row["asked"] == "<= 100")
    assert growth == pytest.approx(peaks[1] - peaks[0], abs=0.2)


def test_another_encoder_is_not_compared_with_immaculate(tmp_path: Path) -> None:
    """The table says so in a line of its own."""
    (figure,) = embed.beside_immaculate([], "thumbnail", 1, tmp_path)
    assert figure.median is None
    assert "only sscd is compared" in figure.note


def test_immaculate_that_cannot_be_installed_is_a_line_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Python >= 3.12, or no network: the benchmark goes on."""
    monkeypatch.setattr(venvs, "python_for_immaculate", lambda: None)
    (figure,) = embed.beside_immaculate([], "sscd", 1, tmp_path)
    assert figure.note == "immaculate needs Python >= 3.12, none found"
    monkeypatch.setattr(venvs, "python_for_immaculate", lambda: str(tmp_path / "absent"))
    (figure,) = embed.beside_immaculate([], "sscd", 1, tmp_path)
    assert figure.note == "immaculate could not be installed (FileNotFoundError)"


def test_without_samples_it_says_what_to_run(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2."""
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path))
    assert main(["embed", *small, "--out", str(tmp_path / "results")]) == 2
    assert capsys.readouterr().err.endswith("run scripts/fetch_samples\n")


def test_small_images_are_all_different(cache: Path, tmp_path: Path) -> None:
    """Equal files would be embedded once."""
    embed.write_small_images(tmp_path / "small", 60)
    files = [path.read_bytes() for path in (tmp_path / "small").iterdir()]
    assert len(set(files)) == 60
