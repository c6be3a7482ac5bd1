"""Shares of independent draws: Clopper and Pearson's bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

from memaudit.errors import UsageError
from memaudit.types import CONFIDENCE, Coverage, Rate

Upper = Callable[[int, int, float], float]
"""Of so many of n the bound that is exceeded with this probability."""
_LEAST = 1e-300  # stands for a zero that would be divided by
_SUMMED = 1000
MOST_DRAWN = 10**12


def rate_of(count: int, coverage: Coverage, confidence: float = CONFIDENCE, effective: float | None = None) -> Rate:
    """Build a rate; with nothing measured its interval is [0, 1], which no policy can mistake for "clean".

    effective: as how many independent draws the measured ones count, at most as many; None: each is one.
    """
    n = coverage.measured
    require_counts(count, n)
    draws = float(n) if effective is None or effective >= n else effective
    found: float = count if draws == n else min(draws, count / n * draws)
    tail = (1 - confidence) / 2
    return Rate(
        count,
        coverage,
        low=clopper_pearson_lower(found, draws, tail),
        high=clopper_pearson_upper(found, draws, tail),
        upper=clopper_pearson_upper(found, draws, 1 - confidence),
        confidence=confidence,
        effective=effective,
    )


def clopper_pearson_upper(count: float, n: float, tail: float) -> float:
    """The p at which `count` or fewer of n would be seen with probability `tail` (Clopper & Pearson 1934)."""
    require_counts(count, n)
    if count == n:
        return 1.0
    if count == 0:
        return -math.expm1(math.log(tail) / n) if tail > 0 else 1.0
    if _is_summed(count, n, tail):
        return bisected(lambda p: binomial_tail(int(count), int(n), p, -1) > tail, count / n, 1.0)
    return beta_quantile(1 - tail, count + 1, n - count)


def clopper_pearson_lower(count: float, n: float, tail: float) -> float:
    """The p at which `count` or more of n would be seen with probability `tail`."""
    require_counts(count, n)
    if count == 0:
        return 0.0
    if _is_summed(count, n, tail):
        return bisected(lambda p: binomial_tail(int(count), int(n), p, 1) < tail, 0.0, count / n)
    return beta_quantile(tail, count, n - count + 1)


def least_drawn(limit: float, count: int, confidence: float = CONFIDENCE, upper: Upper = clopper_pearson_upper) -> int:
    """The fewest draws of which `count` bring the one-sided upper bound down to `limit`; at most 10^12.

    A bound falls about as 1 / n: so the next number to try is that by which it would come to the limit.
    """
    low, high = count, MOST_DRAWN
    number = max(1, count + 1)
    while high - low > 1:
        bound = upper(count, number, 1 - confidence)
        low, high = (low, number) if bound <= limit else (number, high)
        number = math.ceil(min(MOST_DRAWN, number * bound / limit)) if limit else high
        if not low < number < high:  # the guess is no use any more
            number = low + 1 if bound > limit and high - low > 2 and number <= low else (low + high) // 2
    return high


def _is_summed(count: float, n: float, tail: float) -> bool:
    """Few enough to be summed term by term, as a gate's reports are: sooner done than SciPy is imported. Where there is
    none, all are."""
    is_whole = float(count).is_integer() and float(n).is_integer() and 0 < tail <= 0.25
    return is_whole and (count <= _SUMMED or find_spec("scipy") is None)


def bisected(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """The p in (low, high) at which `is_below` turns false, to the last bits."""
    for _ in range(100):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def binomial_tail(start: int, n: int, p: float, step: int) -> float:
    """P(X >= start) with step 1, P(X <= start) with step -1, for a `start` on that side of the mode: terms fall.

    The relative error is that of lgamma: 1e-9 for a million, 1e-6 for a billion.
    """
    if p in (0.0, 1.0):
        return float(p == (step == 1))
    odds = p / (1 - p)
    term = math.exp(log_choose(n, start) + start * math.log(p) + (n - start) * math.log1p(-p))
    total = 0.0
    for i in range(start, n + 1 if step == 1 else -1, step):
        total += term
        if term <= total * 1e-17:
            break
        term *= (n - i) / (i + 1) * odds if step == 1 else i / (n - i + 1) / odds
    return total


def beta_quantile(q: float, a: float, b: float) -> float:
    """The q-quantile of Beta(a, b). Without SciPy it is bisected, to nine digits."""
    if find_spec("scipy") is None or not (float(a).is_integer() and float(b).is_integer()):
        return bisected(lambda p: beta_cdf(p, a, b) < q, 0.0, 1.0)
    from scipy.special import betaincinv  # imported late: it takes longer than all the rest of the gate

    return float(betaincinv(a, b, q))


def beta_cdf(p: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz's method; Press et al. 1992, 6.4)."""
    if p in (0.0, 1.0):
        return p
    if p > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - p, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(p) + b * math.log1p(-p)
    divisor = 1 - (a + b) * p / (a + 1)
    c, d = 1.0, 1 / (divisor if abs(divisor) > _LEAST else _LEAST)
    fraction = d
    for m in range(1, 100_000):  # written out: a gate goes through it a million times
        top = a + 2 * m
        even, odd = m * (b - m) * p / ((top - 1) * top), -(a + m) * (a + b + m) * p / (top * (top + 1))
        for term in (even, odd):
            c, d = 1 + term / c, 1 + term * d
            c = c if c > _LEAST or c < -_LEAST else _LEAST
            d = 1 / (d if d > _LEAST or d < -_LEAST else _LEAST)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(log) * fraction / a


def require_counts(count: float, n: float) -> None:
    if not 0 <= count <= n:
        raise UsageError(f"a rate of {count} out of {n} is impossible: expected 0 <= count <= n")


def log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
