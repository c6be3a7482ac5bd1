"""Where a picture lies in another one: hypotheses from local features, and from laying frame on frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from memaudit.records import Float32, Float64, Int64
from memaudit.verification.pictures import SIDE, Features, Picture, import_cv2

LEAST_INLIERS = 5
_RATIO = 0.8  # Lowe's test: the second-best match must be farther by this
_TOLERANCE = 5.0  # pixels at the size that features are taken at
_PLACES = 96  # to the longer side: features closer than one of these are one piece of evidence
_SMALLEST, _LARGEST = 0.15, 7.0  # scale of the query in the reference
_MOST_STRETCH = 2.2  # ratio of the scales along two axes
_THUMB = 32


class Alignment(NamedTuple):
    """`matrix` (2, 3) float64 maps places of the query to places of the reference, both in shares of the longer side.

    inliers: matched features at distinct places that agree with it; 0 where frame was laid on frame.
    """

    matrix: Float64
    inliers: int


def alignments(query: Picture, reference: Picture) -> Iterator[Alignment]:
    """What is worth looking at: by features, as it is and mirrored, then frame on frame. At most five."""
    yield from _by_features(query.features, reference.features)
    width = query.size[0]
    mirror = np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]])
    for found in _by_features(query.features.mirrored(width), reference.features):
        yield found._replace(matrix=composed(found.matrix, mirror))
    yield Alignment(_frame_on_frame(query, reference), 0)


def composed(outer: Float64, inner: Float64) -> Float64:
    """The matrix (2, 3) of `inner`, then `outer`."""
    return np.asarray(outer @ np.vstack([inner, [0.0, 0.0, 1.0]]))


def _by_features(query: Features, reference: Features) -> Iterator[Alignment]:
    """A similarity transform, then an affine one for pictures that were stretched; by RANSAC."""
    left, right = matched(query.descriptors, reference.descriptors)
    if len(left) < LEAST_INLIERS:
        return
    cv2 = import_cv2()
    source, target = query.places[left], reference.places[right]
    for estimate in (cv2.estimateAffinePartial2D, cv2.estimateAffine2D):
        matrix, inside = estimate(source * SIDE, target * SIDE, method=cv2.RANSAC, ransacReprojThreshold=_TOLERANCE)
        if matrix is None or not np.isfinite(matrix).all() or not _plausible(matrix):
            continue
        agreeing = inside.ravel().astype(bool)
        inliers = min(_distinct(source[agreeing]), _distinct(target[agreeing]))
        if inliers >= LEAST_INLIERS:
            yield Alignment(matrix * np.array([1, 1, 1 / SIDE]), inliers)


def matched(query: Float32, reference: Float32) -> tuple[Int64, Int64]:
    """Positions of features that pass the ratio test; each reference feature goes to the query's that is closest."""
    if len(query) < 2 or len(reference) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    cosine = query @ reference.T
    rows = np.arange(len(query))
    best = cosine.argmax(axis=1)
    closest = cosine[rows, best]
    cosine[rows, best] = -1
    first, second = (np.sqrt(np.maximum(2 - 2 * value, 0)) for value in (closest, cosine.max(axis=1)))
    left = np.flatnonzero(first < _RATIO * second)
    left = left[np.lexsort((first[left], best[left]))]
    _, nearest = np.unique(best[left], return_index=True)
    return left[nearest], best[left[nearest]]


def _plausible(matrix: Float64) -> bool:
    large, small = np.linalg.svd(matrix[:, :2], compute_uv=False)
    upright = np.linalg.det(matrix[:, :2]) > 0  # mirrored features are tried on their own
    return bool(upright and small > _SMALLEST and large < _LARGEST and large < _MOST_STRETCH * small)


def _distinct(places: Float32) -> int:
    return len(np.unique(np.round(places * _PLACES), axis=0))


def _frame_on_frame(query: Picture, reference: Picture) -> Float64:
    """The one of the eight orientations in which thumbnails agree best, stretched to the reference's frame."""
    target, own = _thumbnail(reference), _thumbnail(query)
    # The matrix takes the unit square to itself; the thumbnail is that of the turned query
    turns = [(np.array([[x, 0, x < 0], [0, y, y < 0]], np.float64), own[::y, ::x]) for x in (1, -1) for y in (1, -1)]
    turns += [(matrix[::-1], thumbnail.T) for matrix, thumbnail in turns]
    best, _ = max(turns, key=lambda turn: float((turn[1] * target).sum()))
    to_unit = np.diag([1 / side for side in query.size])
    return np.asarray(np.diag(reference.size) @ np.c_[best[:, :2] @ to_unit, best[:, 2]])


def _thumbnail(picture: Picture) -> Float32:
    cv2 = import_cv2()
    grey = cv2.resize(picture.pixels, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).mean(axis=2)
    return np.asarray((grey - grey.mean()) / (grey.std() + 1e-6), dtype=np.float32)
