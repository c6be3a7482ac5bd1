"""How two pictures that lie on each other differ: whether something was laid over one of them, or another was drawn.

A sticker or a caption adds something to one picture and hides what is behind it. Another card of the same deck lacks
what the first one shows, on plain paper, and shows what that lacks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.agreement import Laid, to_grey
from memaudit.matching.pictures import import_cv2
from memaudit.types import Float32

Mask = NDArray[np.bool_]
_FAR = 30  # of 255: what JPEG and a shift by two pixels leave of a difference stays below it
_EDGE = 22  # of 255: least step of an outline; of what might be one, half
_ROUND = 5  # pixels: what lies as near to another one is at its place
_CLOSE = 9  # pixels: gaps that are closed in what was laid over a picture
_LEAST_LAID, _LEAST_PIECE = 30, 12  # pixels
_PIECE = 0.05  # of the largest
_RIDGE = 20.0  # towards colours that are as they were
_EVERY = 3  # pixels: of these one, to fit colours
_LEAST_FITTED = 20
_OUTLIER = 3.0  # times the median, and at least `_FAR`


class Differences(NamedTuple):
    """Of pixels that differ whatever the colours were changed to, as shares of these and of the outlines of both
    pictures. beyond: those outside the largest piece; ragged: those in it, less where that is solid, as a sticker is;
    solid: how much of its hull the largest piece fills; pieces: how many there are. lost, more_lost: outlines of either
    picture that the other one lacks, though nothing lies there; of the picture that lacks fewer, and of the other.
    outlined: share of the common part that shows outlines. recoloured: how far colours are from those that the best
    linear change of colours gives, of 255."""

    beyond: float
    ragged: float
    solid: float
    pieces: int
    lost: float
    more_lost: float
    outlined: float
    recoloured: float


NOTHING_SHOWN = Differences(0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)


def differences(laid: Laid) -> Differences:
    """Of two pictures, one laid on the other."""
    fitted = _recoloured(laid)
    if fitted is None:
        return NOTHING_SHOWN
    own, other, left_over = fitted
    valid = _of_patches(laid.common, laid.own.grey)
    differing = (np.maximum(_outside(own, other), _outside(other, own)) > _FAR) & valid
    shown = _widened(np.maximum(_steps(laid.own.grey), _steps(laid.other.grey)) > _EDGE) & valid
    total = max(1, int((shown | differing).sum()))
    pieces, largest, solid = _pieces(differing)
    lost, more_lost = sorted(_lost(own, other, differing, valid))
    ragged = largest * (1 - solid)
    return Differences(
        (int(differing.sum()) - largest) / total,
        ragged / total,
        solid,
        pieces,
        lost,
        more_lost,
        int(shown.sum()) / max(1, int(valid.sum())),
        left_over,
    )


def _recoloured(laid: Laid) -> tuple[Float32, Float32, float] | None:
    """Both pictures (height, width, 3), one of them in the colours of the other, and how far these are off, of 255.

    The colours are changed linearly, as grey, faded and tinted copies are, so that what agrees fits best; of either
    way round the one that fits better, for grey has no way back. None where next to nothing agrees.
    """
    agrees = laid.common & (laid.agree | ~laid.texture)
    here = _of_patches(agrees, laid.own.grey)[1::_EVERY, 1::_EVERY]
    own, other = (drawn.pixels[1::_EVERY, 1::_EVERY][here] for drawn in (laid.own, laid.other))
    if len(own) < _LEAST_FITTED:
        return None
    there, back = _linear(own, other), _linear(other, own)
    off = [float(np.abs(_changed(a, m) - b).mean()) for a, m, b in ((own, there, other), (other, back, own))]
    # To one colour alone all others can be changed
    if off[0] * (own.std() + 1) <= off[1] * (other.std() + 1):
        return _painted(laid.own.pixels, there), laid.other.pixels, off[0]
    return laid.own.pixels, _painted(laid.other.pixels, back), off[1]


def _linear(source: Float32, target: Float32) -> Float32:
    """The matrix (4, 3) that takes colours (n, 3), and 128, nearest to others (n, 3): ridge regression towards no
    change, and once more without what is far off."""
    matrix = _ridge(source, target)
    off = _most(np.abs(_changed(source, matrix) - target))
    near = off <= max(_FAR, _OUTLIER * float(np.median(off)))
    return _ridge(source[near], target[near])


def _ridge(source: Float32, target: Float32) -> Float32:
    columns = np.c_[source, np.full(len(source), 128, np.float32)]
    gram = columns.T @ columns / len(columns) + _RIDGE * np.eye(4, dtype=np.float32)
    towards = columns.T @ target / len(columns) + _RIDGE * np.eye(4, 3, dtype=np.float32)
    return np.asarray(np.linalg.solve(gram, towards), np.float32)


def _changed(colours: Float32, matrix: Float32) -> Float32:
    return np.asarray(np.clip(colours @ matrix[:3] + 128 * matrix[3], 0, 255))


def _painted(pixels: Float32, matrix: Float32) -> Float32:
    changed = import_cv2().transform(pixels, np.ascontiguousarray(np.c_[matrix[:3].T, 128 * matrix[3]]))
    return np.asarray(np.clip(changed, 0, 255))


def _outside(one: Float32, other: Float32) -> Float32:
    """How far each pixel of one is from all that the other shows around it, (height, width), of 255."""
    cv2, around = import_cv2(), np.ones((_ROUND, _ROUND), np.uint8)
    low, high = cv2.erode(other, around), cv2.dilate(other, around)
    return _most(np.maximum(one - high, low - one))


def _most(colours: Float32) -> Float32:
    """The largest of three channels; many times as fast as NumPy's along an axis so short."""
    return np.asarray(np.maximum(np.maximum(colours[..., 0], colours[..., 1]), colours[..., 2]))


