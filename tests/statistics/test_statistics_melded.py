"""A rate melded with a detection recall: against known figures, SciPy's quadrature, drawn quantiles, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import beta

from memaudit.errors import UsageError
from memaudit.statistics import (
    Detected,
    clopper_pearson_upper,
    least_drawn,
    melded_rate,
    melded_upper,
    melded_weighted,
    rate_of,
    weighted_rate,
)
from memaudit.types import Coverage, Rate

COUNTS = st.integers(1, 300).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m)))


def rate(count: int, n: int, effective: float | None = None) -> Rate:
    return rate_of(count, Coverage(n, n), effective=effective)


@pytest.mark.parametrize(("found", "bound"), [(200, 6.02e-5), (180, 6.70e-5), (140, 8.63e-5)])
def test_none_of_50_000_with_planted_copies(found: int, bound: float) -> None:
    """Without them it is 5.99e-5."""
    assert melded_upper(0, 50_000, Detected(found, 200), 0.05) == pytest.approx(bound, abs=0.005e-5)
    assert clopper_pearson_upper(0, 50_000, 0.05) == pytest.approx(5.99e-5, abs=0.005e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(40, 3000), COUNTS)
def test_it_is_the_quantile_of_the_ratio(count: int, n: int, detected: tuple[int, int]) -> None:
    """P(P / S <= the bound) is 0.95, by another quadrature."""
    bound = melded_upper(count, n, Detected(*detected), 0.05)
    x, m = detected

    def part(s: float) -> float:
        return float(beta.pdf(s, x, m - x + 1) * beta.cdf(bound * s, count + 1, n - count))

    mode = (x - 1) / max(m - 1, 1)
    chance = integrate.quad(part, 0, 1, points=[min(max(mode, 0.001), 0.999)], limit=200)[0]
    assert chance <= 0.95 + 1e-5 if bound == 1 else chance == pytest.approx(0.95, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20), st.integers(30, 5000), COUNTS)
def test_detecting_less_never_lowers_a_bound(count: int, n: int, detected: tuple[int, int]) -> None:
    """Nor is it ever below the bound of what can be detected; more prompts lower it."""
    x, m = detected
    bound = melded_upper(count, n, Detected(x, m), 0.05)
    assert bound >= clopper_pearson_upper(count, n, 0.05) * (1 - 1e-9)
    assert bound <= melded_upper(count, n, Detected(x - 1, m), 0.05) * (1 + 1e-9)
    assert bound >= melded_upper(count, 2 * n, Detected(x, m), 0.05) * (1 - 1e-9)


def test_the_ends_are_quantiles_of_drawn_ratios() -> None:
    """300 of 50,000 with 180 of 200, from a million draws."""
    rng, n = np.random.default_rng(0), 1_000_000
    melded = melded_rate(rate(300, 50_000), Detected(180, 200))
    high = rng.beta(301, 49_700, n) / rng.beta(180, 21, n)
    low = rng.beta(300, 49_701, n) / rng.beta(181, 20, n)
    assert melded.upper == pytest.approx(np.quantile(high, 0.95), rel=1e-3)
    assert melded.high == pytest.approx(np.quantile(high, 0.975), rel=1e-3)
    assert melded.low == pytest.approx(np.quantile(low, 0.025), rel=1e-3)


def test_of_weights_it_is_the_gamma_of_fay_and_feuer() -> None:
    rng, n = np.random.default_rng(0), 1_000_000
    weighted = weighted_rate([0.001, 0.002, 0.01], 0.01)
    melded = melded_weighted(weighted, Detected(30, 40))
    ratio = rng.gamma(weighted.upper_gamma.shape, weighted.upper_gamma.scale, n) / rng.beta(30, 11, n)
    assert melded.upper == pytest.approx(np.quantile(ratio, 0.95), rel=3e-3)
    sure = melded_weighted(weighted, Detected(10**6, 10**6))
    assert (sure.low, sure.high, sure.upper) == pytest.approx((weighted.low, weighted.high, weighted.upper), rel=1e-4)


@pytest.mark.parametrize("effective", [None, 55.5])
def test_what_is_all_detected_is_the_rate_itself(effective: float | None) -> None:
    """Also where seeds count for fewer draws."""
    plain = rate(7, 1000, effective)
    melded = melded_rate(plain, Detected(10**6, 10**6))
    assert (melded.low, melded.high, melded.upper) == pytest.approx((plain.low, plain.high, plain.upper), rel=1e-4)


def test_nothing_detected_bounds_nothing() -> None:
    assert melded_rate(rate(0, 1000), Detected(0, 40)).upper == 1
    assert melded_rate(rate(5, 1000), Detected(0, 40)).high == 1
    assert melded_rate(rate(5, 5), Detected(40, 40)).upper == 1


@pytest.mark.parametrize("detected", [Detected(0, 0), Detected(3, 2), Detected(-1, 2)])
def test_impossible_counts_are_refused(detected: Detected) -> None:
    with pytest.raises(UsageError):
        melded_upper(0, 100, detected, 0.05)


def test_how_many_draws_it_takes() -> None:
    """The least number with which the bound reaches the limit, and not one fewer."""

    def upper(count: int, n: int, tail: float) -> float:
        return melded_upper(count, n, Detected(18, 20), tail)

    needed = least_drawn(0.01, 0, upper=upper)
    assert upper(0, needed, 0.05) <= 0.01 < upper(0, needed - 1, 0.05)
    assert needed > least_drawn(0.01, 0) == 299
    assert least_drawn(5e-324, 3) == least_drawn(0.0, 0) == 10**12


@pytest.mark.parametrize("recall", [0.5, 0.7, 0.9, 0.98])
def test_the_upper_bound_holds_the_rate_of_all_copies(recall: float) -> None:
    """In 95 % of 200 draws or nearly so, where that of what is detected holds it in few."""
    rng, truth, prompts = np.random.default_rng(int(100 * recall)), 0.02, 1000
    drawn = [(rng.binomial(prompts, truth * recall), rng.binomial(40, recall)) for _ in range(200)]
    held = [truth <= melded_upper(k, prompts, Detected(x, 40), 0.05) for k, x in drawn]
    assert np.mean(held) >= 0.93
