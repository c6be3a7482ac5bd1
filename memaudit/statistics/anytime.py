"""Shares that are looked at again and again: bounds that hold whenever one looks. (docs/protocols/gate.md)"""

from __future__ import annotations

import math

from memaudit.errors import UsageError
from memaudit.statistics.shares import beta_cdf, bisected, require_counts

_MOST = 10**12


def e_value(count: float, n: float, limit: float) -> float:
    """The evidence that a share is below `limit`: with a share at or above it, its expectation is at most 1 after any
    number of draws, and the chance that it ever reaches 1 / error at most `error` (Ville 1939).

    count: the sum of n draws between 0 and 1. Half of it stakes on a share of 0, half on Jeffreys' prior below the
    limit (Robbins 1970; Howard et al. 2021). Infinite where it is beyond the range of numbers.
    Raises UsageError for counts or a limit that are none.
    """
    require_counts(count, n)
    if not 0 < limit <= 1:
        raise UsageError(f"a limit of {limit:g} is no share above 0")
    if limit == 1:
        return 1.0
    never = _exp(-n * math.log1p(-limit)) if count == 0 else 0.0
    return (never + _exp(_log_mixture(count, n, limit))) / 2


def _log_mixture(count: float, n: float, limit: float) -> float:
    a, b = 0.5 + count, 0.5 + n - count
    below = beta_cdf(limit, a, b)
    if below <= 0:
        return -math.inf
    prior = math.log(2 * math.asin(math.sqrt(limit)))  # B(1/2, 1/2) times its share below the limit
    likelihood = count * math.log(limit) + (n - count) * math.log1p(-limit)
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(n + 1) + math.log(below) - prior - likelihood


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def anytime_upper(count: float, n: float, error: float) -> float:
    """The least limit that the draws show: above the true share with probability 1 - error, at every look at once."""
    require_counts(count, n)
    if count == n:
        return 1.0
    return bisected(lambda limit: e_value(count, n, limit) < 1 / error, count / n, 1.0)


def least_anytime(limit: float, count: float, error: float) -> int:
    """The fewest draws of which `count` in all show the limit; at most 10^12."""
    low, high = math.ceil(count), max(1, math.ceil(count))
    while high < _MOST and not shows(limit, count, high, error):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(limit, count, middle, error) else (middle, high)
    return min(high, _MOST)


def shows(limit: float, count: float, n: float, error: float) -> bool:
    """Whether the draws show that the share is at most `limit`."""
    return limit >= 1 or (limit > 0 and count < n * limit and e_value(count, n, limit) >= 1 / error)


def error_of_attempt(error: float, attempt: int) -> float:
    """What of `error` the attempt, counted from 1, may use: 6 / (pi k)^2 of it, which is all of it over all attempts.

    Raises UsageError for a number below 1.
    """
    if attempt < 1:
        raise UsageError(f"attempt {attempt} is none: they are counted from 1")
    return 6 * error / (math.pi * attempt) ** 2
