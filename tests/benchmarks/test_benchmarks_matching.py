"""The benchmark of matching: its pictures are apart, and it measures both ways."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from pictures import photograph
from PIL import Image

from benchmarks import matching
from benchmarks.matching import figures, named


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fourteen photographs and six drawings, some of them transparent."""
    folder = tmp_path / "samples"
    (folder / "twemoji").mkdir(parents=True)
    for seed in range(14):
        photograph(seed).save(folder / f"{seed}.jpg")
    for seed in range(6):
        photograph(seed + 20, (72, 72)).convert("RGBA").save(folder / "twemoji" / f"{seed}.png")
    monkeypatch.setattr(matching, "sample_photographs", lambda: sorted(folder.glob("*.jpg")))
    monkeypatch.setattr(matching, "sample_emoji", lambda: folder / "twemoji")
    monkeypatch.setattr(matching, "ENCODER", "thumbnail")
    monkeypatch.setattr(matching, "TRAINING", 7)
    return folder


@pytest.mark.slow
def test_both_ways_are_measured(samples: Path, tmp_path: Path) -> None:
    """With the same verdicts; the copied generations are found."""
    work = tmp_path / "work"
    work.mkdir()
    found = list(figures(argparse.Namespace(images=8, generations=6, control=3), work))
    by_measure = {(figure.data, figure.measure): figure.median for figure in found}
    assert by_measure["dedup of 8 images", "same verdicts with features kept"] == 1
    assert by_measure["dedup of 8 images", "kept of an image, kB"] is not None
    audit = "audit of 6 generations and 3 held-out images"
    assert by_measure[audit, "generations with a match"] == 1
    assert by_measure[f"{audit}, features kept", "generations with a match"] == 1
    assert {figure.asked for figure in found} == {"", "<= 40", "<= 120"}


def test_names_are_told_apart_by_place() -> None:
    assert named([Path("a/x.png"), Path("b/x.jpg")]) == {"00000.png": Path("a/x.png"), "00001.jpg": Path("b/x.jpg")}


def test_what_is_given_back_has_no_transparency(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    with Image.open(matching._through_jpeg(tmp_path / "a.png", tmp_path / "made" / "0.jpg")) as made:
        assert made.convert("RGB").getpixel((5, 5)) == (255, 255, 255)
