"""What is kept of an image to hold it against others: its pixels at a small size, and its local features."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.errors import InputError, require
from memaudit.images.decode import UnreadableImageError, decoding
from memaudit.images.sources import read_image
from memaudit.images.windows import Box, window_named
from memaudit.store import ANOTHER_FILE, is_same_file
from memaudit.types import Float32, Float64

Made = TypeVar("Made")
SIDE = 384  # pixels of the longer side that features are taken at
FEATURES = 600
_PIXEL_SIDE = 256  # pixels of the longer side that are compared
READING = 1  # raised by hand when a file gives other pixels or features, here or in images/decode.py: see kept.py
REDUCTION = f"{FEATURES} SIFT features at {SIDE}, pixels at {_PIXEL_SIDE}"
MARGIN = 0.25  # of a window's sides, on every side: what lies in the window may reach beyond it
SCALES = np.geomspace(0.3, 1, 13)  # of a picture, to that of the one below it
_COARSE = 48  # pixels of the longer side at scale 1
_PLAIN_GREY = 4  # of 255: standard deviation below which there is nothing to look for
THUMB = 32  # pixels of either side
_LEAST_CONTENT = 0.05  # share of the picture: less is a speck on its ground
_LEAST_LEVEL = 8  # pixels of the shorter side
_PLAIN = 12  # of 255: what JPEG does to a plain surface stays below it
_BINS = np.arange(128).reshape(4, 4, 8)
_MIRRORED = _BINS[::-1][:, :, -np.arange(8) % 8].ravel()


class Features(NamedTuple):
    """SIFT keypoints: places (n, 2) float32, shares of the longer side, and RootSIFT descriptors (n, 128) float32."""

    places: Float32
    descriptors: Float32

    def mirrored(self, width: float) -> Features:
        """Those of the mirrored image, `width` wide. The descriptor's rows lie across the keypoint's direction: they
        change places, and every gradient turns the other way round."""
        places = self.places * np.array([-1, 1], np.float32) + np.array([width, 0], np.float32)
        return Features(places, self.descriptors[:, _MIRRORED])


class Sift(NamedTuple):
    """Keypoints: places (n, 2) float32, shares of the longer side, and descriptors (n, 128) uint8."""

    places: Float32
    descriptors: NDArray[np.uint8]

    def rooted(self) -> Features:
        """RootSIFT: Arandjelovic & Zisserman, CVPR 2012."""
        sums = np.maximum(self.descriptors.sum(axis=1, keepdims=True, dtype=np.float32), np.float32(1e-9))
        return Features(self.places, np.sqrt(self.descriptors / sums))


class Coarse(NamedTuple):
    """A picture in grey and very small: (height, width) float32 at a scale of `SCALES`; whether it shows anything."""

    scale: float
    grey: Float32
    shows: bool


class Frame(NamedTuple):
    """Where a part lies in an image: the matrix (2, 3) from places of the part to places of the image, and the image's
    width and height; the longer one is 1."""

    place: Float64
    image_size: tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """`pixels` (height, width, 3) uint8 RGB; `ground` (height, width) bool: the plain surface that it lies on, such as
    a page or the black corners of a turned photograph. Places and lengths are shares of the longer side.

    within: of a picture that shows a part of an image its frame there, None: it shows all of it.
    """

    pixels: NDArray[np.uint8]
    ground: NDArray[np.bool_]
    features: Features
    within: Frame | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height; the longer one is 1."""
        height, width = self.pixels.shape[:2]
        return _shares(width, height)

    @property
    def image_size(self) -> tuple[float, float]:
        """Width and height of the image that it is of; the longer one is 1."""
        return self.size if self.within is None else self.within.image_size

    @property
    def place(self) -> Float64:
        """The matrix (2, 3) that takes its places to those of the image that it is of."""
        return np.eye(2, 3) if self.within is None else self.within.place

    @cached_property
    def pyramid(self) -> tuple[NDArray[np.uint8], ...]:
        """The pixels at all of their size, a half, a quarter and so on."""
        levels = [self.pixels]
        while min(levels[-1].shape[:2]) >= 2 * _LEAST_LEVEL:
            levels.append(import_cv2().pyrDown(levels[-1]))
        return tuple(levels)

    @cached_property
    def greys(self) -> tuple[Float32, ...]:
        """The levels of the pyramid from a half on, in grey; of a tiny picture the only one."""
        cv2 = import_cv2()
        return tuple(
            cv2.cvtColor(level, cv2.COLOR_RGB2GRAY).astype(np.float32) for level in self.pyramid[1:] or self.pyramid
        )

    def at(self, side: float) -> tuple[int, int]:
        """Width and height in pixels where the longer side has `side`."""
        width, height = (max(1, round(length * side)) for length in self.size)
        return width, height

    @cached_property
    def coarse(self) -> tuple[Coarse, ...]:
        """At each of `SCALES`, for sliding over each other."""
        cv2 = import_cv2()
        grey = cv2.cvtColor(self.pyramid[min(1, len(self.pyramid) - 1)], cv2.COLOR_RGB2GRAY).astype(np.float32)
        found = []
        for scale in SCALES:
            small = cv2.resize(grey, self.at(_COARSE * scale), interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), 0.7)
            found.append(Coarse(float(scale), small, bool(small.std() >= _PLAIN_GREY)))
        return tuple(found)

    @cached_property
    def _blurred(self) -> dict[tuple[float, float], NDArray[np.uint8]]:
        return {}

    def blurred(self, side: float, sigma: float) -> NDArray[np.uint8]:
        """The pixels at a smaller size, where the longer side has `side`, blurred; made once."""
        if (side, sigma) not in self._blurred:
            cv2 = import_cv2()
            small = cv2.resize(self.pixels, self.at(side), interpolation=cv2.INTER_AREA)
            self._blurred[side, sigma] = cv2.GaussianBlur(small, (0, 0), sigma)
        return self._blurred[side, sigma]

    @cached_property
    def frames(self) -> tuple[Float64, ...]:
        """Matrices (2, 3) from the unit square to the frame of the picture, and, where that is another, to the frame of
        what lies on its ground: turned with it, or within a border."""
        whole = np.c_[np.diag(self.size), [0.0, 0.0]]
        content = _content_frame(self.ground)
        return (whole,) if content is None else (whole, content)

    @cached_property
    def thumbnails(self) -> Float32:
        """What its frames show: (frames, THUMB, THUMB) float32, grey, of mean 0 and variance 1."""
        return np.stack([_thumbnail(self, frame) for frame in self.frames])


