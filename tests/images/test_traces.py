"""Traces of alterations: each is seen where it was made, and not in the original."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from pictures import photograph
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from memaudit.images.decode import UnreadableImageError
from memaudit.images.traces import Traces, content_box, traces_of

PICTURE = photograph(3, (600, 440))


def saved(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def traces(image: Image.Image, kind: str = "PNG", **how: int) -> Traces:
    return traces_of(saved(image, kind, **how))


def again(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, "JPEG", quality=quality))).convert("RGB")


def captioned(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width, image.height + 60), "white")
    whole.paste(image, (0, 60))
    ImageDraw.Draw(whole).text((20, 10), "when you see it", "black")
    return whole


@pytest.mark.parametrize(
    ("frame", "box"),
    [
        (lambda image: image, (0, 0, 600, 440)),
        (lambda image: ImageOps.expand(image, 30, (200, 10, 90)), (30, 30, 630, 470)),
        (captioned, (0, 60, 600, 500)),
        (lambda image: ImageOps.expand(captioned(image), 9, "black"), (9, 69, 609, 509)),
    ],
)
def test_frames_and_strips(frame: Callable[[Image.Image], Image.Image], box: tuple[int, ...]) -> None:
    """Also one within the other, with writing on it; and none where there is none."""
    assert content_box(np.asarray(frame(PICTURE))) == box
    assert traces(frame(PICTURE), "JPEG", quality=90).pixels == pytest.approx(600 * 440, rel=0.02)


def test_the_ground_of_a_drawing_is_no_frame() -> None:
    """It ends where the outline does, and not in a line from side to side."""
    drawing = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(drawing).ellipse((20, 20, 180, 180), fill="orange", outline="black")
    assert traces(drawing).margin == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0])
def test_what_was_enlarged_lacks_the_top_of_its_spectrum(kind: str, factor: float) -> None:
    """Whatever it is saved as."""
    size = round(PICTURE.width * factor), round(PICTURE.height * factor)
    large, own = traces(PICTURE.resize(size, Image.Resampling.BICUBIC), kind), traces(PICTURE, kind)
    assert large.high + large.middle < own.high + own.middle - 0.3
    assert traces(PICTURE.filter(ImageFilter.GaussianBlur(1)), kind).middle < own.middle - 0.3


def test_the_coarsest_quantisation_is_seen_in_the_pixels() -> None:
    """After a finer one, and in a file that knows no quantisation; a file's own counts where its pixels show none."""
    assert traces(PICTURE).step == 1
    first = traces(PICTURE, "JPEG", quality=25)
    assert 20 < first.step < 40
    assert not first.again
    twice = again(PICTURE, 25)
    for found in (traces(twice), traces(twice, "JPEG", quality=90), traces(ImageOps.mirror(twice))):
        assert 20 < found.step < 40
        assert found.again
    assert traces(Image.new("RGB", (64, 64), "red"), "JPEG", quality=25).step > 20


def test_blocks_that_a_crop_shifted_are_found() -> None:
    """Where neighbours differ most."""
    shifted = again(PICTURE, 15).crop((3, 5, 600, 440))
    assert traces(shifted).step > 20


def test_colour_and_thumbnail() -> None:
    """Grey is seen as grey, also after JPEG; the thumbnail is of the whole image."""
    assert traces(PICTURE, "JPEG").coloured
    assert not traces(PICTURE.convert("L"), "JPEG").coloured
    assert traces(PICTURE).thumb.shape == (32, 32)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 2), (15, 15), (17, 40)])
def test_the_smallest_images_have_numbers(size: tuple[int, int]) -> None:
    """Finite ones."""
    found = traces(photograph(1, (600, 600)).resize(size))
    assert np.isfinite([found.low, found.middle, found.high, found.step]).all()
    assert found.pixels == size[0] * size[1]


def test_what_is_no_image() -> None:
    """A reason, and no exception of Pillow's."""
    with pytest.raises(UnreadableImageError):
        traces_of(b"no image at all")
