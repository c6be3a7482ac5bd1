"""Bounds of shares against published figures, scipy, and exact sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import binom, binomtest

from memaudit.errors import UsageError
from memaudit.statistics import clopper_pearson_lower, clopper_pearson_upper, least_drawn, rate_of, shares
from memaudit.types import Coverage


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 100_000))
    return draw(st.integers(0, n)), n


def test_none_of_50_000_is_the_published_bound() -> None:
    """docs/protocols/statistics.md: 0 of 50,000 means at most 5.99e-5 one-sided, 7.38e-5 two-sided."""
    rate = rate_of(0, Coverage(50_000, 50_000))
    assert rate.upper == pytest.approx(5.99e-5, abs=5e-8)
    assert rate.high == pytest.approx(7.38e-5, abs=5e-8)
    assert (rate.low, rate.value) == (0, 0)


def test_300_of_50_000_is_the_published_interval() -> None:
    """docs/protocols/statistics.md: 300 of 50,000 is 0.6 %, from 0.534 to 0.672 %."""
    rate = rate_of(300, Coverage(50_000, 50_000))
    assert (rate.value, round(rate.low, 5), round(rate.high, 5)) == (0.006, 0.00534, 0.00672)


@settings(max_examples=150, deadline=None)
@given(counts(), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_two_sided_interval_is_scipys_exact_one(count_n: tuple[int, int], confidence: float) -> None:
    """Clopper-Pearson as scipy finds it (by a root search, hence the tolerance), for any count."""
    count, n = count_n
    rate = rate_of(count, Coverage(n, n), confidence)
    expected = binomtest(count, n).proportion_ci(confidence, method="exact")
    assert rate.low == pytest.approx(expected.low, rel=1e-6, abs=1e-11)
    assert rate.high == pytest.approx(expected.high, rel=1e-6, abs=1e-11)


@settings(max_examples=100, deadline=None)
@given(counts(), st.sampled_from([0.9, 0.95, 0.99]))
def test_one_sided_bound_is_scipys_exact_one(count_n: tuple[int, int], confidence: float) -> None:
    """The bound that the gate holds against its limit, for the alternative "less"."""
    count, n = count_n
    expected = binomtest(count, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert rate_of(count, Coverage(n, n), confidence).upper == pytest.approx(expected, rel=1e-6, abs=1e-11)


@settings(max_examples=100, deadline=None)
@given(counts())
def test_interval_holds_the_estimate_and_the_bounds_are_in_order(count_n: tuple[int, int]) -> None:
    """0 <= low <= value <= upper <= high <= 1, always."""
    rate = rate_of(count_n[0], Coverage(count_n[1], count_n[1]))
    assert rate.value is not None
    assert 0 <= rate.low <= rate.value <= rate.upper <= rate.high <= 1


@settings(max_examples=100, deadline=None)
@given(counts())
def test_more_findings_or_fewer_generations_never_lower_the_bound(count_n: tuple[int, int]) -> None:
    """One finding more raises every bound; one generation less among those without a finding as well."""
    count, n = count_n
    rate = rate_of(count, Coverage(n, n))
    if count < n:
        worse = rate_of(count + 1, Coverage(n, n))
        fewer = rate_of(count, Coverage(n - 1, n))
        for bound in ("low", "high", "upper"):
            assert getattr(worse, bound) >= getattr(rate, bound)
            assert getattr(fewer, bound) >= getattr(rate, bound)


@pytest.mark.parametrize("n", [1, 3, 59, 299, 1000, 10**6, 10**9])
def test_no_finding_is_the_closed_form(n: int) -> None:
    """0 of n: 1 - 0.05^(1/n), about 3 / n: so many generations a "zero" policy takes."""
    rate = rate_of(0, Coverage(n, n))
    assert rate.upper == pytest.approx(-np.expm1(np.log(0.05) / n), rel=1e-9)
    assert rate.high == pytest.approx(-np.expm1(np.log(0.025) / n), rel=1e-9)


def test_nothing_measured_is_the_whole_interval() -> None:
    """Trap "an empty input scored as perfect": 0 of 0 has no value, and a bound of 1."""
    rate = rate_of(0, Coverage(0, 500))
    assert (rate.value, rate.low, rate.high, rate.upper) == (None, 0, 1, 1)
    assert rate.coverage.share == 0
    assert rate_of(0, Coverage(0, 0)).upper == 1


def test_large_sets_stay_finite() -> None:
    """A trillion generations give a bound, and not a NaN that no comparison would catch."""
    rate = rate_of(0, Coverage(10**12, 10**12))
    assert rate.upper == pytest.approx(3e-12, rel=0.01)
    assert rate_of(10**12, Coverage(10**12, 10**12)).low == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize(("count", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(count: int, n: int) -> None:
    """More findings than generations is a mistake of the caller, and not a rate."""
    for bound in (clopper_pearson_lower, clopper_pearson_upper):
        with pytest.raises(UsageError, match="impossible"):
            bound(count, n, 0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.floats(0.001, 0.999), st.integers(0, 1000))
def test_interval_covers_the_true_rate(n: int, p: float, seed: int) -> None:
    """Clopper-Pearson never covers less than it says: exact, by summing over all counts."""
    covered = 0.0

    for count in range(n + 1):
        rate = rate_of(count, Coverage(n, n))
        covered += binom.pmf(count, n, p) * (rate.low <= p <= rate.high)
    assert covered >= 0.95 - 1e-9


@settings(max_examples=300, deadline=None)
@given(
    st.data(), st.sampled_from([10, 1000, 10**5, 10**7, 10**9]), st.sampled_from([1e-6, 0.001, 0.025, 0.05, 0.1, 0.25])
)
def test_bounds_of_few_have_the_tail_that_was_asked_for(data: st.DataObject, most: int, tail: float) -> None:
    """What is summed without scipy has, by scipy's binomial distribution, that much beyond it.

    Its beta quantiles are no measure: of 999 in 10,134,486 with a tail of 1e-6 they are wrong by 1e-5.
    """
    n = data.draw(st.integers(1, most))
    count = data.draw(st.integers(0, min(n - 1, 1000)))
    assert binom.cdf(count, n, clopper_pearson_upper(count, n, tail)) == pytest.approx(tail, rel=1e-5)
    if count:
        assert binom.sf(count - 1, n, clopper_pearson_lower(count, n, tail)) == pytest.approx(tail, rel=1e-5)


@pytest.mark.parametrize(("count", "n"), [(1001, 1002), (1500, 4000), (50_000, 1_000_000), (1_000_000, 1_000_000_000)])
def test_without_scipy_many_findings_are_bounded_as_well(count: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that installs no SciPy sums, and gets what SciPy gives."""
    tails = (0.05, 0.025, 1e-4)
    with_scipy = [(clopper_pearson_lower(count, n, tail), clopper_pearson_upper(count, n, tail)) for tail in tails]
    monkeypatch.setattr(shares, "find_spec", lambda name: None)
    summed = [(clopper_pearson_lower(count, n, tail), clopper_pearson_upper(count, n, tail)) for tail in tails]
    np.testing.assert_allclose(summed, with_scipy, rtol=1e-8)


@settings(max_examples=100, deadline=None)
@given(st.floats(1, 1e6), st.floats(0, 1), st.sampled_from([0.025, 0.05, 0.95, 0.975]))
def test_quantiles_of_parts_of_draws_have_their_tail(n: float, share: float, q: float) -> None:
    """An effective number is no whole one: the continued fraction, bisected."""
    count = share**3 * n
    quantile = shares.beta_quantile(q, count + 1.5, n - count + 0.5)
    assert betainc(count + 1.5, n - count + 0.5, quantile) == pytest.approx(q, rel=1e-6)


@pytest.mark.parametrize(
    ("limit", "count", "least"), [(0.01, 0, 299), (0.01, 1, 473), (0.0001, 0, 29_956), (1.0, 0, 1)]
)
def test_the_least_number_that_shows_a_limit(limit: float, count: int, least: int) -> None:
    """One draw less does not show it."""
    assert least_drawn(limit, count) == least
    assert clopper_pearson_upper(count, least, 0.05) <= limit
    assert least == 1 or clopper_pearson_upper(count, least - 1, 0.05) > limit