def _steps(grey: Float32) -> Float32:
    cv2 = import_cv2()
    return np.asarray(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))


def _pieces(differing: Mask) -> tuple[int, int, float]:
    """How many pieces there are, the pixels of the largest, and what share of its hull they fill."""
    cv2 = import_cv2()
    count, label, stats, _ = cv2.connectedComponentsWithStats(_closed(differing))
    if count < 2:
        return 0, 0, 0.0
    pixels = np.bincount(label[differing], minlength=count)[1:]
    largest = int(pixels.argmax())
    left, top, width, height = stats[largest + 1, :4]
    piece = (label[top : top + height, left : left + width] == largest + 1).astype(np.uint8)
    hull = cv2.contourArea(cv2.convexHull(max(_contours(piece), key=cv2.contourArea)))
    many = int((pixels >= max(_LEAST_PIECE, _PIECE * pixels[largest])).sum())
    return many, int(pixels[largest]), float(min(1.0, pixels[largest] / max(1.0, hull)))


def _lost(own: Float32, other: Float32, differing: Mask, valid: Mask) -> tuple[float, float]:
    """Of the outlines of both the shares that only the first, and only the second shows, though the other one is not
    covered there by what was laid over it: by figures that it alone shows."""
    steps = [_steps(to_grey(pixels)) for pixels in (own, other)]
    outlines, traces = [(step > _EDGE) & valid for step in steps], [(step > _EDGE / 2) & valid for step in steps]
    around = [_widened(trace) for trace in traces]
    total = max(1, int((outlines[0] | outlines[1]).sum()))
    first, second = (
        int(
            (outlines[one] & ~around[not one] & differing & ~_covered(traces[not one] & ~around[one] & differing)).sum()
        )
        for one in (False, True)
    )
    return first / total, second / total


def _covered(new: Mask) -> Mask:
    """What lies within the hulls of its figures."""
    cover, cv2 = np.zeros(new.shape, np.uint8), import_cv2()
    hulls = [cv2.convexHull(figure) for figure in _contours(_closed(new))]
    cv2.drawContours(cover, [hull for hull in hulls if cv2.contourArea(hull) >= _LEAST_LAID], -1, 1, cv2.FILLED)
    return _widened(cover.astype(bool))


def _contours(mask: NDArray[np.uint8]) -> Any:
    cv2 = import_cv2()
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


def _closed(mask: Mask) -> NDArray[np.uint8]:
    cv2 = import_cv2()
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_CLOSE, _CLOSE))
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc))


def _widened(mask: Mask) -> Mask:
    return np.asarray(import_cv2().dilate(mask.astype(np.uint8), np.ones((_ROUND, _ROUND), np.uint8)).astype(bool))


def _of_patches(which: Mask, like: Float32) -> Mask:
    """The pixels (height, width) of these patches."""
    cv2 = import_cv2()
    size = like.shape[1::-1]
    return np.asarray(cv2.resize(which.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool))
