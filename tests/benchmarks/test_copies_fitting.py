"""The fit of the model: of synthetic signals whose weights are known."""

from __future__ import annotations

import numpy as np

from benchmarks.copies.fitting import Seen, curve_of, cut_of, fitted

RNG = np.random.default_rng(0)
PAIRS, EACH = 4000, 3


def made() -> Seen:
    """Three alignments a pair, one of which shows what is there; the third signal says nothing."""
    copy = (RNG.random(PAIRS) < 0.5).astype(np.float64)
    signals = RNG.normal(-2, 0.5, (PAIRS * EACH, 3))
    right = np.arange(PAIRS) * EACH + RNG.integers(0, EACH, PAIRS)
    signals[right, :2] = RNG.normal(0, 1, (PAIRS, 2)) + np.outer(copy, [2.0, 1.0])
    signals[:, 2] = RNG.normal(0, 1, PAIRS * EACH)
    return Seen(signals, np.repeat(np.arange(PAIRS), EACH), copy)


def test_the_weights_follow_what_tells_copies() -> None:
    part = made()
    weights = fitted(part)
    assert (weights.coefficients >= 0).all()
    first, second, noise = weights.coefficients
    assert first > second > 10 * noise
    score = weights.of(part.signals)
    logit = score[part.closest(score)]
    assert ((logit > 0) == (part.copy == 1)).mean() > 0.85


def test_of_each_pair_one_alignment_is_chosen() -> None:
    part = made()
    score = RNG.random(len(part.pair))
    chosen = part.closest(score)
    np.testing.assert_array_equal(part.pair[chosen], np.arange(PAIRS))
    np.testing.assert_array_equal(score[chosen], score.reshape(PAIRS, EACH).max(axis=1))


def test_the_curve_is_the_share_of_copies() -> None:
    logit = RNG.normal(0, 3, 20_000)
    copy = (RNG.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    at, probability = curve_of(logit, copy)
    assert (np.diff(at) > 0).all()
    assert (np.diff(probability) >= 0).all()
    asked = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(np.interp(asked, at, probability), 1 / (1 + np.exp(-asked)), atol=0.06)


def test_the_cut_lets_a_share_of_the_others_pass() -> None:
    logit, copy = np.arange(1000.0), np.zeros(1000)
    assert (logit >= cut_of(logit, copy, 0.003)).sum() in (3, 4)
