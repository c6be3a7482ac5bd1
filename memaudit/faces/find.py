"""Pixels to faces: detection by YuNet, alignment by five landmarks, measures of quality."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders import dlib_faces
from memaudit.encoders.sface import PINNED, SIDE, YUNET_FILE, import_cv2, quiet
from memaudit.encoders.specs import families
from memaudit.encoders.weights import loading
from memaudit.faces.rows import Details
from memaudit.types import Float64

DETECTION_SIDE = 1024  # larger images are scaled down to it; the faces are cut from the larger one
# YuNet was made for faces of 10 to 300 pixels: one that fills the image is missed, or gets wrong landmarks, at 1024
CLOSE_SIDE = 320
_CLOSE = 64  # pixels at CLOSE_SIDE: what is smaller is known better from DETECTION_SIDE
# A face on its side or head is found nowhere, or with wrong landmarks and a lower score (0.89 and less, where the
# right turn has 0.88 to 0.96, and the more of the two): so where no face is sure, all four turns are tried.
SURE = 0.9
TURNED_SIDE = 640
TILED_SIDE = 1536  # images with a longer side above this are searched in tiles at full scale, too
_TILE_OVERLAP = (
    256  # pixels: any face that is smaller lies wholly within a tile; of larger ones, enough is left scaled down
)
_STRICTER = 0.1  # of the score in tiles: tens of times the area holds as many more things that resemble a face
_EDGE = 4  # pixels: a box this near to where a tile was cut is of a part of a face
_SHARED = 0.4  # of the smaller of two boxes: what both have in common is one face
SCORE = 0.6
_OVERLAP = 0.3
_LEAST_SIDE = 64  # a strip of fewer pixels makes OpenCV 4.14 hand out memory that it never wrote
_MOST = 5000
# Where the landmarks of a face belong in a crop of 112 x 112: the template of ArcFace (Deng et al. 2019), which SFace
# and most face encoders were trained with.
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_PLACES = np.array([1.0, 1, 0, 0, *[1] * 10])  # of box and landmarks: what moves with the tile, and what is a size
LEAST_SIZE = families()["sface"].least_pixels  # a smaller face has a row, but no embedding that is compared
# Of 682 faces on photographs none scores below 0.8, and at most 0.05 of one is flat (0.27 after JPEG of quality 10,
# 0.38 in 32 colours); of 23 drawn faces that the detector finds 15 have more or score less.
_LIKELY, _DRAWN = 0.7, 0.4
_LEAST_LIGHT, _MOST_LIGHT, _LEAST_SEEN = 40, 250, 0.5
_SHARP = 100.0  # variance of the Laplacian from which on a face counts as sharp


class Found(NamedTuple):
    """A face: what is known of it, and its aligned crop (side, side, 3) RGB uint8; chip: as dlib's network takes it."""

    details: Details
    crop: NDArray[np.uint8]
    chip: NDArray[np.uint8] | None = None

    @property
    def is_small(self) -> bool:
        return self.details.size < LEAST_SIZE

    @property
    def is_human(self) -> bool:
        """A photographed one, as far as can be told: the detector is fairly sure, and nobody drew it."""
        return self.details.score >= _LIKELY and flat_share(self.crop) < _DRAWN


