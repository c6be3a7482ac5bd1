"""Where a picture lies in another one: hypotheses from local features, from laying frame on frame, and from sliding."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from memaudit.matching.hopeless import hopeless
from memaudit.matching.pictures import SIDE, THUMB, Features, Picture, composed, import_cv2, inverted
from memaudit.matching.template_match import placements
from memaudit.types import Float32, Float64, Int64

LEAST_INLIERS = 5
_RATIO = 0.8  # Lowe's test: the second-best match must be farther by this
_TOLERANCE = 5.0  # pixels at the size that features are taken at
_PLACES = 96  # to the longer side: features closer than one of these are one piece of evidence
_SMALLEST, _LARGEST = 0.15, 7.0  # scale of the query in the reference
_MOST_STRETCH = 2.2  # ratio of the scales along two axes
_TURNS = [(x, y, transposed) for x in (1, -1) for y in (1, -1) for transposed in (False, True)]


class Way(StrEnum):
    """What said how one picture lies on the other."""

    FEATURES = "features"
    MIRRORED = "mirrored features"
    FRAME = "frame on frame"
    CONTENT = "frame of what lies on the ground"
    SLID = "slid over"


class Alignment(NamedTuple):
    """`matrix` (2, 3) float64 maps places of the query to places of the reference, both in shares of the longer side.

    inliers: matched features at distinct places that agree with it; 0 where there are no features behind it.
    inlier_share: of the features of either picture that lie within the other the smaller number, how many that is.
    score: how well the pictures correlate when it is found without features, very small, -1 to 1; 0 with features.
    """

    matrix: Float64
    way: Way
    inliers: int = 0
    inlier_share: float = 0.0
    score: float = 0.0

    @property
    def sought(self) -> bool:
        """Whether the pixels were asked for it, so that their agreement says less."""
        return self.way in (Way.CONTENT, Way.SLID)


def alignments(query: Picture, reference: Picture) -> Iterator[Alignment]:
    """What is worth looking at, in order of its price: by features, as it is and mirrored, frame on frame, by sliding.
    At most eight, and the third of these in any case."""
    for found in _proposed(query, reference):
        if found.way is Way.FRAME or not hopeless(query, reference, found):
            yield found


def _proposed(query: Picture, reference: Picture) -> Iterator[Alignment]:
    for found in _by_features(query.features, reference.features, Way.FEATURES):
        yield _shared(found, query, reference)
    width = query.size[0]
    mirror = np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]])
    for found in _by_features(query.features.mirrored(width), reference.features, Way.MIRRORED):
        yield _shared(found._replace(matrix=composed(found.matrix, mirror)), query, reference)
    yield _frame_on_frame(query, reference, Way.FRAME)
    if len(query.frames) + len(reference.frames) > 2:
        yield _frame_on_frame(query, reference, Way.CONTENT)
    for placed in placements(query, reference):
        if _plausible(placed.matrix):
            yield Alignment(placed.matrix, Way.SLID, score=placed.correlation)


def _by_features(query: Features, reference: Features, way: Way) -> Iterator[Alignment]:
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
            yield Alignment(matrix * np.array([1, 1, 1 / SIDE]), way, inliers)


def _shared(found: Alignment, query: Picture, reference: Picture) -> Alignment:
    """With the share of the features that could agree."""
    within = min(
        _within(query.features.places, found.matrix, reference.size),
        _within(reference.features.places, inverted(found.matrix), query.size),
    )
    return found._replace(inlier_share=min(1.0, found.inliers / max(1, within)))


def _within(places: Float32, matrix: Float64, size: tuple[float, float]) -> int:
    there = places @ matrix[:, :2].T + matrix[:, 2]
    return int(((there >= 0) & (there <= np.array(size))).all(axis=1).sum())


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
    return len(set(map(tuple, np.round(places * _PLACES).tolist())))


def _frame_on_frame(query: Picture, reference: Picture, way: Way) -> Alignment:
    """Of the frames of either picture (Way.FRAME: of all of it) and their eight orientations, those in which thumbnails
    agree best."""
    count = 1 if way is Way.FRAME else None
    own, others = query.thumbnails[:count], reference.thumbnails[:count]
    turned = np.stack([_turned(own, *turn) for turn in _TURNS], axis=1)
    score = turned.reshape(-1, THUMB**2) @ others.reshape(len(others), -1).T / THUMB**2
    i, other = divmod(int(score.argmax()), len(others))
    frame, turn = divmod(i, len(_TURNS))
    matrix = composed(composed(reference.frames[other], _turn(*_TURNS[turn])), inverted(query.frames[frame]))
    return Alignment(matrix, way, score=float(score.max()))


def _turned(thumbnails: Float32, x: int, y: int, transposed: bool) -> Float32:
    turned = thumbnails[:, ::y, ::x]
    return turned.swapaxes(1, 2) if transposed else turned


def _turn(x: int, y: int, transposed: bool) -> Float64:
    """The matrix that takes the unit square to itself as `_turned` does."""
    matrix = np.array([[x, 0, x < 0], [0, y, y < 0]], np.float64)
    return matrix[::-1] if transposed else matrix
