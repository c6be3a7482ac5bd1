"""The encoder without weights."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from memaudit.encoders import Encoder, load_encoder

ENCODER: Encoder = load_encoder("thumbnail")


def embed(images: list[Image.Image]) -> np.ndarray:
    return ENCODER.encode(np.stack([ENCODER.preprocess(image) for image in images]))


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return Image.open(buffer).convert("RGB")


def half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.1)


@pytest.mark.parametrize("change", [jpeg, half, brighter])
def test_a_light_change_stays_above_the_threshold(change, pictures: list[Image.Image]) -> None:
    """Recompressing, halving or brightening a picture keeps its similarity to itself at or above the threshold."""
    similarity = (embed(pictures) * embed([change(picture) for picture in pictures])).sum(axis=1)
    assert similarity.min() >= ENCODER.spec.threshold


def test_distinct_pictures_stay_below_the_threshold(pictures: list[Image.Image]) -> None:
    """No two different drawings are near-duplicates."""
    embeddings = embed(pictures)
    similarity = embeddings @ embeddings.T - np.eye(len(pictures))
    assert similarity.max() < ENCODER.spec.threshold


def test_a_colour_cast_changes_nothing() -> None:
    """Adding a constant to a channel leaves the embedding as it is: each channel's mean is taken off."""
    pixels = np.random.default_rng(1).integers(40, 200, (12, 12, 3), dtype=np.uint8)
    plain, cast = ENCODER.encode(np.stack([pixels, pixels + np.array([30, 0, 5], dtype=np.uint8)]))
    np.testing.assert_allclose(plain, cast, atol=1e-6)


def test_rows_are_unit_float32_and_bitwise_independent_of_the_batch(pictures: list[Image.Image]) -> None:
    """A row has length 1 and dimension spec.dim, and is the same bits alone, in a batch, or in another order."""
    together = embed(pictures)
    assert together.shape == (len(pictures), ENCODER.spec.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(together, np.concatenate([embed([picture]) for picture in pictures]))
    np.testing.assert_array_equal(together[::-1], embed(pictures[::-1]))


def test_a_flat_image_gives_zeros_without_a_warning(pictures: list[Image.Image]) -> None:
    """A single-coloured image has no direction: its row is zero, not NaN, and its neighbours are untouched."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = embed([Image.new("RGB", (40, 30), "teal"), pictures[0]])
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[1:], embed(pictures[:1]))


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (4000, 3)])
def test_any_size_of_image_gives_an_item_of_the_same_shape(size: tuple[int, int]) -> None:
    """One pixel, a column and a strip are resized like any other image."""
    item = ENCODER.preprocess(Image.new("RGB", size, "red"))
    assert (item.shape, item.dtype) == ((12, 12, 3), np.uint8)


def test_no_image_gives_no_row() -> None:
    """An empty batch gives an empty (0, dim) array."""
    assert ENCODER.encode(np.zeros((0, 12, 12, 3), dtype=np.uint8)).shape == (0, ENCODER.spec.dim)
