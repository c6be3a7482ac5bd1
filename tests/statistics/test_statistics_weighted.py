"""Weighted shares: against the closed forms, scipy, and simulated draws of strata."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaincinv
from scipy.stats import chi2

from memaudit.errors import UsageError
from memaudit.statistics import weighted, weighted_rate


def test_nothing_found_is_three_of_the_largest() -> None:
    """-ln 0.05 times the share of the prompt that stands for most."""
    rate = weighted_rate([], 0.01)
    assert (rate.value, rate.low) == (0, 0)
    assert rate.upper == pytest.approx(-np.log(0.05) * 0.01)


def test_it_is_fay_and_feuers_interval() -> None:
    """Lower and upper end by the chi-squared quantiles of their paper."""
    shares, largest = [0.001, 0.004, 0.01], 0.01
    y, v = sum(shares), sum(share**2 for share in shares)
    rate = weighted_rate(shares, largest)
    assert rate.low == pytest.approx(v / (2 * y) * chi2.ppf(0.025, 2 * y**2 / v))
    a, b = y + largest, v + largest**2
    assert rate.high == pytest.approx(b / (2 * a) * chi2.ppf(0.975, 2 * a**2 / b))
    assert rate.upper == pytest.approx(b / (2 * a) * chi2.ppf(0.95, 2 * a**2 / b))


@settings(max_examples=150, deadline=None)
@given(st.floats(0.01, 2000), st.sampled_from([0.025, 0.05, 0.95, 0.975]), st.booleans())
def test_gamma_quantiles_are_scipys(shape: float, q: float, without: bool) -> None:
    """Summed where a gate has few findings, or no SciPy."""
    with pytest.MonkeyPatch.context() as patch:
        if without:
            patch.setattr(weighted, "find_spec", lambda name: None)
        assert weighted.gamma_quantile(q, shape) == pytest.approx(gammaincinv(shape, q), rel=1e-8)


@pytest.mark.parametrize(("shares", "largest"), [([0.2], 0.1), ([-0.1], 0.5), ([0.5, 0.6], 0.6), ([], 0.0), ([], 1.5)])
def test_what_is_no_share_is_refused(shares: list[float], largest: float) -> None:
    """A report may claim anything."""
    with pytest.raises(UsageError, match="no shares"):
        weighted_rate(shares, largest)


@pytest.mark.parametrize(
    ("certain", "drawn", "captions", "repeated", "others"),
    [
        (100, 100, 10_000, 0.3, 0.005),
        (500, 500, 50_000, 0.2, 0.002),
        (100, 900, 3000, 0.1, 0.01),
        (10, 90, 1000, 0.9, 0.1),
    ],
)
def test_a_mixed_choice_is_covered(certain: int, drawn: int, captions: int, repeated: float, others: float) -> None:
    """Half from the most repeated images, which copy often: the share of all captions lies within, in 94 % at least."""
    rng, left = np.random.default_rng(0), captions - certain
    truth = (certain * repeated + left * others) / captions
    share = left / drawn / captions
    rates = [
        weighted_rate([1 / captions] * rng.binomial(certain, repeated) + [share] * rng.binomial(drawn, others), share)
        for _ in range(300)
    ]
    assert np.mean([rate.low <= truth <= rate.high for rate in rates]) >= 0.94
    assert np.mean([truth <= rate.upper for rate in rates]) >= 0.94
