"""Traces of alterations: each is seen where it was made, and not in the original."""

import io

import numpy as np
import pytest
from pictures import photograph
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from memaudit.images.decode import UnreadableImageError
from memaudit.images.traces import Traces, traces_of

PICTURE = photograph(3, (600, 440))


def saved(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def traces(image: Image.Image, kind: str = "PNG", **how: int) -> Traces:
    return traces_of(saved(image, kind, **how))


def again(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, "JPEG", quality=quality))).convert("RGB")


def test_the_picture_within_its_frame_is_what_is_measured() -> None:
    """Its pixels, and its colours: those of the frame are not its own, though JPEG smears them."""
    framed = ImageOps.expand(PICTURE.convert("L").convert("RGB"), 30, (200, 10, 90))
    for kind, quality in (("PNG", 0), ("JPEG", 90)):
        found = traces(framed, kind, quality=quality)
        assert (found.layers, found.coloured) == (1, False)
        assert found.pixels == pytest.approx(600 * 440, rel=0.02)
    assert traces(PICTURE).layers == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("ground", ["black", (240, 240, 240), (200, 30, 60)])
def test_corners_that_a_turn_left_are_no_pixels(kind: str, ground: str | tuple[int, int, int]) -> None:
    """A turned picture has as many as before, and the filling counts as what is around it."""
    found = traces(PICTURE.rotate(20, Image.Resampling.BICUBIC, expand=True, fillcolor=ground), kind)
    assert found.layers == 1
    assert found.pixels == pytest.approx(600 * 440, rel=0.03)


def test_a_drawing_of_few_colours_was_never_compressed() -> None:
    """Equal dots look quantised; JPEG leaves a drawing with more colours, and is seen in it."""
    dots = Image.new("RGB", (256, 256), "white")
    for x in range(0, 256, 20):
        for y in range(0, 256, 20):
            ImageDraw.Draw(dots).ellipse((x, y, x + 8, y + 8), fill="red")
    assert traces(dots).step == 1
    boxes, rng = Image.new("RGB", (256, 256), "white"), np.random.default_rng(1)
    for _ in range(30):
        x, y, side, *colour = (int(value) for value in rng.integers(0, 256, 6))
        ImageDraw.Draw(boxes).rectangle((x, y, x + side // 4, y + side // 6), fill=tuple(colour))
    assert traces(boxes).step == 1
    assert traces(again(boxes, 15)).step > 20


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("factor", [1.25, 1.5, 2.0])
def test_what_was_enlarged_lacks_the_top_of_its_spectrum(kind: str, factor: float) -> None:
    """Whatever it is saved as."""
    size = round(PICTURE.width * factor), round(PICTURE.height * factor)
    large, own = traces(PICTURE.resize(size, Image.Resampling.BICUBIC), kind), traces(PICTURE, kind)
    assert large.high + large.middle < own.high + own.middle - 0.3
    assert traces(PICTURE.filter(ImageFilter.GaussianBlur(1)), kind).middle < own.middle - 0.3


def test_edges_are_as_much_wider_as_a_drawing_was_enlarged() -> None:
    """And a photograph is softer than any drawing."""
    boxes = Image.new("RGB", (160, 160), "white")
    for left in range(10, 150, 36):
        ImageDraw.Draw(boxes).rectangle((left, left // 2, left + 20, left // 2 + 30), fill="#3b88c3")
    widths = [traces(boxes.resize((160 * k, 160 * k), Image.Resampling.BILINEAR)).width for k in (1, 2, 4)]
    assert widths == pytest.approx([0, 1, 2], abs=0.6)
    assert traces(boxes).soft < 0.02 < traces(PICTURE).soft


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


@pytest.mark.parametrize("quality", [5, 15, 30, 50, 75])
def test_what_was_saved_once_was_not_saved_again(quality: int) -> None:
    """Its own steps are what its pixels show."""
    assert not traces(PICTURE, "JPEG", quality=quality).again


@pytest.mark.parametrize("how", [("PNG", {}), ("JPEG", {"quality": 95, "subsampling": 0})], ids=["PNG", "JPEG 95"])
def test_blocks_are_seen_after_another_colour(how: tuple[str, dict[str, int]]) -> None:
    """Which leaves no comb: the borders of blocks stay where they are. What never had blocks has none."""
    curve = [round(255 * (level / 255) ** 0.85) for level in range(256)] * 3
    recoloured = ImageEnhance.Color(again(PICTURE, 60).point(curve)).enhance(1.2)
    found = traces(recoloured, how[0], **how[1])
    assert found.again
    assert 5 < found.step < 20
    assert not traces(ImageEnhance.Color(PICTURE.point(curve)).enhance(1.2), how[0], **how[1]).again


def test_blocks_that_a_crop_shifted_are_found() -> None:
    """Where neighbours differ most."""
    shifted = again(PICTURE, 15).crop((3, 5, 600, 440))
    assert traces(shifted).step > 20


def test_colour_and_thumbnail() -> None:
    """Grey is seen as grey, also after JPEG; the thumbnail is of the whole image."""
    assert traces(PICTURE, "JPEG").coloured
    assert not traces(PICTURE.convert("L"), "JPEG").coloured
    assert traces(PICTURE).thumb.shape == (16, 16)


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
