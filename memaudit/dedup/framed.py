"""Which images of a family agree frame on frame, and which show something in it that the others do not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float32, Float64, Int64

_APART = 12.0  # levels between cells that show another thing
_FITTED, _ROUNDS = 0.7, 3  # share of the cells, those that fit best, that brightness and contrast are fitted to
_SAME, _MOST = 0.01, 0.4  # share of the cells that are apart, at most: of two that agree; of two of one frame
_LINED_UP = 8.0  # levels between the cells of two of one frame, in the median
_CONTRAST = 2.5  # by which it may differ
_SHARED = 0.1  # share of the cells with something in them that agree: on a plain ground all others do
_MIRRORED = 0.5  # what an image counts that agrees when it is mirrored
_PAIRS_AT_ONCE = 1 << 12
Bools = NDArray[np.bool_]


class Framed(NamedTuple):
    """agreeing (n,): with how many others each image agrees, mirrored ones counted half.
    overlaid (n,): it shows something in a part of its frame that more others lack than agree with it, counting only
    those that agree with others."""

    agreeing: Float64
    overlaid: Bools


class _Relations(NamedTuple):
    """Of pairs (p,): they agree; they are of one frame, and differ in a part of it; one of them is mirrored."""

    same: Bools
    partly: Bools
    mirrored: Bools


def framed(thumbs: Float32, one: Int64, other: Int64) -> Framed:
    """Compare the grey thumbnails (n, t, t), 0 to 255, of pairs: places (p,) of either.

    Who was scaled, compressed or mirrored agrees with the others; who was cropped, turned or framed does not; who was
    drawn or written on differs in a part. The order of pairs, and within them, does not matter. Memory: 3 bytes a pair,
    and 20 MB for `_PAIRS_AT_ONCE` of them.
    """
    related = _related(thumbs, one, other)
    size = len(thumbs)
    agreeing = _counted(size, one, other, related.same, np.where(related.mirrored, _MIRRORED, 1.0))
    sure = agreeing > 0
    lacking = np.bincount(one[related.partly & sure[other]], minlength=size)
    lacking += np.bincount(other[related.partly & sure[one]], minlength=size)
    with_it = _counted(size, one, other, related.same, np.ones(len(one)))
    return Framed(agreeing, lacking > with_it)


def _counted(size: int, one: Int64, other: Int64, chosen: Bools, weight: Float64) -> Float64:
    ends = np.concatenate([one[chosen], other[chosen]])
    return np.bincount(ends, np.tile(weight[chosen], 2), size).astype(np.float64)


def _related(thumbs: Float32, one: Int64, other: Int64) -> _Relations:
    found = _Relations(*np.zeros((3, len(one)), bool))
    for low in range(0, len(one), _PAIRS_AT_ONCE):
        run = slice(low, low + _PAIRS_AT_ONCE)
        for whole, part in zip(found, _compared(thumbs[one[run]], thumbs[other[run]]), strict=True):
            whole[run] = part
    return found


def _compared(left: Float32, right: Float32) -> _Relations:
    cells = left.reshape(len(left), -1)
    direct, turned = (_apart(cells, side.reshape(len(side), -1)) for side in (right, right[:, :, ::-1]))
    mirrored = (turned > _APART).mean(axis=1) < (direct > _APART).mean(axis=1) - _SAME
    seen = np.where(mirrored[:, None, None], right[:, :, ::-1], right).reshape(len(right), -1)
    apart = np.where(mirrored[:, None], turned, direct)
    differ = apart > _APART
    filled = _filled(cells) | _filled(seen)
    shared = (filled & ~differ).sum(axis=1) >= _SHARED * (filled | differ).sum(axis=1)
    lined_up = shared & (np.median(apart, axis=1) <= _LINED_UP)
    share = differ.mean(axis=1)
    same = lined_up & (share <= _SAME)
    return _Relations(same, lined_up & ~same & (share <= _MOST), mirrored)


def _filled(cells: Float32) -> Bools:
    """(p, c): not of the ground's brightness, which is the median."""
    return np.asarray(np.abs(cells - np.median(cells, axis=1, keepdims=True)) > _APART)


def _apart(left: Float32, right: Float32) -> Float32:
    """(p, c): by how many levels cells differ, after brightness and contrast of one are fitted to the other; of both
    ways the one that explains more cells, so that it does not matter which is which."""
    one, other = _left_over(left, right), _left_over(right, left)
    is_worse = (other > _APART).sum(axis=1) < (one > _APART).sum(axis=1)
    return np.where(is_worse[:, None], other, one)


def _left_over(x: Float32, y: Float32) -> Float32:
    """Of trimmed least squares of y on x (Rousseeuw 1984): what lies over a part of one does not bend the fit. Infinite
    where contrast is not alike: a plain image would explain all others."""
    kept, last = np.ones(x.shape, np.float32), int(_FITTED * x.shape[1])
    for _ in range(_ROUNDS):
        n = kept.sum(axis=1, keepdims=True)
        mean_x, mean_y = ((kept * side).sum(axis=1, keepdims=True) / n for side in (x, y))
        across, spread = x - mean_x, (kept * (x - mean_x) ** 2).sum(axis=1, keepdims=True)
        slope = (kept * across * (y - mean_y)).sum(axis=1, keepdims=True) / np.maximum(spread, 1.0)
        left_over = np.abs(y - mean_y - slope * across)
        kept = (left_over <= np.partition(left_over, last, axis=1)[:, last : last + 1]).astype(np.float32)
    return np.where((slope < 1 / _CONTRAST) | (slope > _CONTRAST), np.float32(np.inf), left_over)
