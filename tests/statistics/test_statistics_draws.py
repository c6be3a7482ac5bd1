"""Clumps: as how many draws they count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from memaudit.statistics import effective_draws, kish, rate_by_unit, rate_of, ratio_interval
from memaudit.types import Coverage, Rate


def test_ratio_of_single_pairs_is_the_binomial_interval() -> None:
    """With one pair for each row, rows are independent draws and the interval is Clopper-Pearson's."""
    found, true = np.array([1] * 90 + [0] * 10), np.ones(100, np.int64)
    expected = binomtest(90, 100).proportion_ci(0.95, method="exact")
    low, high = ratio_interval(found, true, 0.95)
    assert low == pytest.approx(expected.low, abs=0.01)
    assert high == pytest.approx(expected.high, abs=0.01)


def test_clumps_widen_the_interval() -> None:
    """The same 10 % missed in ten rows of 100 pairs is far less certain than in a thousand rows of one."""
    scattered = ratio_interval(np.array([1] * 900 + [0] * 100), np.ones(1000, np.int64), 0.95)
    clumped = ratio_interval(np.array([100] * 9 + [0]), np.full(10, 100), 0.95)
    assert clumped[0] < scattered[0] - 0.2
    assert clumped[1] > scattered[1]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_ratio_interval_is_ordered_and_holds_the_ratio(data: st.DataObject, rows: int) -> None:
    """0 <= low <= ratio <= high <= 1 for any clumps, one row or many, all found or none."""
    true = np.array(data.draw(st.lists(st.integers(1, 1000), min_size=rows, max_size=rows)))
    found = np.array([data.draw(st.integers(0, int(t))) for t in true])
    low, high = ratio_interval(found, true, 0.95)
    assert 0 <= low <= found.sum() / true.sum() + 1e-12
    assert found.sum() / true.sum() - 1e-12 <= high <= 1


def test_nothing_missed_is_not_certainty() -> None:
    """59 rows without a miss bound the share of incomplete rows by 5 %; one row bounds next to nothing."""
    assert ratio_interval(np.full(59, 7), np.full(59, 7), 0.95)[0] == pytest.approx(0.95, abs=1e-3)
    assert ratio_interval(np.array([40]), np.array([40]), 0.95) == (pytest.approx(0.05), 1)


# --- clumps of draws: the seeds of prompts --------------------------------------------------------------------------


def copying(rng: np.random.Generator, seeds: NDArray[np.int64], share: float, often: float) -> NDArray[np.int64]:
    """How many seeds of each prompt copy: the memorised share of the prompts does in `often` of its seeds."""
    return rng.binomial(seeds, np.where(rng.random(len(seeds)) < share, often, 0.0))


def bounds_of(found: NDArray[np.int64], seeds: NDArray[np.int64]) -> Rate:
    unit = np.repeat(np.arange(len(seeds)), seeds)
    hits = np.arange(len(unit)) - np.repeat(np.cumsum(seeds) - seeds, seeds) < np.repeat(found, seeds)
    return rate_by_unit(hits, unit, Coverage(len(unit), len(unit)))


def test_with_equal_seeds_the_draws_are_prompts() -> None:
    """Nothing found: as many as prompts; found in every seed of some: one less."""
    seeds = np.full(100, 7)
    assert effective_draws(np.zeros(100), seeds) == 100
    assert effective_draws(np.where(np.arange(100) < 3, 7, 0), seeds) == pytest.approx(99)
    assert bounds_of(np.zeros(100, np.int64), seeds).upper == pytest.approx(1 - 0.05 ** (1 / 100))


def test_one_long_prompt_is_not_many_draws() -> None:
    """99 prompts of one generation and one of 901: about as many as one."""
    assert kish(np.array([1] * 99 + [901])) == pytest.approx(1.23, abs=0.01)
    assert effective_draws(np.zeros(100), np.array([1] * 99 + [901])) == pytest.approx(1.23, abs=0.01)


def test_one_draw_a_unit_is_the_binomial_interval() -> None:
    """Nothing is lost where there is nothing to join."""
    found = np.arange(200) < 5
    assert rate_by_unit(found, np.arange(200), Coverage(200, 200)) == rate_of(5, Coverage(200, 200))


@pytest.mark.parametrize(
    ("prompts", "seeds", "share"), [(200, 4, 0.01), (200, 100, 0.01), (1000, 10, 0.005), (80, 10, 0.1)]
)
def test_bounds_by_prompt_cover_the_true_rate(prompts: int, seeds: int, share: float) -> None:
    """Of 400 runs the two-sided interval holds the rate in 94 % at least; generations as draws give .10 to .74."""
    rng = np.random.default_rng(3)
    drawn = np.full(prompts, seeds)
    rates = [bounds_of(copying(rng, drawn, share, 0.5), drawn) for _ in range(400)]
    truth = share * 0.5
    assert np.mean([rate.low <= truth <= rate.high for rate in rates]) >= 0.94
    assert np.mean([truth <= rate.upper for rate in rates]) >= 0.94


def test_unequal_seeds_are_covered_as_well() -> None:
    """Some prompts have one seed, others forty."""
    rng = np.random.default_rng(4)
    drawn = np.where(np.arange(150) < 75, 1, 40)
    rates = [bounds_of(copying(rng, drawn, 0.04, 0.5), drawn) for _ in range(400)]
    assert np.mean([rate.low <= 0.02 <= rate.high for rate in rates]) >= 0.94