class Reduced(NamedTuple):
    """What is made of an image's pixels, and dear: `pixels` (height, width, 3) uint8 RGB and local features. within: as
    of a Picture."""

    pixels: NDArray[np.uint8]
    sift: Sift
    within: Frame | None = None

    def picture(self) -> Picture:
        return Picture(self.pixels, _ground(self.pixels), self.sift.rooted(), self.within)


def read_picture(uri: str, sha256: str, part: str = "") -> Picture | str:
    """Read the image at `uri`, or say why it cannot be: absent, unreadable, or another file than the one embedded.

    part: the name of a window; of the image only this, and `MARGIN` around it, makes the picture then.
    """
    reduced = read_reduced(uri, sha256, part)
    return reduced if isinstance(reduced, str) else reduced.picture()


def read_reduced(uri: str, sha256: str, part: str = "") -> Reduced | str:
    """The same before anything is made of it that costs little."""

    def reduced(image: Image.Image) -> Reduced:
        made = reduced_of(part_of(image, part))
        return made._replace(within=_frame(part, image.size)) if part else made

    return _read(uri, sha256, round(SIDE / window_named(part).part) if part else SIDE, reduced)


def read_pixels(uri: str, sha256: str) -> NDArray[np.uint8] | str:
    """The pixels alone, (height, width, 3) uint8 RGB as a Picture has them, bit for bit: decoded as for features,
    though these are not sought; or why there are none."""
    return _read(uri, sha256, SIDE, pixels_of)


def _read(uri: str, sha256: str, side: int, made: Callable[[Image.Image], Made]) -> Made | str:
    """What is made of the image at `uri`, decoded at no less than `side` pixels, or why it cannot be read."""
    try:
        data = read_image(uri)
    except MemoryError:  # no fault of the file
        raise
    except Exception as error:  # noqa: BLE001 - each backend of fsspec, and Arrow, has exceptions of its own
        return f"cannot read file: {_reason(error)}"
    if not is_same_file(data, sha256):
        return ANOTHER_FILE
    try:
        with decoding(data, side=side) as decoded:
            return made(decoded.image)
    except UnreadableImageError as error:
        return str(error)


def part_of(image: Image.Image, part: str) -> Image.Image:
    """What `part`, the name of a window, shows of an image with its surroundings; all of it for no name."""
    return image.crop(_crop(part, image.size)) if part else image


def _crop(part: str, size: tuple[int, int]) -> Box:
    return window_named(part).box(size).widened(MARGIN, size)


def _frame(part: str, size: tuple[int, int]) -> Frame:
    left, top, right, bottom = _crop(part, size)
    scale = max(right - left, bottom - top) / max(size)
    return Frame(np.array([[scale, 0, left / max(size)], [0, scale, top / max(size)]]), _shares(*size))


def _shares(width: int, height: int) -> tuple[float, float]:
    return width / max(width, height), height / max(width, height)


def _reason(error: Exception) -> str:
    """Without the name of the file, so that equal reasons can be counted."""
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)
    if isinstance(error, InputError):
        return str(error)
    return getattr(error, "strerror", None) or type(error).__name__


