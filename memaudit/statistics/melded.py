"""What was found, and how much of what was planted: bounds of all that there is (docs/protocols/statistics.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from memaudit.errors import UsageError
from memaudit.statistics.shares import beta_cdf, bisected, clopper_pearson_lower, require_counts
from memaudit.statistics.weighted import WeightedRate
from memaudit.types import CONFIDENCE, Float64, Rate

_Cdf = Callable[[float], float]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_BEYOND = 1e-13  # of the recall's distribution below the least value that is looked at, and above the greatest


class Detected(NamedTuple):
    """How many of the planted copies an audit found."""

    found: int
    planted: int


@dataclass(frozen=True)
class MeldedRate:
    """Bounds of the share of all copies, detected or not: two-sided, and the one-sided upper one."""

    low: float
    high: float
    upper: float
    confidence: float = CONFIDENCE


def melded_rate(rate: Rate, detected: Detected) -> MeldedRate:
    """Bounds of a rate of which a share was detected (Fay, Proschan & Brittain 2015; Bayer, Fay & Graubard 2022).

    Raises UsageError for counts that are impossible, and where nothing was planted.
    """
    n, tail = float(rate.coverage.measured), (1 - rate.confidence) / 2
    draws = n if rate.effective is None else min(n, rate.effective)
    count = float(rate.count) if draws == n else min(draws, (rate.value or 0.0) * draws)
    return MeldedRate(
        _lower(_beta(count, draws - count + 1), detected, tail) if count else 0.0,
        melded_upper(count, draws, detected, tail),
        melded_upper(count, draws, detected, 1 - rate.confidence),
        rate.confidence,
    )


def melded_weighted(rate: WeightedRate, detected: Detected) -> MeldedRate:
    """The same of captions, of which each prompt stands for a share."""
    tail, lower = (1 - rate.confidence) / 2, rate.lower_gamma
    return MeldedRate(
        _lower(lower.cdf, detected, tail) if lower else 0.0,
        weighted_upper(rate, detected, tail),
        weighted_upper(rate, detected, 1 - rate.confidence),
        rate.confidence,
    )


@lru_cache(maxsize=4096)  # a gate asks several times for the same kinds of copies
def melded_upper(count: float, n: float, detected: Detected, tail: float) -> float:
    """The share that is exceeded with probability `tail`, if `count` of n were found: that quantile of
    Beta(count + 1, n - count) ÷ Beta(found, planted - found + 1); 1 where no planted copy was found."""
    require_counts(count, n)
    return 1.0 if count == n else _upper(_beta(count + 1, n - count), detected, tail)


def missed_upper(detected: Iterable[Detected], confidence: float = CONFIDENCE) -> float:
    """The share of copies of these kinds that goes undetected, of the hardest of them, is at most this; it holds for
    whichever that is. 1 where nothing was planted."""
    shares = [clopper_pearson_lower(*each, 1 - confidence) for each in detected if each.planted]
    return 1 - min(shares, default=0.0)


def weighted_upper(rate: WeightedRate, detected: Detected, tail: float) -> float:
    """The same of captions."""
    return _upper(rate.upper_gamma.cdf, detected, tail)


def _beta(a: float, b: float) -> _Cdf:
    if a == 1:
        return lambda p: -math.expm1(b * math.log1p(-p)) if p < 1 else 1.0
    return lambda p: beta_cdf(min(p, 1.0), a, b)


def _upper(cdf: _Cdf, detected: Detected, tail: float) -> float:
    found, planted = _possible(detected)
    return _quantile(cdf, found, planted - found + 1, 1 - tail) if found else 1.0


def _lower(cdf: _Cdf, detected: Detected, tail: float) -> float:
    """Where all planted copies were found it is that of what was detected."""
    found, planted = _possible(detected)
    if found == planted:
        return bisected(lambda p: cdf(p) < tail, 0.0, 1.0)
    return _quantile(cdf, found + 1, planted - found, tail)


def _possible(detected: Detected) -> Detected:
    require_counts(*detected)
    if not detected.planted:
        raise UsageError("no copy was planted: nothing is known of what is detected")
    return detected


class _Recalls(NamedTuple):
    """Values that a recall may have, and the chance of each."""

    value: Float64
    weight: Float64

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, a: float, b: float) -> _Recalls:
        """Nodes of Gauss and Legendre for Beta(a, b): the same counts always give the same figures."""
        low = bisected(lambda p: beta_cdf(p, a, b) < _BEYOND, 0.0, 1.0)
        high = bisected(lambda p: beta_cdf(p, a, b) < 1 - _BEYOND, 0.0, 1.0)
        value = low + (high - low) * (_NODES + 1) / 2
        log = (a - 1) * np.log(value) + (b - 1) * np.log1p(-value)
        weight = _WEIGHTS * np.exp(log - log.max())
        return cls(value, weight / weight.sum())


def _quantile(cdf: _Cdf, a: float, b: float, q: float) -> float:
    """The q-quantile of P ÷ S, P with this distribution and S ~ Beta(a, b); at most 1."""
    recalls = _Recalls.of(a, b)

    def below(share: float) -> float:
        chances = [cdf(share * value) for value in recalls.value.tolist()]
        return math.fsum(w * chance for w, chance in zip(recalls.weight.tolist(), chances, strict=True))

    least = bisected(lambda share: cdf(share) < q, 0.0, 1.0)
    if below(1.0) <= q:
        return 1.0
    return _root(lambda share: below(share) - q, least, min(1.0, least / float(recalls.value[0])))


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where it is 0, between these: by false positions (Illinois)."""
    below, above = rising(low), rising(high)
    if below >= 0:
        return low
    side = 0
    for _ in range(100):
        middle = high - above * (high - low) / (above - below)
        value = rising(middle)
        if abs(value) < 1e-13 or high - low <= 1e-12 * high:
            return middle
        if value > 0:
            high, above, below = middle, value, below / 2 if side > 0 else below
        else:
            low, below, above = middle, value, above / 2 if side < 0 else above
        side = 1 if value > 0 else -1
    return high
