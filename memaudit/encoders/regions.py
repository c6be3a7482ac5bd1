"""Embeddings of parts of a picture from one forward pass over all of it.

For encoders that are a convolutional trunk, pooling over its last map by the mean of cubes, and a linear layer: pooled
over a window of the map, that layer gives the embedding of the window. A pass is cut into bands, so that its memory is
bounded; each window lies whole in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders.encoder import unit_rows
from memaudit.types import Float32, Float64, Int64

STRIDE = 32
_MARGIN = STRIDE // 2
_EDGE = 1.0  # pixels from an edge that still are at it: windows are scaled, and so rounded
_LEAST = 1e-6  # of a cell's value, as in the graph: a root of 0 has no slope
_CHANNELS = 256  # pooled at once


class Trunk(NamedTuple):
    """last_map: a batch of one picture (1, height, width, 3) uint8 to cells (channels, rows, columns) float32, not
    negative, each of STRIDE pixels; then the linear layer, weight (dim, channels) and bias (dim,)."""

    last_map: Callable[[NDArray[np.uint8]], Float32]
    weight: Float32
    bias: Float32


class Band(NamedTuple):
    """Rows of a picture, from top to bottom, and the windows that are taken from them."""

    top: int
    bottom: int
    windows: Int64


@dataclass(frozen=True)
class TrunkRegions:
    """`load` makes the trunk when it is first needed. One pass at a time: it takes all cores, and much memory.

    most_pixels: of a band, unless a window is larger.
    """

    scheme: str
    load: Callable[[], Trunk]
    most_pixels: int = 1728 * 1152
    _loaded: list[Trunk] = field(default_factory=list, compare=False)
    _turn: Lock = field(default_factory=Lock, compare=False)

    def encode(self, picture: NDArray[np.uint8], boxes: Float64) -> Float32:
        with self._turn:
            if not self._loaded:
                self._loaded.append(self.load())
            trunk = self._loaded[0]
            rows = np.empty((len(boxes), len(trunk.bias)), np.float32)
            for top, bottom, windows in bands(boxes, picture.shape[:2], self.most_pixels):
                size = picture.shape[1], bottom - top
                inner = inner_boxes(boxes[windows] - [0, top, 0, top], size)
                pooled = pooled_windows(trunk.last_map(picture[None, top:bottom]), inner / STRIDE)
                rows[windows] = pooled @ trunk.weight.T + trunk.bias
        return unit_rows(rows)


def inner_boxes(boxes: Float64, size: tuple[int, int]) -> Float64:
    """Windows (n, 4), left, top, right, bottom, of a picture of a size, without half of their outermost cells except at
    its edge: these see as much beyond the window as within it. Chosen by measurement, docs/protocols/audit.md."""
    least, most = np.zeros(4), np.array([*size, *size], float)
    moved = np.where((boxes > least + _EDGE) & (boxes < most - _EDGE), [_MARGIN, _MARGIN, -_MARGIN, -_MARGIN], 0)
    return np.asarray(boxes + moved, dtype=np.float64)


def pooled_windows(cells: Float32, boxes: Float64) -> Float32:
    """The cube root of the mean cube of a map (channels, rows, columns) in windows (n, 4), left, top, right, bottom in
    cells; a cell that a window covers in part counts by that part. (n, channels).

    Rows and columns are summed one after the other, each span of a grid once. Nothing is taken away from anything, as
    it is with integral images, whose differences go below zero.
    """
    spans_down, row = np.unique(boxes[:, 1::2], axis=0, return_inverse=True)
    spans_across, column = np.unique(boxes[:, ::2], axis=0, return_inverse=True)
    down, across = _shares(spans_down, cells.shape[1]), _shares(spans_across, cells.shape[2]).T
    pooled = np.empty((len(boxes), len(cells)), np.float32)
    for low in range(0, len(cells), _CHANNELS):
        part = np.maximum(cells[low : low + _CHANNELS], np.float32(_LEAST))
        grid = down @ (part * part * part @ across)
        pooled[:, low : low + _CHANNELS] = grid[:, row, column].T
    return np.cbrt(pooled)


def _shares(spans: Float64, cells: int) -> Float32:
    """The share that each cell has in each span (n, 2): (n, cells), sums of 1."""
    first = np.arange(cells)
    covered = np.clip(np.minimum(spans[:, 1:], first + 1) - np.maximum(spans[:, :1], first), 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), dtype=np.float32)


def bands(boxes: Float64, size: tuple[int, int], most: int) -> Iterator[Band]:
    """All windows, from the top, in as few bands as the pixels of one allow, of about as many windows each."""
    height, width = size
    tops, bottoms = np.floor(boxes[:, 1]).astype(np.int64), np.ceil(boxes[:, 3]).astype(np.int64)
    levels = np.unique(tops)
    for count in range(1, len(levels) + 1):
        parts = [np.flatnonzero(np.isin(tops, part)) for part in np.array_split(levels, count)]
        bands = [Band(int(tops[w].min()), min(height, int(bottoms[w].max())), w) for w in parts]
        if count == len(levels) or max(band.bottom - band.top for band in bands) * width <= most:
            yield from bands
            return
