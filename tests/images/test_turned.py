"""A picture that was turned on a plain ground is found there, and nothing else is taken for one."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photograph
from PIL import Image, ImageDraw, ImageOps

from memaudit.images.turned import turned_on_ground

PICTURES = [photograph(seed, (240, 180)) for seed in range(4)]
Colour = tuple[int, int, int]


def turn(image: Image.Image, angle: float, ground: Colour, *, whole: bool = True) -> np.ndarray:
    return np.asarray(image.rotate(angle, Image.Resampling.BICUBIC, expand=whole, fillcolor=ground))


@settings(max_examples=30)
@given(
    picture=st.sampled_from(PICTURES),
    angle=st.floats(4, 43),
    is_left=st.booleans(),
    ground=st.sampled_from([(0, 0, 0), (255, 255, 255), (200, 30, 60)]),
)
def test_turn_and_size_are_found(picture: Image.Image, angle: float, is_left: bool, ground: Colour) -> None:
    """Within two degrees, and its pixels within three hundredths, where nothing was cut off."""
    pixels = turn(picture, angle if is_left else -angle, ground)
    found = turned_on_ground(pixels, 12)
    assert found is not None
    assert math.degrees(found.angle) == pytest.approx(angle if is_left else -angle, abs=2)
    assert found.share * pixels.shape[0] * pixels.shape[1] == pytest.approx(240 * 180, rel=0.03)


@pytest.mark.parametrize("angle", [5, 10, 20])
def test_corners_are_found_where_the_rest_was_cut_off(angle: float) -> None:
    """Turned within its own size, also after JPEG."""
    data = io.BytesIO()
    Image.fromarray(turn(PICTURES[0], angle, (0, 0, 0), whole=False)).save(data, "JPEG", quality=60)
    found = turned_on_ground(np.asarray(Image.open(data)), 20)
    assert found is not None
    assert found.share < 1


@pytest.mark.parametrize("size", [(720, 180), (180, 720)])
@pytest.mark.parametrize("angle", [5, 25])
def test_long_pictures_are_found_too(size: tuple[int, int], angle: float) -> None:
    """Their shorter side is not reduced to nothing."""
    pixels = turn(photograph(1, (900, 900)).resize(size), angle, (0, 0, 0))
    found = turned_on_ground(pixels, 12)
    assert found is not None
    assert found.share * pixels.shape[0] * pixels.shape[1] == pytest.approx(size[0] * size[1], rel=0.15)


@pytest.mark.parametrize("angle", [4, 20, 43])
def test_what_lies_within_holds_no_ground(angle: float) -> None:
    """The upright rectangle of the same proportions, around the middle."""
    pixels = turn(Image.new("RGB", (300, 200), "red"), angle, (0, 0, 0))
    found = turned_on_ground(pixels, 12)
    assert found is not None
    width, height = (int(side) - 4 for side in found.inner())
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    assert (pixels[top : top + height, left : left + width] == (255, 0, 0)).all()
    assert width / height == pytest.approx(1.5, rel=0.05)


def drawing() -> Image.Image:
    image = Image.new("RGB", (160, 160), "white")
    ImageDraw.Draw(image).ellipse((10, 20, 150, 140), "orange", "black")
    return image


def disc() -> Image.Image:
    """As wide as its image: nearly an octagon."""
    image = Image.new("RGB", (288, 288), "white")
    ImageDraw.Draw(image).ellipse((4, 4, 283, 283), "#99aab5")
    return image.resize((72, 72), Image.Resampling.LANCZOS)


@pytest.mark.parametrize(
    "image",
    [
        *PICTURES,
        drawing(),
        drawing().rotate(20, fillcolor="white"),
        disc(),
        ImageOps.expand(PICTURES[0], 30, "black"),
        Image.new("RGB", (160, 160), "white"),
        Image.new("RGB", (3, 500), "white"),
        Image.new("RGB", (15, 1)),
    ],
)
def test_nothing_else_is_turned(image: Image.Image) -> None:
    """A photograph, a drawing on its own ground, a frame, a plain or tiny image."""
    assert turned_on_ground(np.asarray(image), 12) is None
