"""A picture that was turned on a plain ground: the rectangle that it is, and its turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.images.frames import has_colour
from memaudit.types import Float32, Float64

_COARSE, _FINE = 48, 128  # pixels of the longer side that are looked at, for all turns and near the best
_ACROSS = 24  # pixels that the shorter side is reduced to at most
_LEAST_SIDE, _LONGEST = 16, 1024  # pixels that the sides of what is looked at have
_TURNS = np.radians(np.concatenate([np.arange(-43.5, -2, 1.5), np.arange(3, 44, 1.5)]).astype(np.float32))
_NEAR = np.radians(np.arange(-2, 2.5, 0.5).astype(np.float32))
_SEAM, _RIM = 1.0, 3.0  # pixels on either side of an edge that are passed over; up to which its two sides are compared
_GROUND, _PICTURE = 0.97, 0.1  # share of the corners that has their colour; at most, of two sides' rim
_LEAST_GROUND, _LEAST_PIXELS = 0.01, 8  # share, and number, of what is looked at: less is no ground


class Turned(NamedTuple):
    """A rectangle around the middle of an image. angle: in radians, counter-clockwise; width, height: in its pixels;
    share: of the image that it covers."""

    angle: float
    width: float
    height: float
    share: float

    def inner(self) -> tuple[float, float]:
        """Width and height of the upright rectangle of its proportions that lies within."""
        across, along = abs(np.cos(self.angle)), abs(np.sin(self.angle))
        part = min(
            self.width / (self.width * across + self.height * along),
            self.height / (self.width * along + self.height * across),
        )
        return self.width * part, self.height * part


def turned_on_ground(pixels: NDArray[np.uint8], tolerance: float) -> Turned | None:
    """The picture in this image (h, w, 3), if it was turned by 3 to 44 degrees and its corners filled with one colour.

    Tried is each turn, with nothing cut off and at the size of the image: where all corners have the colour, and the
    picture's rim has not, along two of its sides (a disc has it along all four, a dark picture along some), that with
    the clearest edge is taken. None: there is no such turn.
    """
    coarse, _ = _on_ground(pixels, tolerance, _COARSE)
    found = None if coarse is None else _clearest(coarse, _TURNS)
    if found is None:
        return None
    fine, step = _on_ground(pixels, tolerance, _FINE)
    found = None if fine is None else _clearest(fine, np.float32(found.angle) + _NEAR)
    return found and found._replace(width=found.width * step, height=found.height * step)


def _on_ground(pixels: NDArray[np.uint8], tolerance: float, side: int) -> tuple[NDArray[np.bool_] | None, float]:
    """Where a picture, reduced to this longer side (the shorter one to `_ACROSS` at most), has the colour of its
    corners, and by how much it was reduced; None where they have several, or it is too small."""
    step = max(1.0, min(max(pixels.shape[:2]) / side, min(pixels.shape[:2]) / _ACROSS))
    rows, columns = ((np.arange(int(side / step)) * step).astype(int) for side in pixels.shape[:2])
    view = pixels[rows][:, columns].astype(np.int16)
    if min(view.shape[:2]) < _LEAST_SIDE or max(view.shape[:2]) > _LONGEST:
        return None, step
    corners = view[[0, 0, -1, -1], [0, -1, 0, -1]]
    same = has_colour(view, np.median(corners, axis=0).astype(np.int16), tolerance)
    return (same if same[[0, 0, -1, -1], [0, -1, 0, -1]].all() else None), step


def _clearest(same: NDArray[np.bool_], angles: Float32) -> Turned | None:
    height, width = same.shape
    y, x = (side.ravel() for side in np.mgrid[:height, :width].astype(np.float32))
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    across, down = x * cosine - y * sine, x * sine + y * cosine
    best, edge = None, 0.0
    for widths, heights in _sizes(width, height, np.abs(angles)):
        half, half_down = widths[:, None] / 2, heights[:, None] / 2
        sides = (across - half, -across - half, down - half_down, -down - half_down)
        beyond = np.maximum(np.abs(across) - half, np.abs(down) - half_down)
        clear = _edges(same.ravel(), beyond, sides)
        top = int(clear.argmax())
        if clear[top] > edge and min(widths[top], heights[top]) >= _LEAST_SIDE / 2:
            share = float((beyond[top] <= 0).mean())
            best, edge = Turned(float(angles[top]), float(widths[top]), float(heights[top]), share), float(clear[top])
    return best


def _sizes(width: int, height: int, angles: Float32) -> Iterator[tuple[Float32, Float32]]:
    """Of the picture, for each turn: that of the image, and that which fits into it whole."""
    yield np.full_like(angles, width), np.full_like(angles, height)
    cosine, sine = np.cos(angles), np.sin(angles)
    stretch = cosine**2 - sine**2
    yield (width * cosine - height * sine) / stretch, (height * cosine - width * sine) / stretch


def _edges(same: NDArray[np.bool_], beyond: Float32, sides: Sequence[Float32]) -> Float64:
    """For each turn (a,) by how much more of the ground's colour there is outside the edge than inside; 0 where no
    picture is turned. beyond (a, p): how far pixels lie outside the rectangle; sides: outside each side of it."""
    clear, ground = np.zeros(len(beyond)), beyond > _SEAM
    enough = ground.sum(axis=1) >= max(_LEAST_PIXELS, _LEAST_GROUND * len(same))
    fits = np.flatnonzero(enough & (_share(same, ground) >= _GROUND))
    inside = beyond[fits] < -_SEAM
    rims = np.stack([_share(same, inside & (side[fits] > -_RIM)) for side in sides])
    is_turned = (np.sort(rims, axis=0)[1] <= _PICTURE) & inside.any(axis=1)
    clear[fits] = _share(same, ground[fits] & (beyond[fits] < _RIM)) - rims.mean(axis=0)
    clear[fits[~is_turned]] = 0
    return clear


def _share(same: NDArray[np.bool_], where: NDArray[np.bool_]) -> Float64:
    """Of the chosen pixels (a, p)."""
    return np.asarray((where & same).sum(axis=1) / np.maximum(where.sum(axis=1), 1))
