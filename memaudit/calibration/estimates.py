"""Shares of labelled pairs with intervals, for pairs that were drawn by strata and have images in common.

What is estimated is a ratio of weighted sums, such as copies found ÷ pairs found. Pairs with a common image are not
independent: the variance is the linearised one that allows for that (Fafchamps & Gubert 2007, Aronow et al. 2015), and
the interval is Clopper & Pearson's for as many independent draws as would have it (Korn & Graubard 1998), at most as
many as the families are worth by their weights (Kish 1965): images that labelled pairs link are one family. Where all
pairs are hits, or none, no variance is seen, and that number alone counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.statistics import clopper_pearson_lower, clopper_pearson_upper
from memaudit.types import CONFIDENCE, Float64, Int64

Mask = NDArray[np.bool_]
_TAIL = (1 - CONFIDENCE) / 2
_MOST_DRAWS = 1 << 20  # more labels than anybody gives
_EXACT = 1e-9  # a share as near as this to 0 or 1 is that


class Ratio(NamedTuple):
    """value, with its 95 % interval from low to high. pairs: labelled ones that it is of; draws: how many independent
    ones the interval is of; worth: how many these pairs could be, whichever are hits. Of no pairs nothing is known:
    NaN, 0 to 1."""

    value: float
    low: float
    high: float
    pairs: int
    draws: float
    worth: float


NOTHING = Ratio(float("nan"), 0.0, 1.0, 0, 0.0, 0.0)


class Ends(NamedTuple):
    """The images of pairs, both (n,), as numbers."""

    left: Int64
    right: Int64

    def where(self, chosen: Mask) -> Ends:
        return Ends(self.left[chosen], self.right[chosen])


def ratio_of(hits: Mask, base: Mask, weight: Float64, ends: Ends) -> Ratio:
    """The weighted share of `hits` among `base`, all (n,); hits lie within base, weights are above 0."""
    if not base.any():
        return NOTHING
    y, w, ends = hits[base].astype(np.float64), weight[base], ends.where(base)
    value, most = float((w * y).sum() / w.sum()), worth(w, ends)
    draws = most
    if _EXACT < value < 1 - _EXACT:
        draws = min(most, value * (1 - value) * float(w.sum()) ** 2 / variance_of(w * (y - value), ends))
    else:
        value = float(round(value))
    low, high = _interval(min(draws, value * draws), draws)
    return Ratio(value, low, high, len(w), draws, most)


def _interval(count: float, draws: float) -> tuple[float, float]:
    return clopper_pearson_lower(count, draws, _TAIL), clopper_pearson_upper(count, draws, _TAIL)


def variance_of(residual: Float64, ends: Ends) -> float:
    """Variance of the sum of residuals (n,) of pairs, of which two with a common image may be correlated: the sum of
    the products of all such two. Never below what independent ones have."""
    _, place = np.unique(np.concatenate(ends), return_inverse=True)
    of_image = np.bincount(place, np.tile(residual, 2))
    own = float((residual**2).sum())
    images = len(of_image)
    return max(own, float((of_image**2).sum()) - own) * images / (images - 1)


def worth(weight: Float64, ends: Ends) -> float:
    """How many draws of equal weight the families are worth."""
    of_family = np.bincount(families_of(ends), weight)
    of_family = of_family[of_family > 0]
    return float(of_family.sum() ** 2 / (of_family**2).sum())


def families_of(ends: Ends) -> Int64:
    """For each pair a number of its family: of all pairs that a chain of common images leads to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    images, place = np.unique(np.concatenate(ends), return_inverse=True)
    left, right = place.reshape(2, -1)
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(images), len(images)))
    return np.asarray(connected_components(graph, directed=False)[1][left], np.int64)


def most_shown(draws: float) -> float:
    """The lower end of a share where so many draws were all hits."""
    return clopper_pearson_lower(draws, draws, _TAIL)


def needed(share: float, misses: int = 0) -> int:
    """The least number of independent pairs, `misses` of them no hits, whose lower end reaches this share."""
    low, high = misses, 2 * misses + 1
    while not _reaches(share, misses, high):
        low, high = high, 2 * high
        if high > _MOST_DRAWS:
            return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _reaches(share, misses, middle) else (middle, high)
    return high


def _reaches(share: float, misses: int, pairs: int) -> bool:
    return clopper_pearson_lower(pairs - misses, pairs, _TAIL) >= share
