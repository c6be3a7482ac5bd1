"""Promises of scripts/alterations.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_pools import noise
from PIL import Image, ImageChops

from scripts.alterations import ALTERATIONS, alter, enlarge, read_rgb, rotate, stream, write_picture


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_changes_the_picture_and_stays_rgb(name: str) -> None:
    """Every entry of the table returns another RGB picture and leaves its argument as it was."""
    source = enlarge(noise(3), 64)
    before = source.tobytes()
    altered = alter(source, name, stream(0, "a", name, 0))
    assert altered.mode == "RGB"
    assert source.tobytes() == before
    assert altered.size != source.size or ImageChops.difference(altered, source).getbbox() is not None


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_is_a_function_of_its_stream(name: str) -> None:
    """The same four values give the same pixels, whatever was drawn in between."""
    source = enlarge(noise(3), 64)
    first = alter(source, name, stream(0, "a", name, 0))
    alter(source, name, stream(0, "a", name, 1))
    again = alter(source, name, stream(0, "a", name, 0))
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize("other", [(1, "a", "crop", 0), (0, "b", "crop", 0), (0, "a", "jpeg", 0), (0, "a", "crop", 1)])
def test_each_part_of_the_key_changes_the_stream(other: tuple[int, str, str, int]) -> None:
    """Seed, source, alteration and ordinal each lead to another stream."""
    assert stream(0, "a", "crop", 0).random() != stream(*other).random()


@pytest.mark.parametrize("name", ALTERATIONS)
def test_tiny_pictures_can_be_altered(name: str) -> None:
    """A single pixel is altered without an error."""
    assert min(alter(Image.new("RGB", (1, 1)), name, stream(0, "a", name, 0)).size) >= 1


def test_crop_keeps_at_least_its_strength() -> None:
    """The kept share of each side lies between the strength and 1."""
    sizes = [alter(noise(1, 100), "crop", stream(0, "a", "crop", n), 0.9).size for n in range(30)]
    assert all(90 <= side <= 100 for size in sizes for side in size)
    assert len(set(sizes)) > 1


def test_flip_twice_is_the_picture() -> None:
    """A flip is a mirror without loss."""
    source, rng = noise(1), stream(0, "a", "flip", 0)
    assert alter(alter(source, "flip", rng), "flip", rng).tobytes() == source.tobytes()


def test_colour_leaves_white_paper_white() -> None:
    """Brightness is a gamma: a white page does not turn grey."""
    page = Image.new("RGB", (8, 8), "white")
    assert alter(page, "colour", stream(0, "a", "colour", 0)).getextrema() == ((255, 255),) * 3


def test_rotation_fills_white_or_repeats_the_edge() -> None:
    """The corners of a black square become white with `rotate` and stay black with `rotate_edge`."""
    square = Image.new("RGB", (64, 64), "black")
    assert np.asarray(rotate(square, 10.0, stream(0, "a", "rotate", 0))).max() == 255
    assert np.asarray(alter(square, "rotate_edge", stream(0, "a", "rotate_edge", 0), 10.0)).max() == 0


def test_enlarge_scales_small_pictures_only() -> None:
    """Small pictures grow to the short side and keep their shape; large ones are returned as they are."""
    assert enlarge(Image.new("RGB", (10, 20)), 40).size == (40, 80)
    large = Image.new("RGB", (100, 50))
    assert enlarge(large, 40) is large


def test_transparency_becomes_white_and_exif_is_applied(tmp_path: Path) -> None:
    """Pictures are read as an encoder reads them."""
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_rgb(tmp_path / "clear.png").getextrema() == ((255, 255),) * 3
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").size == (8, 4)


@pytest.mark.parametrize(("suffix", "worst"), [(".png", 0), (".jpg", 20)])
def test_pictures_are_written_nearly_without_loss(tmp_path: Path, suffix: str, worst: int) -> None:
    """PNG keeps every level, JPEG moves none by more than a little."""
    source = noise(1)
    write_picture(source, tmp_path / f"picture{suffix}")
    difference = ImageChops.difference(read_rgb(tmp_path / f"picture{suffix}"), source)
    assert np.asarray(difference).max() <= worst
