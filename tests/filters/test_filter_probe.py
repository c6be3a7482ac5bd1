"""A probe ranks a class, its probabilities are calibrated out of fold, and copies do not pass for further evidence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from memaudit.errors import InputError
from memaudit.filters.probe import Examples, Probe, fit_probe, folds_of
from memaudit.types import Float64


def drawn(rows: int, seed: int, dim: int = 8) -> tuple[Float64, Float64]:
    """Features, and labels by a true logit of slope 2 along the first."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((rows, dim))
    return features, (generator.random(rows) < expit(2 * features[:, 0])).astype(np.float64)


def names(count: int) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array([str(number) for number in range(count)], dtype=object)


def test_probabilities_are_those_of_new_rows() -> None:
    """Mean probability in tenths of the score against the share of positives there."""
    features, labels = drawn(600, 1)
    fitted = fit_probe(Examples(features, labels, names(600), np.ones(600)), 0)
    others, truth = drawn(20_000, 2)
    probability = expit(fitted.slope * (others @ fitted.coefficients + fitted.intercept) + fitted.offset)
    parts = np.array_split(np.argsort(probability), 10)
    assert max(abs(probability[part].mean() - truth[part].mean()) for part in parts) < 0.08
    assert fitted.loss is not None
    assert fitted.loss < 0.6


def test_copies_are_in_one_fold() -> None:
    """And both classes in each fold."""
    features, labels = drawn(40, 3)
    file = np.array([str(number % 20) for number in range(40)], dtype=object)
    labels[20:] = labels[:20]
    fold = folds_of(Examples(features, labels, file, np.ones(40)), 0)
    assert (fold[:20] == fold[20:]).all()
    for number in range(int(fold.max()) + 1):
        assert len(set(labels[fold == number])) == 2


def test_copies_do_not_make_noise_look_learned() -> None:
    """Labels by chance, each file there ten times: out of fold hardly anything is known, unless copies are apart."""
    generator = np.random.default_rng(4)
    features, labels = generator.standard_normal((30, 20)), generator.permutation(np.repeat([0.0, 1.0], 15))
    many = Examples(np.tile(features, (10, 1)), np.tile(labels, 10), np.tile(names(30), 10), np.ones(300))
    fitted, leaking = fit_probe(many, 0), fit_probe(many._replace(file=names(300)), 0)
    assert fitted.loss is not None
    assert leaking.loss is not None
    assert leaking.loss < 0.1 < 0.5 < fitted.loss


def test_one_positive_is_enough_to_begin() -> None:
    """Then nothing is chosen, and nothing said of the loss."""
    features, labels = drawn(10, 5)
    labels[:] = 0
    labels[3] = 1
    assert fit_probe(Examples(features, labels, names(10), np.ones(10)), 0).loss is None


def test_logits_are_of_unit_rows_and_of_scored_ones() -> None:
    probe = Probe((np.array([1, 0], np.float32), np.array([0, 2], np.float32)), 0.5, 2.0, 1.0)
    rows = (np.array([[3, 4], [0, 0]], np.float16), np.array([[0, 1], [0, 0]], np.float16))
    logits = probe.logits(rows, np.array([True, False]))
    assert logits[0] == pytest.approx(0.6 + 2 + 0.5)
    assert np.isnan(logits[1])
    assert probe.probabilities(logits)[0] == pytest.approx(expit(2 * 3.1 + 1))
    assert probe.logit_of(float(probe.probabilities(logits)[0])) == pytest.approx(3.1)
    with pytest.raises(InputError, match="length 0"):
        probe.logits(rows, np.array([True, True]))
