"""What lies where in a picture: coarse light, colours and edges, and embeddings of its parts.

Of a picture that is drawn anew hardly a pixel is kept; composition and objects are. Two pictures are held against each
other frame on frame, place by place: alike in the same places, and less so in others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders.encoder import Regions
from memaudit.matching.pictures import import_cv2
from memaudit.types import Float32, Float64

SKETCHED = ("similarity", "light", "colours", "edges", "strokes")
"""Signals of a pair that need no encoder: what the embeddings of the whole pictures say, and what sketches do."""
SIGNALS = (*SKETCHED, "places", "parts", "contrast")
"""All signals of a pair; more of none speaks against a picture drawn anew."""
FRAMED = 1.15  # ratio of two pictures' shapes from which one may be cut to that of the other
_COARSE = 16  # squares of light and colour, a side
_FINE, _CELLS, _DIRECTIONS = 96, 12, 8  # pixels that edges are taken at, cells a side, and directions in each
_FAINT = 20.0  # of a cell's edges: what fainter ones there are counts less
_FLAT = 50.0  # of light or colour: what differs less is flat
_SIDE = 288  # pixels of the square that parts are of
_THIRDS, _QUARTERS, _PLACES = 3, 4, 8  # parts a side; places are as large as a quarter, and overlap


class Sketch(NamedTuple):
    """colours (16, 16, 3) float32: Lab, of squares; edges (12, 12, 8) float32: how strong they are in each cell, by
    direction. The picture is pressed into a square."""

    colours: Float32
    edges: Float32


class Layout(NamedTuple):
    """Embeddings of parts (n, dim) float32, from one pass over the picture: of its ninths, its sixteenths, and of 8 x 8
    places."""

    thirds: Float32
    quarters: Float32
    places: Float32


def framed(pixels: NDArray[np.uint8], other: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of a picture (height, width, 3) in the shape of another (height, width), as it is cut for training;
    all of it where the other is no narrower and no flatter."""
    height, width = pixels.shape[:2]
    wanted = other[1] / other[0]
    if width / height > wanted:
        kept = max(1, round(height * wanted))
        return pixels[:, (width - kept) // 2 :][:, :kept]
    kept = max(1, round(width / wanted))
    return pixels[(height - kept) // 2 :][:kept]


def sketch_of(pixels: NDArray[np.uint8]) -> Sketch:
    """Of a picture (height, width, 3) uint8 RGB."""
    cv2 = import_cv2()
    small = cv2.resize(pixels, (4 * _COARSE, 4 * _COARSE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32)
    coarse = cv2.resize(lab, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    return Sketch(cv2.GaussianBlur(coarse, (0, 0), 0.8), _edges(pixels, cv2))


def _edges(pixels: NDArray[np.uint8], cv2: Any) -> Float32:
    """Of the colour that changes most at each pixel (Dalal & Triggs, CVPR 2005), without regard to its sign."""
    small = cv2.resize(pixels, (_FINE, _FINE), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32)
    across, down = (cv2.Sobel(soft, cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1)))
    strongest = np.hypot(across, down).argmax(axis=2)[..., None]
    across, down = (np.take_along_axis(each, strongest, axis=2)[..., 0] for each in (across, down))
    strength, turned = np.hypot(across, down), np.arctan2(down, across) % np.pi / np.pi * _DIRECTIONS
    lower = np.floor(turned)
    cell = np.arange(_FINE) * _CELLS // _FINE
    place = (cell[:, None] * _CELLS + cell) * _DIRECTIONS
    size = _CELLS * _CELLS * _DIRECTIONS
    sums = np.zeros(size)
    for direction, share in ((lower, 1 - turned + lower), (lower + 1, turned - lower)):
        where = place + direction.astype(np.int64) % _DIRECTIONS
        sums += np.bincount(where.ravel(), (strength * share).ravel(), size)
    edges = sums.reshape(_CELLS, _CELLS, _DIRECTIONS).astype(np.float32)
    around = cv2.GaussianBlur(edges.sum(axis=2), (0, 0), 1.5)[..., None]
    return np.asarray(edges / (around + _FAINT))


def layout_of(pixels: NDArray[np.uint8], regions: Regions) -> Layout:
    """Of a picture (height, width, 3) uint8 RGB."""
    cv2 = import_cv2()
    square = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    found = regions.encode(square, np.concatenate([_grid(_THIRDS), _grid(_QUARTERS), _overlapping()]))
    thirds, quarters = _THIRDS**2, _QUARTERS**2
    return Layout(found[:thirds], found[thirds : thirds + quarters], found[thirds + quarters :])


def _grid(count: int) -> Float64:
    """Boxes (count², 4), left, top, right, bottom in pixels, row by row."""
    return _boxes(np.arange(count) * _SIDE / count, _SIDE / count)


def _overlapping() -> Float64:
    size = 2 * _SIDE / (_PLACES + 1)
    return _boxes(np.arange(_PLACES) * size / 2, size)


def _boxes(starts: Float64, size: float) -> Float64:
    top, left = (each.ravel() for each in np.meshgrid(starts, starts, indexing="ij"))
    return np.stack([left, top, left + size, top + size], axis=1)


def sketched_signals(query: Sketch, reference: Sketch, similarity: float) -> Float64:
    """In the order of `SKETCHED`, (5,). similarity: of the embeddings of the whole pictures."""
    light, red, yellow = (_correlation(query.colours[..., i], reference.colours[..., i], _FLAT) for i in range(3))
    own, other = (edges - edges.mean(axis=(0, 1)) for edges in (query.edges, reference.edges))
    return np.array([similarity, light, (red + yellow) / 2, _cosine(own, other), _cosine(query.edges, reference.edges)])


def signals_of_layouts(query: Layout, reference: Layout) -> Float64:
    """The rest of `SIGNALS`, (3,): how alike places are apart from what all of the picture has in common, how alike
    sixteenths are, and how much more alike ninths are than they are to the other eight."""
    own, other = (_unit(each - each.mean(axis=0)) for each in (query.places, reference.places))
    alike = query.thirds @ reference.thirds.T
    same = float(alike.trace())
    elsewhere = (float(alike.sum()) - same) / (len(alike) - 1)
    return np.array(
        [
            (own * other).sum(axis=1).mean(),
            (query.quarters * reference.quarters).sum(axis=1).mean(),
            (same - elsewhere) / len(alike),
        ],
        dtype=np.float64,
    )


def _unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def _correlation(one: Float32, other: Float32, flat: float) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + flat))


def _cosine(one: Float32, other: Float32) -> float:
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + 1e-9))
