"""Frames and strips are seen where they were put around a picture, and a drawing's own ground is none."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from pictures import photograph
from PIL import Image, ImageDraw, ImageFont, ImageOps

from memaudit.images.frames import Content, content_of

PICTURE = photograph(3, (600, 440))


def captioned(
    image: Image.Image, height: int = 60, text: str = "when you see it", ground: str = "white"
) -> Image.Image:
    """With a strip above."""
    whole = Image.new("RGB", (image.width, image.height + height), ground)
    whole.paste(image, (0, height))
    font = ImageFont.load_default(max(6, height * 6 // 10))
    ImageDraw.Draw(whole).text((height // 4, height // 10), text, "black" if ground == "white" else "white", font)
    return whole


def barred(image: Image.Image, height: int) -> Image.Image:
    """Letterboxed."""
    return ImageOps.expand(image, (0, height, 0, height), "black")


def drawing(size: int = 72) -> Image.Image:
    """A face on white ground."""
    image = Image.new("RGB", (size, size), "white")
    ImageDraw.Draw(image).ellipse((3, 3, size - 4, size - 4), fill="orange", outline="black")
    ImageDraw.Draw(image).ellipse((size // 3, size // 3, size // 2, size // 2), fill="black")
    return image


def of(image: Image.Image) -> Content:
    return content_of(np.asarray(image))


@pytest.mark.parametrize(
    ("frame", "content"),
    [
        (lambda image: image, (0, 0, 600, 440, 0)),
        (lambda image: ImageOps.expand(image, 30, (200, 10, 90)), (30, 30, 630, 470, 1)),
        (lambda image: ImageOps.expand(image, (30, 30, 30, 90), "white"), (30, 30, 630, 470, 1)),
        (captioned, (0, 60, 600, 500, 2)),
        (lambda image: barred(image, 50), (0, 50, 600, 490, 1)),
        (lambda image: ImageOps.expand(captioned(image), 9, "black"), (9, 69, 609, 509, 3)),
    ],
)
def test_frames_and_strips(frame: Callable[[Image.Image], Image.Image], content: tuple[int, ...]) -> None:
    """Also one within the other, with writing on it, or wider below; and none where there is none."""
    assert of(frame(PICTURE)) == content


@pytest.mark.parametrize("text", ["when you see it", "me every monday", "look at this", "SALE 50% OFF"])
@pytest.mark.parametrize("ground", ["white", "black"])
def test_writing_on_a_small_drawing_is_a_strip(text: str, ground: str) -> None:
    """On the drawing's own ground, where no edge ends it, and on another; also after JPEG."""
    clean, written = drawing(), captioned(drawing(), 11, text, ground)
    assert of(clean).layers == 0
    assert of(written).layers >= 2
    assert of(written).top >= 8
    data = io.BytesIO()
    written.save(data, "JPEG", quality=90)
    assert content_of(np.asarray(Image.open(data)), 20, 2).layers >= 2


def test_a_thin_frame_that_jpeg_has_smeared() -> None:
    """Two pixels around a drawing of 72; what lies along its edge is left out with it."""
    data = io.BytesIO()
    ImageOps.expand(drawing(), 2, (130, 240, 10)).save(data, "JPEG", quality=90)
    found = content_of(np.asarray(Image.open(data)), 20, 2)
    assert found.layers == 1
    assert min(found[:2]) in (3, 4, 5)


def test_the_ground_of_a_drawing_is_no_frame() -> None:
    """It ends where the outline does; or at a straight side, and goes on beside it; or it is wider on one side."""
    shapes: tuple[tuple[int, int, int, int], ...] = ((20, 20, 180, 180), (20, 60, 180, 199), (30, 10, 170, 150))
    for box in shapes:
        image = Image.new("RGB", (200, 200), "white")
        draw = ImageDraw.Draw(image)
        (draw.ellipse if box == shapes[0] else draw.rectangle)(box, fill="orange", outline="black")
        assert of(image) == (0, 0, 200, 200, 0)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (15, 15), (16, 16), (17, 40), (40, 17)])
def test_the_smallest_images_keep_their_pixels(size: tuple[int, int]) -> None:
    """Framed or not: nothing is left of them otherwise."""
    for image in (PICTURE.resize(size), ImageOps.expand(PICTURE.resize(size), 1, "red")):
        found = content_of(np.asarray(image), 20, 2)
        assert 0 <= found.left < found.right <= image.width
        assert 0 <= found.top < found.bottom <= image.height
