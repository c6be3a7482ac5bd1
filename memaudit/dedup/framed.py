"""Which images of a family agree frame on frame, and which show something in it that the others do not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Float32, Float64, Int64

_ALIKE, _APART = 5.0, 12.0  # levels between cells that show the same, and that show another thing
_FITTED, _ROUNDS = 0.7, 3  # share of the cells, those that fit best, that brightness and contrast are fitted to
_SAME, _MOST = 0.01, 0.4  # share of the cells that are apart, at most: of two that agree; of two of one frame
_LINED_UP = 8.0  # levels between the cells of two that agree, in the median
_BETWEEN = 0.12  # share of the cells neither alike nor apart, in two of one frame: what was cropped has many
_CONTRAST = 2.5  # by which it may differ
_SHARED = 0.1  # share of the cells with something in them that agree: on a plain ground all others do
_MIRRORED = 0.5  # what an image counts that agrees when it is mirrored
_PAIRS_AT_ONCE = 1 << 12
Bools = NDArray[np.bool_]


class Framed(NamedTuple):
    """agreeing (n,): with how many others each image agrees, mirrored ones counted half.
    overlaid (n,): it shows something in a part of its frame that more others lack than there are, itself counted, that
    agree with it; only those count that agree with others. Their places (m,), and those of the others that lack it."""

    agreeing: Float64
    overlaid: Bools
    shown: Int64
    lacking: Int64


class _Relations(NamedTuple):
    """Of pairs (p,): they agree; one of them is mirrored; they are of one frame, and in the part where they differ the
    one shows more, or the other."""

    same: Bools
    mirrored: Bools
    one_shows: Bools
    other_shows: Bools


def framed(thumbs: Float32, one: Int64, other: Int64) -> Framed:
    """Compare the grey thumbnails (n, t, t), 0 to 255, of pairs: places (p,) of either.

    Who was scaled, compressed or mirrored agrees with the others; who was cropped, turned or framed does not; who was
    drawn or written on differs in a part. The order of pairs, and within them, does not matter. Memory: 3 bytes a pair,
    and 20 MB for `_PAIRS_AT_ONCE` of them.
    """
    related = _related(thumbs, one, other)
    size = len(thumbs)
    agreeing = _counted(size, one, other, related.same, np.where(related.mirrored, _MIRRORED, 1.0))
    with_it = _counted(size, one, other, related.same, np.ones(len(one)))
    shows = np.concatenate([related.one_shows, related.other_shows])
    shown, lacking = (np.concatenate(sides)[shows] for sides in ((one, other), (other, one)))
    shown, lacking = (side[agreeing[lacking] > 0] for side in (shown, lacking))
    overlaid = np.bincount(shown, minlength=size) > with_it + 1
    return Framed(agreeing, overlaid, *(side[overlaid[shown]] for side in (shown, lacking)))


def _counted(size: int, one: Int64, other: Int64, chosen: Bools, weight: Float64) -> Float64:
    ends = np.concatenate([one[chosen], other[chosen]])
    return np.bincount(ends, np.tile(weight[chosen], 2), size).astype(np.float64)


def _related(thumbs: Float32, one: Int64, other: Int64) -> _Relations:
    found = _Relations(*np.zeros((4, len(one)), bool))
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
    share, between = differ.mean(axis=1), ((apart > _ALIKE) & ~differ).mean(axis=1)
    same = shared & (share <= _SAME) & (np.median(apart, axis=1) <= _LINED_UP)
    partly = shared & ~same & (share <= _MOST) & (between <= _BETWEEN)
    left_more, right_more = (_contrast(side.reshape(left.shape), differ) for side in (cells, seen))
    return _Relations(same, mirrored, partly & (left_more > right_more), partly & (right_more > left_more))


def _contrast(thumbs: Float32, where: Bools) -> Float32:
    """(p,): by how much the chosen cells (p, c), and those next to them, stand out from those around each."""
    chosen = _around(where.reshape(thumbs.shape).astype(np.float32)) > 0
    return np.asarray((np.abs(thumbs - _around(thumbs)) * chosen).sum(axis=(1, 2)))


def _around(thumbs: Float32) -> Float32:
    """(p, t, t): the mean of each cell and the eight around it."""
    size, padded = thumbs.shape[1], np.pad(thumbs, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :size] + padded[:, 1 : size + 1] + padded[:, 2:]
    return np.asarray((rows[:, :, :size] + rows[:, :, 1 : size + 1] + rows[:, :, 2:]) / 9, dtype=np.float32)


def _filled(cells: Float32) -> Bools:
    """(p, c): not of the ground's brightness, which is the median."""
    return np.asarray(np.abs(cells - np.median(cells, axis=1, keepdims=True)) > _APART)


def _apart(left: Float32, right: Float32) -> Float32:
    """(p, c): by how many levels cells differ, after brightness and contrast of one are fitted to the other; of both
    ways the one that explains more, so that it does not matter which is which."""
    both = np.stack([_left_over(left, right), _left_over(right, left)])
    measures = (both > _APART).sum(axis=2), np.median(both, axis=2), both.sum(axis=2)
    better = np.lexsort(measures[::-1], axis=0)[0]
    return np.asarray(both[better, np.arange(len(left))])


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
