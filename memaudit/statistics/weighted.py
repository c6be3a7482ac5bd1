"""Shares of what was drawn with unequal chances: the interval of Fay and Feuer. (docs/protocols/statistics.md)"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import NamedTuple

from memaudit.errors import UsageError
from memaudit.statistics.shares import bisected
from memaudit.types import CONFIDENCE


@dataclass(frozen=True)
class WeightedRate:
    """A share of what the weights stand for, with its two-sided interval and one-sided upper bound.

    largest: the greatest share that one drawn unit stands for; it limits what can be shown. squares: sum of the squared
    shares of those that were found.
    """

    value: float
    low: float
    high: float
    upper: float
    largest: float
    confidence: float = CONFIDENCE
    squares: float = 0.0

    @property
    def lower_gamma(self) -> Gamma | None:
        """Of which the lower end is a quantile; None where nothing was found."""
        return Gamma(self.value**2 / self.squares, self.squares / self.value) if self.squares else None

    @property
    def upper_gamma(self) -> Gamma:
        """Of which the upper end is one."""
        mean, variance = self.value + self.largest, self.squares + self.largest**2
        return Gamma(mean**2 / variance, variance / mean)


class Gamma(NamedTuple):
    """A gamma distribution."""

    shape: float
    scale: float

    def cdf(self, x: float) -> float:
        return _gamma_cdf(x / self.scale, self.shape)

    def quantile(self, q: float) -> float:
        return self.scale * gamma_quantile(q, self.shape)


def weighted_rate(found: Iterable[float], largest: float, confidence: float = CONFIDENCE) -> WeightedRate:
    """found: of each unit that was found its weight ÷ the sum of all weights; largest: the greatest of all of these.

    Gamma bounds (Fay & Feuer 1997). With nothing found the upper bound is -ln(1 - confidence) times the largest.
    Raises UsageError for shares that are none.
    """
    shares = [share for share in found if share != 0]
    value, squares = math.fsum(shares), math.fsum(share**2 for share in shares)
    if not (0 < largest <= 1 and all(0 < share <= largest * (1 + 1e-9) for share in shares) and value <= 1 + 1e-9):
        raise UsageError(f"weights of {value:g} in all, the largest {largest:g}, are no shares")
    tail = (1 - confidence) / 2
    rate = WeightedRate(min(1.0, value), 0.0, 1.0, 1.0, largest, confidence, squares)
    lower, upper = rate.lower_gamma, rate.upper_gamma
    return replace(
        rate,
        low=lower.quantile(tail) if lower else 0.0,
        high=min(1.0, upper.quantile(1 - tail)),
        upper=min(1.0, upper.quantile(confidence)),
    )


def gamma_quantile(q: float, shape: float) -> float:
    """The q-quantile of a gamma distribution of scale 1. Without SciPy it is bisected, to nine digits."""
    if find_spec("scipy") is None or shape <= _SUMMED:
        return bisected(lambda x: _gamma_cdf(x, shape) < q, 0.0, shape + 60 * math.sqrt(shape) + 60)
    from scipy.special import gammaincinv  # imported late: it takes longer than all the rest of the gate

    return float(gammaincinv(shape, q))


_SUMMED = 1000


def _gamma_cdf(x: float, shape: float) -> float:
    """The regularised incomplete gamma function: by its series, or by its continued fraction beyond the mean."""
    if x <= 0:
        return 0.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        n = shape
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return front * total
    b, c = x + 1 - shape, 1e300
    d = fraction = 1 / b
    for i in range(1, 100_000):
        term = -i * (i - shape)
        b += 2
        d = 1 / (term * d + b)
        c = b + term / c
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return 1 - front * fraction
