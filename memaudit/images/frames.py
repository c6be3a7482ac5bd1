"""Plain frames and strips that were put around a picture, and the picture within."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 12  # of 255: what JPEG does to a plain surface stays below it
_GROUND = 8  # of 255: within it the picture behind an edge has the band's colour: a dark picture is not all black
_SAMPLES = 256  # columns of a row, or rows of a column, that are looked at
_PLAIN, _OTHER = 0.9, 0.3  # share of a row that has its band's colour: within the band, and behind its edge
_CLEAR, _CHANGES = 0.97, 6  # share of a row of its band's colour between lines of writing; edges in their rows
_LETTERS, _LINE = 3, 0.2  # rows that a line has; share of the side that it may have
_DEEPEST = 0.35  # of the side: a wider band is a picture's own ground
_OWN_GROUND = 0.1  # share of the picture's rim that has the band's colour: then it is its own ground
_BEHIND = 3  # rows behind an edge: JPEG has smeared it over the first
_EQUAL = 2  # pixels by which the widths of a frame may differ
_THIN = 0.01  # share of the image: less is a scan's edge, and counts as no frame
_LAYERS = 3  # a strip within a frame within a frame
_LEAST_SIDE = 16


class Content(NamedTuple):
    """left, top, right and bottom of the picture within frames and strips; layers: how many of these there are, those
    with writing counted twice."""

    left: int
    top: int
    right: int
    bottom: int
    layers: int


class _Band(NamedTuple):
    """width: in pixels, 0 for none."""

    width: int
    colour: NDArray[np.int16]
    written: bool


def content_of(pixels: NDArray[np.uint8], tolerance: float = TOLERANCE, seam: int = 0) -> Content:
    """The picture within plain frames and strips; a strip may have writing on it. pixels (h, w, 3). seam: what lies
    this near to an edge is left out as well.

    A band reaches from one side of the image to the other and ends at once, in a straight line; or a line of writing
    ends it. The ground that a drawing stands on ends where its outline does, here sooner and there later, or goes on
    along its other sides.
    """
    box, layers = [0, 0, pixels.shape[1], pixels.shape[0]], 0
    for _ in range(_LAYERS):
        view = pixels[box[1] : box[3], box[0] : box[2]]
        if min(view.shape[:2]) < _LEAST_SIDE:
            break
        added = _added(view, tolerance)
        if not added:
            break
        layers += 1 + sum(band.written for band in added.values())
        for side, band in added.items():
            box[side] += (band.width + seam) * (1 if side < 2 else -1)
    left, top, right, bottom = box
    is_thin = (right - left) * (bottom - top) > (1 - _THIN) * pixels.shape[0] * pixels.shape[1]
    return Content(left, top, right, bottom, 0 if is_thin else layers)


def has_colour(pixels: NDArray[np.int16], colour: NDArray[np.int16], tolerance: float) -> NDArray[np.bool_]:
    """Where (…, 3) pixels are within tolerance of a colour in each channel."""
    red, green, blue = (np.abs(pixels[..., channel] - colour[channel]) <= tolerance for channel in range(3))
    return np.asarray(red & green & blue)


def _added(view: NDArray[np.uint8], tolerance: float) -> dict[int, _Band]:
    """The outermost bands that were put around a picture, by side: left, top, right, bottom."""
    across = view.transpose(1, 0, 2)
    sides = (across, view, across[::-1], view[::-1])
    bands = {side: _band(rows, tolerance, lines=side % 2 == 1) for side, rows in enumerate(sides)}
    found = {side: band for side, band in bands.items() if band.width}
    written = {side: band for side, band in found.items() if band.written}
    inner = _within(view, written or found)
    if min(inner.shape[:2]) < _LEAST_SIDE:
        return {}
    return written or (found if _is_frame(found) and not _goes_on(inner, found, tolerance) else {})


def _within(view: NDArray[np.uint8], bands: Mapping[int, _Band]) -> NDArray[np.uint8]:
    left, top, right, bottom = (bands[side].width if side in bands else 0 for side in range(4))
    return view[top : view.shape[0] - bottom, left : view.shape[1] - right]


def _is_frame(bands: Mapping[int, _Band]) -> bool:
    """Whether they are all around and of one width but for one side, or along one side, or two that face each other."""
    if len(bands) == 4:
        widths = sorted(band.width for band in bands.values())
        return min(widths[2] - widths[0], widths[3] - widths[1]) <= _EQUAL
    return len(bands) == 1 or set(bands) in ({0, 2}, {1, 3})


def _goes_on(inner: NDArray[np.uint8], bands: Mapping[int, _Band], tolerance: float) -> bool:
    """Whether the picture has the colour of a band behind its edge: then that is its own ground."""
    rims = inner[:, _BEHIND], inner[_BEHIND], inner[:, -1 - _BEHIND], inner[-1 - _BEHIND]
    return any(
        has_colour(rims[side].astype(np.int16), band.colour, min(tolerance, _GROUND)).mean() >= _OWN_GROUND
        for side, band in bands.items()
    )


def _band(view: NDArray[np.uint8], tolerance: float, *, lines: bool) -> _Band:
    """The band of one colour that the first rows are. lines: writing runs along them."""
    rows = view[: int(len(view) * _DEEPEST) + 3, :: max(1, view.shape[1] // _SAMPLES)].astype(np.int16)
    colour = np.median(rows[0], axis=0).astype(np.int16)
    same = has_colour(rows, colour, tolerance)
    alike = same.mean(axis=1)
    if alike[0] < _PLAIN:
        return _Band(0, colour, False)
    line = _line(same) if lines else 0
    behind = np.convolve(alike, np.ones(3) / 3, "valid")
    ends = np.flatnonzero((alike[: len(behind)] < _OTHER) & (behind <= _OTHER))
    if not len(ends) or alike[max(0, ends[0] - 3) : ends[0]].max() < _PLAIN:
        return _Band(line, colour, line > 0)
    return _Band(int(ends[0]), colour, line > 0)


def _line(same: NDArray[np.bool_]) -> int:
    """How many of the first rows are a line of writing, with the plain rows before it and one behind it; 0: none."""
    plain = np.pad(same.mean(axis=1) >= _CLEAR, (1, 1), constant_values=True).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(plain) < 0), np.flatnonzero(np.diff(plain) > 0)
    changes = np.abs(np.diff(same.astype(np.int8), axis=1)).sum(axis=1)
    for start, end in zip(starts, ends, strict=True):
        if start == 0 or end > _LINE * len(same) / _DEEPEST:
            return 0
        if end - start >= _LETTERS and np.median(changes[start:end]) >= _CHANGES:
            return int(end) + 1
    return 0
