"""The regression is scikit-learn's, and its curve tells shares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from memaudit.filters.logistic import fit_curve, fit_logistic


def drawn(seed: int, rows: int = 400, dim: int = 5):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, dim)) * rng.uniform(0.1, 5, dim) + rng.normal(size=dim)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-(features @ rng.normal(size=dim) / 3)))).astype(float)
    return features, labels, rng.uniform(0.2, 3, rows)


@given(st.integers(0, 1000), st.sampled_from([0.1, 1.0, 10.0]))
def test_it_is_the_regression_of_scikit_learn(seed, ridge):
    features, labels, counts = drawn(seed)
    mean = np.average(features, axis=0, weights=counts)
    spread = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=counts))
    peer = LogisticRegression(C=1 / ridge, tol=1e-8, max_iter=1000).fit((features - mean) / spread, labels, counts)
    ours = fit_logistic(features, labels, counts, ridge)
    theirs = peer.decision_function((features - mean) / spread)
    assert ours.logits(features) == pytest.approx(theirs, abs=2e-3)


def test_a_constant_feature_says_nothing():
    features, labels, _ = drawn(1)
    with_constant = np.column_stack([features, np.full(len(features), 3.0)])
    expected = fit_logistic(features, labels).logits(features)
    assert fit_logistic(with_constant, labels).logits(with_constant) == pytest.approx(expected, abs=1e-3)


def test_labels_that_are_all_alike_are_refused():
    with pytest.raises(ValueError, match="alike"):
        fit_logistic(np.zeros((3, 1)), np.ones(3))


@given(st.integers(0, 1000))
def test_the_curve_rises_and_keeps_the_mean(seed):
    features, labels, counts = drawn(seed)
    logits = features[:, 0]
    curve = fit_curve(logits, labels, counts)
    assert (np.diff(curve.logit) > 0).all()
    assert (np.diff(curve.probability) > 0).all()
    assert 0 <= curve.probability.min() <= curve.probability.max() <= 1
    peer = IsotonicRegression().fit(logits, labels, counts).predict(logits)
    assert set(curve.probability.round(9)) == set(peer.round(9))
