"""Views: what an image is turned into before it is embedded, to find copies that were flipped or cropped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PIL import Image

from memaudit.errors import UsageError
from memaudit.images.windows import Window, detail_windows, tile_windows

WHOLE = "whole"
CHOICES = ("none", "flips", "tiles", "all")
_TURNS = {
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "upside down": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned 90": Image.Transpose.ROTATE_90,
    "turned 180": Image.Transpose.ROTATE_180,
    "turned 270": Image.Transpose.ROTATE_270,
    "transposed": Image.Transpose.TRANSPOSE,
    "transversed": Image.Transpose.TRANSVERSE,
}


class View(NamedTuple):
    """A view by its name, which reports use, and what it makes of an RGB image. part: the share of its longer side."""

    name: str
    apply: Callable[[Image.Image], Image.Image]
    part: float = 1.0


def views_of(choice: str) -> tuple[View, ...]:
    """The views of a `--views` option: `none` is the whole image, `flips` adds two mirrors, `tiles` the tiles, `all`
    the tiles and all eight orientations. The whole image comes first. Raises UsageError for anything else."""
    if choice not in CHOICES:
        raise UsageError(f"unknown --views {choice!r}: expected one of {', '.join(CHOICES)}")
    turns = tuple(View(name, partial(_turned, method=method)) for name, method in _TURNS.items())
    more = {"none": (), "flips": turns[:2], "tiles": tiles(), "all": (*turns, *tiles())}
    return (View(WHOLE, lambda image: image), *more[choice])


def tiles() -> tuple[View, ...]:
    """Windows of half the width and height, in a grid of three by three: each overlaps its neighbours by a half."""
    return tuple(_seen_through(window) for window in tile_windows())


def details() -> tuple[View, ...]:
    """Squares of a sixth of the longer side, 100 of them: for parts too small to be told by a tile."""
    return tuple(_seen_through(window) for window in detail_windows())


def _seen_through(window: Window) -> View:
    return View(window.name, partial(_cut, window=window), window.part)


def _turned(image: Image.Image, method: Image.Transpose) -> Image.Image:
    return image.transpose(method)


def _cut(image: Image.Image, window: Window) -> Image.Image:
    return image.crop(window.box(image.size))
