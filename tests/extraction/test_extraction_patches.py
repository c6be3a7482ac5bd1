"""Patched l2: exact, and blind to no corner."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from memaudit.extraction.patches import distance_of, image_of, patched_squares, squares_within, tiles_of


def noise(seed: int, size: tuple[int, int] = (512, 512)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def brute(left: Image.Image, right: Image.Image) -> float:
    """The formula, tile by tile, in float64."""
    a, b = (np.asarray(image, dtype=np.float64) / 255 for image in (left, right))
    squares = (a - b) ** 2
    return max(
        float(np.sqrt(squares[y : y + 128, x : x + 128].mean())) for y in range(0, 512, 128) for x in range(0, 512, 128)
    )


def test_distances_are_those_of_the_formula() -> None:
    """Extremes, noise, and images that differ by one step: all of it exact."""
    almost = np.asarray(noise(1)).copy()
    almost[300, 40, 1] ^= 1
    images = [
        noise(1),
        noise(2),
        Image.new("RGB", (512, 512)),
        Image.new("RGB", (512, 512), "white"),
        Image.fromarray(almost),
    ]
    distances = distance_of(patched_squares([tiles_of(image) for image in images]))
    for i, left in enumerate(images):
        for j, right in enumerate(images):
            assert distances[i, j] == pytest.approx(brute(left, right), abs=1e-12)
    assert distances[2, 3] == 1
    assert 0 < distances[0, 4] < 1e-4


def test_a_flat_ground_does_not_make_two_images_equal() -> None:
    """Why tiles: a small difference in one corner of a white page is one of a whole tile."""
    page = Image.new("RGB", (512, 512), "white")
    marked = page.copy()
    ImageDraw.Draw(marked).rectangle((390, 390, 500, 500), fill="black")
    squares = patched_squares([tiles_of(page), tiles_of(marked)])
    whole = float(np.sqrt(((np.asarray(page) / 255.0 - np.asarray(marked) / 255.0) ** 2).mean()))
    assert whole < 0.25
    assert distance_of(squares)[0, 1] > 0.8


def test_an_image_is_its_tiles_again() -> None:
    assert image_of(tiles_of(noise(1))) == noise(1)


def test_images_of_another_size_are_resized() -> None:
    """A generation of 1024 x 1024 is compared at 512, and is close to its own half."""
    small = noise(1, (64, 64)).resize((512, 512), Image.Resampling.BICUBIC)
    large = small.resize((1024, 1024), Image.Resampling.BICUBIC)
    assert distance_of(patched_squares([tiles_of(small), tiles_of(large)]))[0, 1] < 0.02


@pytest.mark.parametrize("distance", [0.15, 0.05, 1.0])
def test_the_threshold_in_squares_is_the_threshold(distance: float) -> None:
    """At or below is close, one unit more is not."""
    limit = squares_within(distance)
    assert distance_of(np.array([limit]))[0] <= distance + 1e-12
    assert distance_of(np.array([limit + 1]))[0] > distance
