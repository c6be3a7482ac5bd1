"""Patched l2: the largest distance of two images over 16 tiles, so that a flat ground cannot make them look equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.types import Float64, Int64

Pixels = NDArray[np.uint8]

SIDE, TILE = 512, 128
TILES = (SIDE // TILE) ** 2
_VALUES = TILE * TILE * 3  # numbers of a tile
_EXACT = 256  # terms up to 255 x 255 whose float32 sum is a whole number below 2^24, so exact in any order


def tiles_of(image: Image.Image) -> Pixels:
    """An RGB image at 512 x 512 as its tiles, (16, values) uint8."""
    sized = image if image.size == (SIDE, SIDE) else image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    grid = np.asarray(sized, dtype=np.uint8).reshape(SIDE // TILE, TILE, SIDE // TILE, TILE, 3)
    return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(TILES, _VALUES))


def image_of(tiles: Pixels) -> Image.Image:
    """The image at 512 x 512 that `tiles_of` made these of."""
    grid = tiles.reshape(SIDE // TILE, SIDE // TILE, TILE, TILE, 3).swapaxes(1, 2)
    return Image.fromarray(np.ascontiguousarray(grid.reshape(SIDE, SIDE, 3)))


def patched_squares(images: list[Pixels]) -> Int64:
    """For all pairs of images the largest sum of squared differences of a tile, (n, n), in units of 1 / 255 squared.

    Exact: products of whole numbers in pieces that float32 holds. Memory: one tile of each image, and n^2 numbers.
    """
    largest = np.zeros((len(images), len(images)), np.int64)
    for tile in range(TILES):
        np.maximum(largest, _squares(np.stack([image[tile] for image in images])), out=largest)
    return largest


def _squares(rows: Pixels) -> Int64:
    products = np.zeros((len(rows), len(rows)), np.int64)
    for low in range(0, rows.shape[1], _EXACT):
        part = rows[:, low : low + _EXACT].astype(np.float32)
        products += (part @ part.T).astype(np.int64)
    own = np.diag(products)
    return np.asarray(own[:, None] + own[None] - 2 * products)


def distance_of(squares: Int64) -> Float64:
    """Root mean square difference of pixels in [0, 1]."""
    return np.asarray(np.sqrt(squares / _VALUES) / 255)


def squares_within(distance: float) -> int:
    """The largest sum of squares that is still at most `distance`."""
    return int(np.floor((distance * 255) ** 2 * _VALUES + 1e-6))
