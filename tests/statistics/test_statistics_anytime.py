"""Bounds that hold at every look: exact error of stopping when it suits, the draws they take, and their order."""

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from memaudit.errors import UsageError
from memaudit.statistics import anytime_upper, clopper_pearson_upper, e_value, error_of_attempt, least_anytime, shows

LIMIT, ERROR = 0.01, 0.05


@pytest.mark.parametrize(("found", "draws"), [(0, 328), (1, 751), (2, 977)])
def test_the_draws_that_it_takes(found: int, draws: int) -> None:
    """1 %, with nothing, one and two found: computed independently (docs/protocols/gate.md)."""
    assert least_anytime(LIMIT, found, ERROR) == draws
    assert shows(LIMIT, found, draws, ERROR)
    assert not shows(LIMIT, found, draws - 1, ERROR)


def stopped_wrongly(limit: float, error: float, most: int = 2000) -> float:
    """The exact chance that draws of a share at the limit ever show that it is below, in up to `most` looks."""
    needed = [least_anytime(limit, found, error) for found in range(int(limit * most) + 1)]
    least, chance, lost = np.array(needed), np.zeros(len(needed)), 0.0
    chance[0] = 1.0
    for n in range(1, most + 1):
        chance = np.r_[0.0, chance[:-1]] * limit + chance * (1 - limit)
        stopped = n >= least
        lost += float(chance[stopped].sum())
        chance[stopped] = 0
    return lost


@pytest.mark.parametrize(("limit", "error"), [(0.01, 0.05), (0.05, 0.05), (0.01, 0.0304)])
def test_stopping_when_it_suits_errs_as_rarely_as_is_said(limit: float, error: float) -> None:
    """Exact, over 2,000 looks; a bound for one look errs far more often."""
    assert 0.5 * error < stopped_wrongly(limit, error) <= error


def test_a_bound_for_one_look_does_not_hold_for_many() -> None:
    """Thirty nights at the limit, a thousand prompts each, of one model."""
    found = np.cumsum(np.random.default_rng(0).binomial(1000, LIMIT, (4000, 30)), axis=1)
    looks = [1000 * (night + 1) for night in range(30)]

    def passed(shown: Callable[[int, int], bool]) -> float:
        most = [bisect_left(range(n // 100), True, key=lambda k, n=n: not shown(k, n)) - 1 for n in looks]
        return float((found <= np.array(most)).any(axis=1).mean())

    assert passed(lambda k, n: clopper_pearson_upper(k, n, ERROR) <= LIMIT) > 0.15
    assert passed(lambda k, n: shows(LIMIT, k, n, ERROR)) <= 0.055


@pytest.mark.parametrize(("found", "n"), [(0, 50), (3, 1000), (0.5, 300), (20, 20_000)])
def test_the_bound_is_where_the_evidence_suffices(found: float, n: int) -> None:
    """Evidence grows with the limit, so that the limit may be chosen after the draws."""
    upper = anytime_upper(found, n, ERROR)
    assert e_value(found, n, upper) == pytest.approx(1 / ERROR, rel=1e-6)
    assert upper > clopper_pearson_upper(found, n, ERROR)
    values = [e_value(found, n, limit) for limit in np.linspace(upper / 2, min(0.99, 3 * upper), 50)]
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(values))


def test_shares_of_a_prompt_are_draws_as_well() -> None:
    """A draw is anything between 0 and 1: the expectation of the evidence is at most 1."""
    chances, values = np.array([0.95, 0.04, 0.01]), np.array([0.0, 0.25, 1.0])
    limit = float(chances @ values)
    one = sum(p * e_value(x, 1, limit) for p, x in zip(chances, values, strict=True))
    two = sum(
        p * q * e_value(x + y, 2, limit)
        for p, x in zip(chances, values, strict=True)
        for q, y in zip(chances, values, strict=True)
    )
    assert max(one, two) <= 1 + 1e-12


def test_nothing_is_shown_where_nothing_can_be() -> None:
    assert anytime_upper(7, 7, ERROR) == 1.0
    assert not shows(0.0, 0, 10**6, ERROR)
    assert not shows(0.01, 5, 300, ERROR)
    assert shows(1.0, 5, 5, ERROR)
    assert e_value(0, 10**6, 0.5) == float("inf")
    assert e_value(1000, 1000, 0.01) == 0.0


def test_attempts_share_the_error() -> None:
    shares = [error_of_attempt(ERROR, k) for k in range(1, 100_000)]
    assert shares[0] == pytest.approx(0.0304, abs=1e-4)
    assert ERROR * 0.9999 < sum(shares) < ERROR
    with pytest.raises(UsageError, match="counted from 1"):
        error_of_attempt(ERROR, 0)


@pytest.mark.parametrize(
    ("found", "n", "limit"), [(-1, 5, 0.1), (6, 5, 0.1), (1, 5, 0.0), (1, 5, 1.5), (1, 5, float("nan"))]
)
def test_counts_and_limits_that_are_none(found: float, n: float, limit: float) -> None:
    with pytest.raises(UsageError):
        e_value(found, n, limit)
