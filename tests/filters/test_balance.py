"""Weights balance what they are asked to, stay within their limit, and are those of the true probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from memaudit.filters.balance import RIDGE, fit_balance


def filtered(seed: int, rows: int = 3000, values: int = 12):
    """Values of images, and who is kept by a logistic filter over them; its probabilities beside."""
    rng = np.random.default_rng(seed)
    has = (rng.random((rows, values)) < rng.uniform(0.05, 0.6, values)).astype(float)
    probability = 1 / (1 + np.exp(-(1.2 + has @ rng.normal(0, 0.7, values))))
    return csr_array(has), rng.random(rows) < probability, probability


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_the_kept_have_by_weight_what_all_have(seed):
    """What is left of an imbalance is the ridge times the coefficient, an image or so of thousands."""
    values, kept, _ = filtered(seed)
    balance = fit_balance([values], kept, 1000.0)
    weight = balance.weights(values[kept] @ balance.coefficients)
    left = weight @ values[kept] - values.sum(axis=0)
    assert weight.sum() == pytest.approx(len(kept), rel=1e-3)
    assert left == pytest.approx(RIDGE * balance.coefficients, abs=1.0)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(1.05, 3.0))
def test_no_weight_is_beyond_the_limit(seed, limit):
    values, kept, _ = filtered(seed)
    most = limit * len(kept) / kept.sum()
    balance = fit_balance([values], kept, most)
    weight = balance.weights(values[kept] @ balance.coefficients)
    assert 1 <= weight.min() <= weight.max() <= most * (1 + 1e-9)


def test_they_are_one_over_the_true_probabilities():
    values, kept, probability = filtered(3, rows=60_000)
    balance = fit_balance([values], kept, 1000.0)
    weight = balance.weights(values[kept] @ balance.coefficients)
    assert weight == pytest.approx(1 / probability[kept], rel=0.12)


def test_a_limit_below_the_mean_is_refused():
    values, kept, _ = filtered(1)
    with pytest.raises(ValueError, match="cannot stand for all"):
        fit_balance([values], kept, 1.0)
