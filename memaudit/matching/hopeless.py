"""Alignments that need no closer look: laid on each other very small, the pictures have nothing to do with each other.

An agreement costs six times as much, and most of what frames, slides and few features propose for two different
pictures is refused here. What that loses was measured: docs/protocols/pixel-matching.md.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.agreement import common_box
from memaudit.matching.pictures import Picture, composed, import_cv2, inverted, to_canvas
from memaudit.types import Float32, Float64

_CANVAS = 64  # pixels of the longer side of the common part
_PATCH = 8
_TEXTURE = 4.5  # of 255: standard deviation above which a patch shows something
_EDGE = 0.01  # of a picture's longer side: what lies so little beyond its edge counts as within
_FEATURES = 12  # inliers from which an alignment is looked at in any case
_FITS = 0.95  # correlation of thumbnails, or of what slid, from which it is
_LEAST_WITH_FEATURES, _LEAST = 0.25, 0.45  # mean correlation of patches


class Found(Protocol):
    """An alignment, as of align.py."""

    @property
    def matrix(self) -> Float64: ...

    @property
    def inliers(self) -> int: ...

    @property
    def score(self) -> float: ...


def hopeless(query: Picture, reference: Picture, found: Found) -> bool:
    """Whether the pictures cannot be copies as they lie by this alignment. Of parts nothing is refused: a part may be
    covered by a mask, and was not measured."""
    if found.inliers >= _FEATURES or found.score >= _FITS or query.within or reference.within:
        return False
    least = _LEAST_WITH_FEATURES if found.inliers else _LEAST
    return small_correlation(query, reference, found.matrix) < least


def small_correlation(query: Picture, reference: Picture, matrix: Float64) -> float:
    """Mean normalised cross-correlation of the patches with texture of the common part, in grey; 0 without any."""
    box = common_box(query, reference, matrix)
    if box is None:
        return 0.0
    left, top, right, bottom = box
    scale = _CANVAS / max(right - left, bottom - top)
    columns, rows = (max(1, round(length * scale / _PATCH)) for length in (right - left, bottom - top))
    x, y = columns * _PATCH / (right - left), rows * _PATCH / (bottom - top)
    canvas, size = np.array([[x, 0, -left * x], [0, y, -top * y]]), (columns * _PATCH, rows * _PATCH)
    own, other = _drawn(query, composed(canvas, matrix), size), _drawn(reference, canvas, size)
    means = import_cv2().resize(_products(own, other), (columns, rows), interpolation=import_cv2().INTER_AREA)
    inside = _inside(query, inverted(composed(canvas, matrix)), (columns, rows))
    mean, other_mean, square, other_square, product = means.reshape(-1, 5).T
    spread = np.maximum(square - mean * mean, 0)
    other_spread = np.maximum(other_square - other_mean * other_mean, 0)
    shown = inside.ravel() & (np.maximum(spread, other_spread) >= _TEXTURE**2)
    if not shown.any():
        return 0.0
    # A floor on the spread, as in agreement.py: noise on a plain patch says nothing
    floor = np.sqrt(np.maximum(spread, 1) * np.maximum(other_spread, 1))
    return float(np.clip((product - mean * other_mean)[shown] / floor[shown], -1, 1).mean())


def _products(own: Float32, other: Float32) -> Float32:
    return np.stack([own, other, own * own, other * other, own * other], axis=2)


def _inside(query: Picture, back: Float64, patches: tuple[int, int]) -> NDArray[np.bool_]:
    """Which patches, (rows, columns), lie in the query; back: from pixels of the canvas to its places."""
    columns, rows = patches
    x, y = np.arange(columns + 1) * _PATCH, np.arange(rows + 1)[:, None] * _PATCH
    within = np.ones((rows + 1, columns + 1), bool)
    for (a, b, c), length in zip(back.tolist(), query.size, strict=True):
        place = a * x + b * y + c
        within &= (place >= -_EDGE) & (place <= length + _EDGE)
    return within[:-1, :-1] & within[1:, :-1] & within[:-1, 1:] & within[1:, 1:]


def _drawn(picture: Picture, matrix: Float64, size: tuple[int, int]) -> Float32:
    """A picture in grey on a canvas of `size` (width, height), its edge continued: (height, width) float32."""
    cv2 = import_cv2()
    place = to_canvas(picture, matrix)
    (a, b), (c, d) = place[:, :2].tolist()
    shrink = max(abs(a * d - b * c), 1e-6) ** 0.5
    first = 1 if len(picture.pyramid) > 1 else 0
    level = min(max(round(-math.log2(shrink)) - first, 0), len(picture.greys) - 1)
    place[:, :2] *= 2.0 ** (first + level)  # OpenCV's levels keep the centre of the first pixel
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return np.asarray(cv2.warpAffine(picture.greys[level], place, size, **how))
