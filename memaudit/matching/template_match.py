"""Where one picture lies within another, found by sliding it over: drawings have too few corners for local features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.pictures import Picture, composed, import_cv2, inverted, laid
from memaudit.types import Float32, Float64

MOST_FEATURES = 75  # where both pictures have more, features find what there is to find, and sooner
LEAST_CORRELATION = 0.75
_LEAST_COARSE = 0.65  # at half the size and in grey: below it nothing is looked at more closely
_LOOKED_AT = 2  # sizes, of those that fit best at half the size
_SIDE = 96  # pixels of the longer side of the picture that another one slides over
_REACH = 4  # of them, by which a place at half the size may be wrong
_LEAST = 8  # pixels of a side: less says nothing
_CANVAS = 128  # pixels of the longer side of the inner picture
_MARGIN = 24  # of them, by which the outer picture is seen beyond it
_STEPS, _ENOUGH = 40, 1e-4
_BLUR = 5  # pixels, odd
_TO_EDGE = np.array([[1, 0, 0.5], [0, 1, 0.5]])  # OpenCV counts from a pixel's centre


class Placement(NamedTuple):
    """matrix (2, 3) float64: as of an Alignment. correlation: before it was refined, -1 to 1."""

    matrix: Float64
    correlation: float


def placements(query: Picture, reference: Picture) -> Iterator[Placement]:
    """At most two: the query within the reference, and the reference within the query, each at the best scale.

    Normalised cross-correlation over all places and scales, in grey at half the size, then of colours where it is
    highest; then an affine refinement by its gradient (ECC: Evangelidis & Psarakis, PAMI 2008).
    """
    if min(len(query.features.places), len(reference.features.places)) >= MOST_FEATURES:
        return
    for inner, outer in ((query, reference), (reference, query)):
        placed = _slid(inner, outer)
        if placed is not None:
            matrix = _refined(inner, outer, placed.matrix)
            yield Placement(matrix if inner is query else inverted(matrix), placed.correlation)


def _slid(inner: Picture, outer: Picture) -> Placement | None:
    """The matrix from the inner picture to where it fits best in the outer one, and how they correlate there; None
    where it fits nowhere."""
    best, found = LEAST_CORRELATION, None
    places = _coarse_places(inner, outer)
    if not places:
        return None
    below = outer.blurred(_SIDE, 1.0)
    for scale, place in places:
        above = inner.blurred(_SIDE * scale, 0.8)
        height, width = above.shape[:2]
        left, top = (max(0, 2 * at - _REACH) for at in place)
        seen = below[top : top + height + 2 * _REACH, left : left + width + 2 * _REACH]
        if seen.shape[0] < height or seen.shape[1] < width:
            continue
        score, (x, y) = _best_place(seen, above)
        if score > best:
            window = (left + x, top + y, width, height)
            best, found = score, Placement(_to_window(inner, outer, window, below.shape[1::-1]), score)
    return found


def _coarse_places(inner: Picture, outer: Picture) -> list[tuple[float, tuple[int, int]]]:
    """Sizes at which the inner picture fits best in the outer one, and where, by grey values at half the size."""
    below, found = outer.coarse[-1].grey, []
    for scale, above, shows in inner.coarse:
        height, width = above.shape
        if not shows or 2 * min(height, width) < _LEAST or height > below.shape[0] or width > below.shape[1]:
            continue
        score, place = _best_place(below, above)
        found.append((score, scale, place))
    return [(scale, place) for score, scale, place in sorted(found)[-_LOOKED_AT:] if score >= _LEAST_COARSE]


def _best_place(below: NDArray[Any], above: NDArray[Any]) -> tuple[float, tuple[int, int]]:
    cv2 = import_cv2()
    scores = cv2.matchTemplate(below, above, cv2.TM_CCOEFF_NORMED)
    # A window without any variance has no correlation: OpenCV calls it 1 or infinite
    scores[~(np.abs(scores) <= 1.001)] = -1
    _, score, _, place = cv2.minMaxLoc(scores)
    return score, place


def _to_window(inner: Picture, outer: Picture, window: tuple[int, int, int, int], below: tuple[int, int]) -> Float64:
    """The matrix from the inner picture's places to those of a window of the outer one, given in pixels of `below`."""
    left, top, width, height = window
    x, y = outer.size[0] / below[0], outer.size[1] / below[1]
    return np.array([[width * x / inner.size[0], 0, left * x], [0, height * y / inner.size[1], top * y]])


def _refined(inner: Picture, outer: Picture, placed: Float64) -> Float64:
    """A matrix near `placed` with which the pictures correlate best; `placed` where none is better."""
    cv2 = import_cv2()
    width, height = (max(16, round(length * _CANVAS)) for length in inner.size)
    canvas = np.array([[width / inner.size[0], 0, 0], [0, height / inner.size[1], 0]])
    beyond = canvas + np.array([[0, 0, _MARGIN], [0, 0, _MARGIN]])
    from_outer = composed(beyond, inverted(placed))
    above = _grey(inner, canvas, (width, height))
    below = _grey(outer, from_outer, (width + 2 * _MARGIN, height + 2 * _MARGIN))
    start = np.array([[1, 0, _MARGIN], [0, 1, _MARGIN]], np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _ENOUGH)
    try:
        _, warp = cv2.findTransformECC(above, below, start, cv2.MOTION_AFFINE, until, None, _BLUR)
    except cv2.error:  # it did not converge
        return placed
    moved = composed(composed(_TO_EDGE, warp.astype(np.float64)), inverted(_TO_EDGE))
    matrix = composed(composed(inverted(from_outer), moved), canvas)
    astray = not np.isfinite(matrix).all() or np.linalg.det(matrix[:, :2]) < np.linalg.det(placed[:, :2]) / 4
    return placed if astray else matrix


def _grey(picture: Picture, matrix: Float64, size: tuple[int, int]) -> Float32:
    return np.asarray(laid(picture, matrix, size).mean(axis=2), np.float32)
