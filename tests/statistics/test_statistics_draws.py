"""Clumps: as how many draws they count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from memaudit.statistics import (
    ratio_interval,
)


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