def picture_of(image: Image.Image) -> Picture:
    """Reduce an RGB image to a Picture."""
    return reduced_of(image).picture()


def reduced_of(image: Image.Image) -> Reduced:
    """Small ones are enlarged: SIFT finds nothing in icons as they are."""
    grey = np.asarray(_resized(image, SIDE).convert("L"))
    return Reduced(pixels_of(image), _sift(grey))


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 of an RGB image, at the size that is compared."""
    return np.array(_resized(image, _PIXEL_SIDE))


def _ground(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What a flood from the four corners reaches, where the colour stays that of the corner."""
    cv2 = import_cv2()
    height, width = pixels.shape[:2]
    mask = np.zeros((height + 2, width + 2), np.uint8)
    how = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if not mask[corner[1] + 1, corner[0] + 1]:
            cv2.floodFill(pixels, mask, corner, 0, (_PLAIN,) * 3, (_PLAIN,) * 3, how)
    return mask[1:-1, 1:-1].astype(bool)


def _content_frame(ground: NDArray[np.bool_]) -> Float64 | None:
    """The smallest rectangle around what is no ground, however turned; None where there is no ground, or where next to
    nothing lies on it."""
    shown = ~ground
    if shown.sum() < _LEAST_CONTENT * shown.size or shown.all():
        return None
    cv2 = import_cv2()
    rows = np.flatnonzero(shown.any(axis=1))
    first, last = shown[rows].argmax(axis=1), shown.shape[1] - 1 - shown[rows, ::-1].argmax(axis=1)
    ends = np.r_[np.c_[first, rows], np.c_[last, rows]]  # of each row: they span the same hull as all pixels
    corners = cv2.boxPoints(cv2.minAreaRect(ends.astype(np.float32))).astype(np.float64)
    origin, right, down = ((corners[i] + 0.5) / max(shown.shape) for i in (0, 1, 3))
    content = np.c_[right - origin, down - origin, origin]
    return content if abs(np.linalg.det(content[:, :2])) > _LEAST_CONTENT else None


def _thumbnail(picture: Picture, frame: Float64) -> Float32:
    grey = laid(picture, np.diag([THUMB, THUMB]) @ inverted(frame), (THUMB, THUMB)).mean(axis=2)
    return np.asarray((grey - grey.mean()) / (grey.std() + 1e-6), dtype=np.float32)


def _resized(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BICUBIC)


def _sift(grey: NDArray[np.uint8]) -> Sift:
    keypoints, descriptors = import_cv2().SIFT_create(nfeatures=FEATURES).detectAndCompute(grey, None)
    if descriptors is None:
        return Sift(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))
    places = np.array([keypoint.pt for keypoint in keypoints], np.float32) + 0.5  # OpenCV counts from a pixel's centre
    return Sift(places / max(grey.shape), descriptors.astype(np.uint8))  # whole numbers that OpenCV tells as floats


def composed(outer: Float64, inner: Float64) -> Float64:
    """The matrix (2, 3) of `inner`, then `outer`."""
    both = outer[:, :2] @ inner
    both[:, 2] += outer[:, 2]
    return np.asarray(both)


def inverted(matrix: Float64) -> Float64:
    """The matrix (2, 3) of the way back. Raises numpy.linalg.LinAlgError where there is none."""
    back = np.linalg.inv(matrix[:, :2])
    return np.column_stack([back, -back @ matrix[:, 2]])


def to_canvas(picture: Picture, matrix: Float64) -> Float64:
    """The matrix from a picture's pixels to those of a canvas, for OpenCV; `matrix` takes its places there."""
    longer = max(picture.pixels.shape[:2])
    shift = np.array([[1 / longer, 0, 0.5 / longer], [0, 1 / longer, 0.5 / longer]])  # centre of a pixel to its place
    return np.asarray(composed(matrix, shift) - np.array([[0, 0, 0.5], [0, 0, 0.5]]))


def laid(picture: Picture, matrix: Float64, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture on a canvas of `size` (width, height), its edge continued; matrix (2, 3) from its places to pixels."""
    cv2 = import_cv2()
    matrix = to_canvas(picture, matrix)
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    level = min(round(-np.log2(max(shrink, 1e-3))), len(picture.pyramid) - 1) if shrink < 1 else 0
    pixels = picture.pyramid[level]
    matrix = matrix @ np.diag([2.0**level, 2.0**level, 1.0])  # OpenCV's levels keep the centre of the first pixel
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return np.asarray(cv2.warpAffine(pixels, matrix, size, **how))


def import_cv2() -> Any:
    """Import OpenCV, or raise MissingDependencyError with the line that installs it."""
    return sys.modules.get("cv2") or require("cv2", "comparing pixels", "turn it off with --match none")