class FaceFinder:
    """Finds the faces of an image. Not thread-safe, as OpenCV's detector is not: one for each thread."""

    def __init__(self, yunet: Path, side: int = SIDE, score: float = SCORE, *, chips: bool = False) -> None:
        self._cv2 = import_cv2()
        self._side, self._score, self._chips = side, score, chips
        with loading(yunet, PINNED[YUNET_FILE]), quiet(self._cv2):
            self._detector = self._cv2.FaceDetectorYN.create(str(yunet), "", (SIDE, SIDE), score, _OVERLAP, _MOST)

    def find(self, image: Image.Image, longer: int = 0) -> list[Found]:
        """The faces of an upright RGB image, by falling score. longer: the longer side of the image as it was stored,
        to whose pixels boxes and landmarks are scaled, if it was decoded at a reduced scale."""
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
        full = longer / max(image.size) if longer else 1.0
        return [self._found(pixels, row, full) for row in self._everywhere(pixels)]

    def _everywhere(self, pixels: NDArray[np.uint8]) -> Float64:
        """As `_detected`, by falling score, each face once: near ones small, in large images small ones in tiles at
        full scale, and turned ones where none that is upright is sure."""
        rows = [self._detected(pixels), self._near(pixels)]
        if max(pixels.shape[:2]) > TILED_SIDE:
            rows += [self._in_tile(pixels, left, top) for left, top in _tiles(pixels)]
        upright = _once(np.concatenate(rows))
        if (upright[:, 14] >= SURE).any():
            return upright
        return _once(np.concatenate([upright, *(self._turned(pixels, turns) for turns in (1, 2, 3))]))

    def _near(self, pixels: NDArray[np.uint8]) -> Float64:
        """The faces that fill much of the image."""
        longer = max(pixels.shape[:2])
        if longer <= CLOSE_SIDE:
            return np.empty((0, 15))  # as they are seen anyway
        found = self._detected(pixels, CLOSE_SIDE)
        return np.asarray(found[found[:, 2:4].min(axis=1) >= _CLOSE * longer / CLOSE_SIDE])

    def _turned(self, pixels: NDArray[np.uint8], turns: int) -> Float64:
        """The faces that are upright once the image is turned left `turns` times, in pixels of the image as it is."""
        found = self._detected(np.ascontiguousarray(np.rot90(pixels, turns)), TURNED_SIDE)
        found = found[found[:, 14] >= self._score + _STRICTER]
        return turned_back(found, turns, pixels.shape[1], pixels.shape[0])

    def _in_tile(self, pixels: NDArray[np.uint8], left: int, top: int) -> Float64:
        """The small faces of a tile that it does not cut through, in pixels of the whole."""
        tile = np.ascontiguousarray(pixels[top : top + DETECTION_SIDE, left : left + DETECTION_SIDE])
        found = self._detected(tile)
        found[:, :14] += np.tile([left, top], 7) * _PLACES
        (height, width), (rows, columns) = tile.shape[:2], pixels.shape[:2]
        start, end = found[:, :2], found[:, :2] + found[:, 2:4]
        cut = ((start < [left + _EDGE, top + _EDGE]) & (np.array([left, top]) > 0)).any(axis=1)
        last = np.array([left + width, top + height])
        cut |= ((end > last - _EDGE) & (last < [columns, rows])).any(axis=1)
        clear = (found[:, 14] >= self._score + _STRICTER) & (found[:, 2:4].max(axis=1) <= _TILE_OVERLAP)
        return np.asarray(found[clear & ~cut])

    def _detected(self, pixels: NDArray[np.uint8], side: int = DETECTION_SIDE) -> Float64:
        """(n, 15): box, five landmarks, score; in pixels of the array given, which is looked at with `side` at most."""
        height, width = pixels.shape[:2]
        scale = min(1.0, side / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = pixels
        if scale < 1:
            small = self._cv2.resize(pixels, size, interpolation=self._cv2.INTER_AREA)
        missing = [max(0, _LEAST_SIDE - side) for side in (size[1], size[0])]
        if any(missing):
            small = self._cv2.copyMakeBorder(small, 0, missing[0], 0, missing[1], self._cv2.BORDER_CONSTANT)
        self._detector.setInputSize(small.shape[1::-1])
        rows = self._detector.detect(small)[1]
        if rows is None:
            return np.empty((0, 15))
        found = rows.astype(np.float64)
        found[:, :14] *= np.tile([width / size[0], height / size[1]], 7)
        return np.asarray(found[[_is_inside(row, width, height) for row in found]])

    def _found(self, pixels: NDArray[np.uint8], row: Float64, full: float) -> Found:
        landmarks = row[4:14].reshape(5, 2)
        crop = aligned(pixels, landmarks, self._side)
        sharpness = float(self._cv2.Laplacian(self._cv2.cvtColor(crop, self._cv2.COLOR_BGR2GRAY), 6).var())
        details = _details(row[:4] * full, landmarks * full, float(row[14]), sharpness)
        chip = moved(pixels, landmarks, dlib_faces.PLACES, dlib_faces.SIDE)[:, :, ::-1] if self._chips else None
        return Found(details, np.ascontiguousarray(crop[:, :, ::-1]), chip)


def turned_back(rows: Float64, turns: int, width: int, height: int) -> Float64:
    """Boxes and landmarks (n, 15) of an image that was turned left, as they lie on the image of this size before."""
    back = rows.copy()
    for turn in reversed(range(turns)):
        side = (width, height)[turn % 2]  # the width before this turn
        left, top, wide, high = back[:, :4].T.copy()
        back[:, :4] = np.column_stack([side - top - high, left, high, wide])
        points = back[:, 4:14].reshape(-1, 5, 2).copy()
        back[:, 4:14] = np.stack([side - points[..., 1], points[..., 0]], axis=-1).reshape(-1, 10)
    return back


def _tiles(pixels: NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Left and top of evenly spread squares that overlap by _TILE_OVERLAP at least."""
    tops, lefts = (_starts(side) for side in pixels.shape[:2])
    return ((left, top) for top in tops for left in lefts)


def _starts(side: int) -> list[int]:
    if side <= DETECTION_SIDE:
        return [0]
    count = math.ceil((side - _TILE_OVERLAP) / (DETECTION_SIDE - _TILE_OVERLAP))
    return [round(place * (side - DETECTION_SIDE) / (count - 1)) for place in range(count)]


def _once(rows: Float64) -> Float64:
    """By falling score, without those that share _SHARED of the smaller box with a better one."""
    kept: list[Float64] = []
    for row in rows[np.argsort(-rows[:, 14], kind="stable")]:
        if not kept or _shared(row, np.stack(kept)).max() < _SHARED:
            kept.append(row)
    return np.stack(kept) if kept else rows


def _shared(row: Float64, others: Float64) -> Float64:
    """What a box has in common with each of the others, as a share of the smaller of the two."""
    start = np.maximum(row[:2], others[:, :2])
    end = np.minimum(row[:2] + row[2:4], others[:, :2] + others[:, 2:4])
    common = np.clip(end - start, 0, None).prod(axis=1)
    return np.asarray(common / np.minimum(row[2:4].prod(), others[:, 2:4].prod(axis=1)))


def _is_inside(row: Float64, width: int, height: int) -> bool:
    """A sound box with its middle on the image."""
    middle = row[:2] + row[2:4] / 2
    sound = bool(np.isfinite(row).all() and (row[2:4] > 0).all())
    return sound and bool((middle >= 0).all() and middle[0] <= width and middle[1] <= height)


def aligned(pixels: NDArray[np.uint8], landmarks: Float64, side: int = SIDE) -> NDArray[np.uint8]:
    """The face with its landmarks (5, 2) moved to where encoders want them: (side, side, 3), channels as given.

    For 112 the same as OpenCV's FaceRecognizerSF.alignCrop, without its weights.
    """
    return moved(pixels, landmarks, _TEMPLATE * (side / SIDE), side)


def moved(pixels: NDArray[np.uint8], landmarks: Float64, places: Float64, side: int) -> NDArray[np.uint8]:
    """A square of the picture in which the landmarks lie as near as can be to `places` (5, 2)."""
    cv2 = import_cv2()
    matrix = similarity_transform(landmarks, places)
    crop: NDArray[np.uint8] = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR)
    return crop


def flat_share(crop: NDArray[np.uint8]) -> float:
    """Of the middle of an aligned face: the share of pixels that equal the ones to the right and below. Of dark and of
    burnt out pixels nobody can tell; 0 where nearly all are."""
    side = len(crop)
    face = crop[side // 6 : -side // 14, side // 6 : -side // 6].astype(np.int16)
    inner = face[:-1, :-1]
    seen = (inner.max(axis=2) >= _LEAST_LIGHT) & (inner.min(axis=2) <= _MOST_LIGHT)
    same = (np.diff(face, axis=0)[:, :-1] == 0).all(axis=2) & (np.diff(face, axis=1)[:-1] == 0).all(axis=2)
    return float(same[seen].mean()) if seen.mean() >= _LEAST_SEEN else 0.0


def similarity_transform(points: Float64, targets: Float64) -> Float64:
    """The rotation, scaling and translation (2, 3) that brings points (n, 2) nearest to targets (Umeyama 1991)."""
    mean, goal = points.mean(axis=0), targets.mean(axis=0)
    centred = points - mean
    u, spread, vt = np.linalg.svd((targets - goal).T @ centred / len(points))
    signs = np.array([1.0, 1.0 if np.linalg.det(u) * np.linalg.det(vt) > 0 else -1.0])
    rotation = (u * signs) @ vt
    scale = (spread * signs).sum() / max(float((centred**2).sum() / len(points)), 1e-12)
    return np.column_stack([scale * rotation, goal - scale * rotation @ mean])


def _details(box: Float64, landmarks: Float64, score: float, sharpness: float) -> Details:
    right_eye, left_eye, nose = landmarks[:3]
    between = left_eye - right_eye
    distance = max(float(np.linalg.norm(between)), 1e-6)
    yaw = float((nose - (right_eye + left_eye) / 2) @ between) / distance**2
    size = float(min(box[2:]))
    quality = score * min(1.0, size / SIDE) * min(1.0, sharpness / _SHARP) * max(0.0, 1 - 2 * abs(yaw))
    left, top, width, height = (round(float(value), 1) for value in box)
    return Details(
        box=(left, top, width, height),
        landmarks=tuple((round(float(x), 1), round(float(y), 1)) for x, y in landmarks),
        score=round(score, 4),
        size=round(size, 1),
        sharpness=round(sharpness, 1),
        yaw=round(max(-9.0, min(9.0, yaw)), 3),
        roll=round(math.degrees(math.atan2(between[1], between[0])), 1),
        quality=round(max(0.0, quality), 4),
    )


@contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """A call a core: threads of OpenCV's own would only wait for each other while ours work on other images."""
    cv2: Any = import_cv2()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
