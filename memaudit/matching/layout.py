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

SKETCHED = ("light", "colours", "edges", "strokes", "shading")
"""Signals of a pair that sketches tell, without an encoder."""
SIGNALS = (*SKETCHED, "contrast", "places")
"""All signals of a pair; more of none speaks against a picture drawn anew."""
FRAMED = 1.15  # ratio of two pictures' shapes from which one may be cut to that of the other
_COARSE = 16  # squares of light and colour, a side
_FINE, _CELLS, _DIRECTIONS = 96, 12, 8  # pixels that edges are taken at, cells a side, and directions in each
_FAINT = 20.0  # of a cell's edges: what fainter ones there are counts less
_FLAT = 50.0  # of light or colour: what differs less is flat
_PLAIN, _OUTLINE = 1, 12  # of 255: what changes by no more is plain, by as much an outline, and between them shaded
_NO_SHADE = 0.02
LEAST_SHADING = float(np.log(0.12 + _NO_SHADE))  # with less it is a drawing in plain colours, and layout no evidence
_LEAST_ALIKE = 0.1  # of parts: what is hardly alike is so everywhere
_SIDE = 288  # pixels of the square that parts are of
_THIRDS, _QUARTERS, _PLACES = 3, 4, 8  # parts a side; places are as large as a quarter, and overlap


class Sketch(NamedTuple):
    """colours (16, 16, 3) float32: Lab, of squares; edges (12, 12, 8) float32: how strong they are in each cell, by
    direction; both of the picture pressed into a square. shaded: share of the pixels whose brightness changes, and
    gently: photographs and paintings have many, drawings in plain colours few."""

    colours: Float32
    edges: Float32
    shaded: float


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
    return Sketch(cv2.GaussianBlur(coarse, (0, 0), 0.8), _edges(pixels, cv2), _shaded(pixels))


def _shaded(pixels: NDArray[np.uint8]) -> float:
    grey = pixels.astype(np.float32).mean(axis=2)
    changes = np.maximum(np.abs(np.diff(grey, axis=1))[:-1], np.abs(np.diff(grey, axis=0))[:, :-1])
    return float(((changes > _PLAIN) & (changes < _OUTLINE)).sum() / max(1, changes.size))


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


def sketched_signals(query: Sketch, reference: Sketch) -> Float64:
    """In the order of `SKETCHED`, (5,): correlations of light and of the two axes of colour, cosines of edges less the
    picture's mean and as they are, and the logarithm of how much of the reference is shaded."""
    light, red, yellow = (_correlation(query.colours[..., i], reference.colours[..., i]) for i in range(3))
    own, other = (edges - edges.mean(axis=(0, 1)) for edges in (query.edges, reference.edges))
    edges, strokes = _cosine(own, other), _cosine(query.edges, reference.edges)
    return np.array([light, (red + yellow) / 2, edges, strokes, np.log(reference.shaded + _NO_SHADE)])


def signals_of_layouts(query: Layout, reference: Layout) -> Float64:
    """The rest of `SIGNALS`, (2,), both to how alike sixteenths are: how much more alike ninths are than they are to
    the other eight, and how alike places are apart from what all places of a picture have in common."""
    own, other = (_unit(each - each.mean(axis=0)) for each in (query.places, reference.places))
    ninths = query.thirds @ reference.thirds.T
    same = float(ninths.trace())
    contrast = (same - (float(ninths.sum()) - same) / (len(ninths) - 1)) / len(ninths)
    places = float((own * other).sum(axis=1).mean())
    alike = max(0.0, float((query.quarters * reference.quarters).sum(axis=1).mean())) + _LEAST_ALIKE
    return np.array([contrast / alike, places / alike])


def _unit(rows: Float32) -> Float32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def _correlation(one: Float32, other: Float32) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + _FLAT))


def _cosine(one: Float32, other: Float32) -> float:
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + 1e-9))
