"""Two rates against scipy, and simulated truths."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact, hypergeom

from memaudit.statistics import greater_rate_p, greater_rates_p, mcnemar_p, rise_between, rise_p


@st.composite
def counts(draw: st.DrawFn, most: int = 100_000) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@settings(max_examples=50, deadline=None)
@given(counts(), counts())
def test_greater_rate_p_is_fishers(left: tuple[int, int], right: tuple[int, int]) -> None:
    """One-sided, generations against control."""
    (k1, n1), (k2, n2) = left, right
    expected = fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative="greater").pvalue
    assert greater_rate_p(k1, n1, k2, n2) == pytest.approx(expected)


def test_greater_rate_p_looks_the_right_way() -> None:
    """Ten of a hundred against none is surprising, none against ten is not."""
    assert greater_rate_p(10, 100, 0, 100) < 0.001
    assert greater_rate_p(0, 100, 10, 100) == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(counts(20_000), counts(20_000))
def test_one_stratum_is_fishers_test(left: tuple[int, int], right: tuple[int, int]) -> None:
    """And strata of which one side has nobody say nothing."""
    (k1, n1), (k2, n2) = left, right
    alone = [np.array([value, more]) for value, more in ((k1, 3), (n1, 5), (k2, 0), (n2, 0))]
    assert greater_rates_p(*(part[:1] for part in alone)) == pytest.approx(greater_rate_p(k1, n1, k2, n2), abs=1e-9)
    assert greater_rates_p(*alone) == pytest.approx(greater_rate_p(k1, n1, k2, n2), abs=1e-9)


def test_strata_are_added_up() -> None:
    """Against every table with these margins."""
    counts, n, controls, control_n = (np.array(part) for part in ((4, 2), (10, 6), (1, 3), (8, 20)))
    marked = (counts + controls).tolist()
    laws = [hypergeom(a + b, k, a) for a, b, k in zip(n.tolist(), control_n.tolist(), marked, strict=True)]
    tables = itertools.product(range(marked[0] + 1), range(marked[1] + 1))
    truth = sum(laws[0].pmf(i) * laws[1].pmf(j) for i, j in tables if i + j >= counts.sum())
    assert greater_rates_p(counts, n, controls, control_n) == pytest.approx(truth)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_scipys_binomial_test(gained: int, lost: int) -> None:
    """Exact, one-sided, for any discordant pairs; without any it is 1. Where scipy says 0 it has left the tail away."""
    n = gained + lost
    expected = binomtest(gained, n, alternative="greater").pvalue if n else 1.0
    assert mcnemar_p(gained, lost) == pytest.approx(expected, rel=1e-9, abs=1e-200)


def test_mcnemar_is_the_textbooks_figure() -> None:
    """Ten gained, two lost: 79 of 4,096 tosses of twelve coins."""
    assert mcnemar_p(10, 2) == pytest.approx(79 / 4096)


@settings(max_examples=150, deadline=None)
@given(counts(), counts())
def test_rise_is_scipys_fisher_test(new: tuple[int, int], old: tuple[int, int]) -> None:
    """The hypergeometric tail as scipy sums it."""
    (count, n), (earlier, earlier_n) = new, old
    expected = greater_rate_p(count, n, earlier, earlier_n)
    assert rise_p(count, n, earlier, earlier_n) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_rise_is_small_and_soon_told_for_huge_counts() -> None:
    """A report may claim a billion generations: the answer is not the slower for it."""
    assert rise_p(10**6, 10**9, 10**6, 10**9) == pytest.approx(0.5, abs=0.01)
    assert rise_p(2 * 10**6, 10**9, 10**6, 10**9) < 1e-12
    assert rise_p(0, 0, 5, 10) == 1
    assert rise_p(10**6, 10**9, 2 * 10**6, 10**9) == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(counts(), counts(), st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_of_a_rise_hold_the_rise(new: tuple[int, int], old: tuple[int, int], error: float) -> None:
    """Low <= value <= high, and a smaller error gives wider bounds."""
    rise, wider = rise_between(*new, *old, error), rise_between(*new, *old, error / 2)
    assert -1 <= wider.low <= rise.low <= rise.value <= rise.high <= wider.high <= 1


def test_bounds_of_a_rise_hold_what_they_promise() -> None:
    """Of simulated pairs of runs the true rise is above the upper bound no more often than the error allows."""
    rng = np.random.default_rng(0)
    for p_gained, p_lost in ((0.01, 0.01), (0.02, 0.0), (0.1, 0.08)):
        draws = rng.multinomial(400, [p_gained, p_lost, 1 - p_gained - p_lost], size=1500)
        missed = [p_gained - p_lost > rise_between(int(b), 400, int(c), 400, 0.05).high for b, c, _ in draws]
        assert np.mean(missed) <= 0.05


def test_nothing_measured_bounds_nothing() -> None:
    """[-1, 1], which no margin can mistake for no rise."""
    rise = rise_between(0, 0, 0, 0, 0.05)
    assert (rise.low, rise.high) == (-1, 1)
