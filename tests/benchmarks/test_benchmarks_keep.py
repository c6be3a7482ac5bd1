"""The benchmark of keep rules makes families, and counts whose original stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import photograph
from PIL import Image

from benchmarks import keep
from benchmarks.alterations import Beside
from benchmarks.keep import CLIP_ART, COPIES, original_first, sources, write_family


def beside(folder: Path) -> Beside:
    sticker = folder / "emoji.png"
    Image.new("RGBA", (72, 72), "orange").save(sticker)
    return Beside([sticker], [])


def test_a_family_is_an_original_and_all_copies(tmp_path: Path) -> None:
    """A photograph's bytes are its own; whoever is alone with a plainly altered copy is preferred."""
    path = tmp_path / "sources" / "a.jpg"
    path.parent.mkdir()
    photograph(2).save(path, quality=90)
    family = write_family(path, tmp_path / "family", beside(tmp_path))
    assert list(family) == ["original", *COPIES]
    assert family["original"].read_bytes() == path.read_bytes()
    for name in ("bordered", "crop 0.7", "JPEG 25, then PNG", "grey"):
        assert original_first(family["original"], family[name])


def test_the_halves_share_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And both are what there is."""
    paths = [tmp_path / f"{i}.jpg" for i in range(40)]
    monkeypatch.setattr(keep, "sample_photographs", lambda: paths)
    monkeypatch.setattr(keep, "sample_emoji", lambda: tmp_path / "emoji")
    monkeypatch.setattr(keep, "cache_folder", lambda: tmp_path)
    clip_art = tmp_path / CLIP_ART
    clip_art.mkdir(parents=True)
    for number, size in enumerate([(63, 200), (64, 512), (70, 80), (200, 513)] * 5):
        Image.new("RGB", size).save(clip_art / f"{number}.png")
    wanted = {"photographs": 100, "emoji": 100, "clip-art": 100}
    halves = [sources(half, wanted) for half in ("fit", "report")]
    fit, report = (found["photographs"] for found in halves)
    assert sum(len(found["clip-art"]) for found in halves) == 10  # of fitting sizes
    assert fit
    assert report
    assert sorted([*fit, *report]) == sorted(paths)
