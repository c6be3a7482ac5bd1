"""Measures taken while the pixels are there, and JPEGs decoded at a reduced scale."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from memaudit.encoders import load_encoder
from memaudit.images.decode import decode
from memaudit.images.measures import simplicity


def photograph(seed: int, size: tuple[int, int]) -> Image.Image:
    """Smooth colours with grain: many colours, no flat area."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 6, (size[1], size[0], 1))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def drawing(size: int) -> Image.Image:
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).ellipse((size // 5, size // 5, size * 4 // 5, size * 4 // 5), "orange", "black", size // 40)
    return image


def test_simplicity_tells_graphics_from_photographs():
    """A drawing of three colours scores near 1, a photograph far below; size and blur change little."""
    assert simplicity(drawing(400)) > 0.95
    assert abs(simplicity(drawing(100)) - simplicity(drawing(800))) < 0.1
    assert simplicity(drawing(400).filter(ImageFilter.GaussianBlur(2))) > 0.8
    assert max(simplicity(photograph(seed, (400, 300))) for seed in range(5)) < 0.3


def test_simplicity_of_extremes():
    """One colour is 1; a single pixel too."""
    assert simplicity(Image.new("RGB", (50, 50), "red")) == 1
    assert simplicity(Image.new("RGB", (1, 1), "red")) == 1


@pytest.mark.parametrize(("width", "height"), [(2400, 1600), (4000, 700), (719, 721), (720, 730), (599, 601)])
def test_a_large_jpeg_is_decoded_at_a_reduced_scale(width, height):
    """Never below 5/4 of the encoder's side; the embedding is nearly the one of all pixels."""
    buffer = io.BytesIO()
    photograph(1, (width, height)).save(buffer, "JPEG", quality=90)
    encoder = load_encoder("thumbnail")
    whole, reduced = decode(buffer.getvalue()), decode(buffer.getvalue(), side=288)
    assert (reduced.width, reduced.height) == (width, height)
    assert min(reduced.image.size) >= min(360, width, height)
    assert (reduced.image.width < width) == (min(width, height) >= 2 * 360)
    vectors = [encoder.encode(encoder.preprocess(decoded.image)[None]) for decoded in (whole, reduced)]
    assert float((vectors[0] * vectors[1]).sum()) > 0.999


@pytest.mark.parametrize("size", [(1000, 3), (3, 1000), (40_000, 2), (129, 128), (1, 5000)])
def test_simplicity_of_odd_shapes(size):
    """However long and thin, some pixels are looked at."""
    assert simplicity(Image.new("RGB", size, "red")) == 1
