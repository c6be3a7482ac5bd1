"""Contact sheets: files on which several generations lie side by side, as libraries write them by default.

A sheet that is not recognised hides pictures; a picture that is taken for a sheet is searched in some more parts. So
whatever looks like one is one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.images.decode import is_blank
from memaudit.images.windows import Box
from memaudit.types import Float64

MOST = 16  # pictures along a side
LEAST_CELL = 24  # pixels: the side of a picture
STRIP = 2.6  # longer to shorter side, from which an image is more than one picture, whatever is between them
_SHAPE = 2.0  # a picture's longer to its shorter side
_GUTTER = 10.0  # of 255: standard deviation along a line between pictures; in JPEGs of photographs 9, beside it 31
_CALM = 0.35  # times the usual such deviation of an image: where lines are narrow JPEG leaves more than that
_UNEVEN = 4  # pixels by which pictures may differ where JPEG blurs their ends
_STEP = 3.0  # times the usual change from one line to the next: where one picture ends and another begins
_AROUND = 12  # lines on both sides that are usual
_QUIET = 4.0  # of 255: the least that counts as usual
_WORK = 400  # pixels of a line that are looked at


def cells_of(image: Image.Image) -> tuple[Box, ...]:
    """The boxes of the pictures on an RGB image, row by row, if it looks like a sheet; else none.

    Either lines of one colour part them (a grid with a margin), or every picture ends at the same share of the width
    and height with an edge, or the image is so long that it can be no single one: then it is cut into squares.
    """
    if max(image.size) < 2 * LEAST_CELL:
        return ()
    pixels = np.asarray(image)
    step = max(1, max(image.size) // _WORK)  # along a line not every pixel is looked at, but every line is
    lines = (pixels[::step], pixels[:, ::step].swapaxes(0, 1))
    grids = (_between_gutters(lines, 0.0), _between_gutters(lines, _CALM), _between_edges(lines))
    boxes = max(grids, key=len) or _along_strip(image.size)
    full = sum(not is_blank(image.crop(box)) for box in boxes)
    return tuple(boxes) if 2 * full >= len(boxes) else ()


Lines = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pixels (samples of a line, lines, 3): once with columns for lines, once with rows."""


def _between_gutters(lines: Lines, calm: float) -> list[Box]:
    columns, rows = (_runs(each, calm) for each in lines)
    return _grid(columns, rows) if all(map(_are_equal, (columns, rows))) else []


def _runs(lines: NDArray[np.uint8], calm: float) -> list[tuple[int, int]]:
    """What lies between lines of one colour, or `calm` beside the others: first and last + 1."""
    spread = lines.std(axis=0).max(axis=-1)
    plain = spread <= max(_GUTTER, calm * float(np.median(spread)))
    edges = np.flatnonzero(np.diff(np.r_[True, plain, True].astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _are_equal(runs: list[tuple[int, int]]) -> bool:
    lengths = [high - low for low, high in runs]
    return bool(lengths) and max(lengths) - min(lengths) <= _UNEVEN


def _grid(columns: list[tuple[int, int]], rows: list[tuple[int, int]]) -> list[Box]:
    """The boxes, if they are several and each has the size and shape of a picture."""
    boxes = [Box(left, top, right, bottom) for top, bottom in rows for left, right in columns]
    width, height = boxes[0].right - boxes[0].left, boxes[0].bottom - boxes[0].top
    fits = min(width, height) >= LEAST_CELL and max(width, height) <= _SHAPE * min(width, height)
    return boxes if fits and len(boxes) > 1 and max(len(columns), len(rows)) <= MOST else []


def _between_edges(lines: Lines) -> list[Box]:
    """The finest grid at all of whose lines the picture changes as it does nowhere beside them."""
    columns, rows = (_even_counts(each) for each in lines)
    sizes = [each.shape[1] for each in lines]
    grids = (_grid(_even(sizes[0], c), _even(sizes[1], r)) for c in reversed(columns) for r in reversed(rows))
    return next((boxes for boxes in grids if boxes), [])


def _even_counts(lines: NDArray[np.uint8]) -> list[int]:
    """Into how many equal pieces edges part these lines; 1 is always among them."""
    length = lines.shape[1]
    change = np.abs(np.diff(lines.astype(np.int16), axis=1)).max(axis=-1)
    profile = Profile(np.median(change, axis=0), change.mean(axis=0))
    counts = [count for count in range(2, MOST + 1) if length % count == 0 and length // count >= LEAST_CELL]
    return [1, *(count for count in counts if all(_is_edge(profile, n * length // count - 1) for n in range(1, count)))]


class Profile(NamedTuple):
    """How much each line differs from the next one, in the median and the mean over its length."""

    median: Float64
    mean: Float64


def _is_edge(profile: Profile, place: int) -> bool:
    beside = np.r_[max(0, place - _AROUND) : place, place + 1 : min(len(profile.median), place + 1 + _AROUND)]
    usual = max(float(np.median(profile.median[beside])), _QUIET)
    is_textured = bool(np.median(profile.mean[beside]) > 0)  # what is drawn in flat blocks has edges anywhere
    return is_textured and bool(profile.median[place] >= max(_STEP * usual, profile.median[beside].max()))


def _even(length: int, count: int) -> list[tuple[int, int]]:
    side = length // count
    return [(number * side, (number + 1) * side) for number in range(count)]


def _along_strip(size: tuple[int, int]) -> list[Box]:
    """Squares along the longer side of an image that is too long for a picture."""
    longer, shorter = max(size), min(size)
    count = min(MOST, round(longer / shorter)) if shorter >= LEAST_CELL else 0
    if longer < STRIP * shorter or count < 2:
        return []
    parts = [(number * longer // count, (number + 1) * longer // count) for number in range(count)]
    whole = [(0, shorter)]
    return [
        Box(left, top, right, bottom)
        for top, bottom in (whole if size[0] >= size[1] else parts)
        for left, right in (parts if size[0] >= size[1] else whole)
    ]
