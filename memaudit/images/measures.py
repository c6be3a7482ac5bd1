"""Cheap measures taken of every image while its pixels are there."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

_SIDE = 128
_COLOURS = 5


def simplicity(image: Image.Image) -> float:
    """Share of the pixels that the five commonest colours cover, 0 to 1: near 1 for simple vector graphics.

    Measured on at most 128 x 128 pixels, with 4 bits a channel. After the "prevalent color metric" by which Athitsos,
    Swain & Frankel (1997) tell graphics from photographs on the web.
    """
    levels = np.asarray(_reduced(image), dtype=np.uint16) >> 4
    codes = (levels[..., 0] << 8 | levels[..., 1] << 4 | levels[..., 2]).ravel()
    counts = np.bincount(codes, minlength=4096)
    return float(np.sort(counts)[-_COLOURS:].sum() / codes.size)


def _reduced(image: Image.Image) -> Image.Image:
    """What Image.thumbnail gives; it would need a copy of the whole image to work on."""
    if max(image.size) <= _SIDE:
        return image
    return image.resize(_reduced_size(image.width / image.height), Image.Resampling.BOX, reducing_gap=2.0)


def _reduced_size(aspect: float) -> tuple[int, int]:
    """The longer side is `_SIDE`; the other the whole number, at least 1, that keeps width / height best."""
    if aspect <= 1:
        return _nearest(_SIDE * aspect, lambda width: abs(aspect - width / _SIDE)), _SIDE
    return _SIDE, _nearest(_SIDE / aspect, lambda height: abs(aspect - _SIDE / height) if height else 0)


def _nearest(number: float, distance: Callable[[int], float]) -> int:
    return max(min(math.floor(number), math.ceil(number), key=distance), 1)
