"""Which images of a family agree frame on frame, and which show something that the others lack."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photograph
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from memaudit.dedup import framed as module
from memaudit.dedup.framed import framed
from memaudit.types import Float32

PICTURE = photograph(5, (480, 360))


def thumbs(*images: Image.Image) -> Float32:
    grey = (image.convert("L").resize((16, 16), Image.Resampling.HAMMING) for image in images)
    return np.stack([np.asarray(each, np.float32) for each in grey])


def stuck(image: Image.Image, left: float) -> Image.Image:
    """A disc on it, at this share of its width."""
    altered, side = image.copy(), image.width // 5
    x = int(left * image.width)
    ImageDraw.Draw(altered).ellipse((x, side, x + side, 2 * side), "yellow", "black", 4)
    return altered


SAME = [
    PICTURE,
    PICTURE.resize((120, 90)),
    PICTURE.filter(ImageFilter.GaussianBlur(2)),
    Image.eval(PICTURE, lambda level: level * 7 // 10 + 40),
]
OTHERS = [PICTURE.crop((60, 40, 400, 300)), PICTURE.rotate(20, expand=True), photograph(6, (480, 360))]
PLAIN = Image.new("RGB", (480, 360), "white")


def all_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    left, right = np.triu_indices(count, 1)
    return left, right


def test_who_was_only_scaled_blurred_or_lightened_agrees() -> None:
    """With each other, and with nobody else."""
    found = framed(thumbs(*SAME, *OTHERS), *all_pairs(7))
    assert found.agreeing.tolist() == [3, 3, 3, 3, 0, 0, 0]
    assert not found.overlaid.any()


def test_mirrored_ones_count_half() -> None:
    found = framed(thumbs(PICTURE, PICTURE.resize((96, 72)), ImageOps.mirror(PICTURE)), *all_pairs(3))
    assert found.agreeing.tolist() == [1.5, 1.5, 1]


def test_something_over_one_is_what_those_that_agree_lack() -> None:
    """One of them may be mirrored. Where as many have it as have not, it is none; of two alone nobody can tell."""
    mirrored = ImageOps.mirror(PICTURE)
    found = framed(thumbs(stuck(PICTURE, 0.2), PICTURE, mirrored, *OTHERS), *all_pairs(6))
    assert found.overlaid.tolist() == [True, *[False] * 5]
    assert set(zip(found.shown.tolist(), found.lacking.tolist(), strict=True)) == {(0, 1), (0, 2)}
    two = framed(thumbs(stuck(PICTURE, 0.2), stuck(PICTURE, 0.2), PICTURE, mirrored), *all_pairs(4))
    assert not two.overlaid.any()
    alone = framed(thumbs(stuck(PICTURE, 0.2), PICTURE), *all_pairs(2))
    assert not alone.overlaid.any()


@pytest.mark.parametrize(
    "alter",
    [
        lambda image: stuck(image, 0.2),
        lambda image: ImageOps.expand(image, 8, (30, 30, 30)),
        lambda image: ImageOps.expand(image, (0, 0, 0, 36), "white"),
        lambda image: image.crop((10, 8, 470, 352)),
        lambda image: image.crop((24, 18, 456, 342)),
    ],
)
def test_who_lacks_what_two_reposts_share_shows_nothing(alter: Callable[[Image.Image], Image.Image]) -> None:
    """They agree with each other, and the original with neither: yet nothing lies over it."""
    repost = alter(PICTURE)
    found = framed(thumbs(PICTURE, repost, repost.resize((240, 180))), *all_pairs(3))
    assert not found.overlaid.any()


@pytest.mark.parametrize("family", [[PLAIN] * 3, [PLAIN, PICTURE, PLAIN]])
def test_plain_images_explain_nobody(family: list[Image.Image]) -> None:
    """They show nothing that could agree."""
    found = framed(thumbs(*family), *all_pairs(3))
    assert not found.agreeing.any()
    assert not found.overlaid.any()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), at_once=st.integers(1, 40))
def test_the_order_and_the_blocks_of_pairs_do_not_matter(seed: int, at_once: int) -> None:
    """Nor which of a pair is the first."""
    rng = np.random.default_rng(seed)
    images = thumbs(*SAME, *OTHERS, stuck(PICTURE, 0.5), stuck(PICTURE, 0.1))
    left, right = all_pairs(len(images))
    found = framed(images, left, right)
    order, is_swapped = rng.permutation(len(left)), rng.random(len(left)) < 0.5
    left, right = np.where(is_swapped, right, left)[order], np.where(is_swapped, left, right)[order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS_AT_ONCE", at_once)
        again = framed(images, left, right)
    assert again.agreeing.tolist() == found.agreeing.tolist()
    assert again.overlaid.tolist() == found.overlaid.tolist()


def test_without_pairs_nobody_agrees() -> None:
    found = framed(thumbs(PICTURE, PICTURE), np.empty(0, np.int64), np.empty(0, np.int64))
    assert found.agreeing.tolist() == [0, 0]
