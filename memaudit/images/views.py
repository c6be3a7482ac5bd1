"""Views: what an image is turned into before it is embedded, to find copies that were flipped or cropped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PIL import Image

from memaudit.images.view_names import CHOICES as CHOICES
from memaudit.images.view_names import TURNS, WHOLE, view_names
from memaudit.images.windows import Window, detail_windows, tile_windows

_METHODS = (
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)


class View(NamedTuple):
    """A view by its name, which reports use, and what it makes of an RGB image. window: that it is seen through, where
    it is no more than a part of the image."""

    name: str
    apply: Callable[[Image.Image], Image.Image]
    window: Window | None = None

    @property
    def part(self) -> float:
        """The share of its longer side."""
        return 1.0 if self.window is None else self.window.part


def views_of(choice: str) -> tuple[View, ...]:
    """The views of a `--views` option: `none` is the whole image, `flips` adds two mirrors, `tiles` the tiles, `all`
    the tiles and all eight orientations. The whole image comes first. Raises UsageError for anything else."""
    turns = (View(name, partial(_turned, method=way)) for name, way in zip(TURNS, _METHODS, strict=True))
    made = {view.name: view for view in (View(WHOLE, lambda image: image), *turns, *tiles())}
    return tuple(made[name] for name in view_names(choice))


def tiles() -> tuple[View, ...]:
    """Windows of half the width and height, in a grid of three by three: each overlaps its neighbours by a half."""
    return tuple(_seen_through(window) for window in tile_windows())


def details() -> tuple[View, ...]:
    """Squares of a sixth of the longer side, 100 of them: for parts too small to be told by a tile."""
    return tuple(_seen_through(window) for window in detail_windows())


def _seen_through(window: Window) -> View:
    return View(window.name, partial(_cut, window=window), window)


def _turned(image: Image.Image, method: Image.Transpose) -> Image.Image:
    return image.transpose(method)


def _cut(image: Image.Image, window: Window) -> Image.Image:
    return image.crop(window.box(image.size))
