"""The fit of the model: of synthetic signals whose weights are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.copies.fitting import AGAINST, EITHER, Alignments, Seen, boosted, closeness, curve_of, cut_of, written
from benchmarks.copies.series import KINDS, MEMBERS, series
from memaudit.matching.model import AGREEING, SCHEMA, SIGNALS, Trees
from memaudit.types import Float64

RNG = np.random.default_rng(0)
PAIRS, EACH = 4000, 3


def made() -> tuple[Alignments, Float64]:
    """Three alignments a pair, one of which shows what is there; the third signal says nothing."""
    copy = (RNG.random(PAIRS) < 0.5).astype(np.float64)
    signals = RNG.normal(-2, 0.5, (PAIRS * EACH, 3))
    right = np.arange(PAIRS) * EACH + RNG.integers(0, EACH, PAIRS)
    signals[right, :2] = RNG.normal(0, 1, (PAIRS, 2)) + np.outer(copy, [2.0, 1.0])
    signals[:, 2] = RNG.normal(0, 1, PAIRS * EACH)
    return Alignments(signals, np.repeat(np.arange(PAIRS), EACH)), copy


def all_of(copy: Float64) -> NDArray[np.bool_]:
    return np.ones(len(copy), bool)


def test_the_weights_follow_what_tells_copies() -> None:
    part, copy = made()
    weights = closeness(part, copy, all_of(copy))
    assert (weights.coefficients >= 0).all()
    first, second, noise = weights.coefficients
    assert first > second > 10 * noise
    score = weights.of(part.signals)
    logit = score[part.closest(score)]
    assert ((logit > 0) == (copy == 1)).mean() > 0.85


def test_of_each_pair_one_alignment_is_chosen() -> None:
    part, _ = made()
    score = RNG.random(len(part.pair))
    chosen = part.closest(score)
    np.testing.assert_array_equal(part.pair[chosen], np.arange(PAIRS))
    np.testing.assert_array_equal(score[chosen], score.reshape(PAIRS, EACH).max(axis=1))


def shown() -> tuple[Float64, Float64]:
    """Signals of pairs of which what agrees speaks for a copy, and what is lost against one."""
    signals = RNG.random((PAIRS, len(SIGNALS)))
    told = signals[:, SIGNALS.index("alike")] - signals[:, SIGNALS.index("lost")]
    return signals, (told + RNG.normal(0, 0.2, PAIRS) > 0).astype(np.float64)


def test_trees_say_what_scikit_learn_says_and_are_held_to_their_ways() -> None:
    sklearn = pytest.importorskip("sklearn.ensemble")
    signals, copy = shown()
    trees = Trees.of(boosted(signals, copy))
    ways = [0 if name in EITHER else -1 if name in AGAINST else 1 for name in SIGNALS]
    asked = sklearn.HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.1,
        max_leaf_nodes=16,
        min_samples_leaf=20,
        l2_regularization=1.0,
        monotonic_cst=ways,
        early_stopping=False,
        random_state=0,
    ).fit(signals, copy)
    sums = np.array([trees.sum(row) for row in signals[:100]])
    np.testing.assert_allclose(sums, asked.decision_function(signals[:100]), atol=0.01)
    for name in ("alike", "lost"):
        higher = signals[:100].copy()
        higher[:, SIGNALS.index(name)] += 0.3
        change = np.array([trees.sum(row) for row in higher]) - sums
        assert (change >= -1e-9).all() if name == "alike" else (change <= 1e-9).all()


def test_what_is_written_is_the_model_that_was_fitted() -> None:
    signals, copy = shown()
    alignments = Alignments(signals[:, : len(AGREEING)], np.arange(PAIRS))
    close, fitting = signals[:, 0], RNG.random(PAIRS) < 0.5
    part = Seen(alignments, signals, close, fitting, copy, RNG.random(PAIRS) < 0.2, np.ones(PAIRS))
    told = json.loads(written(part, part, "digest"))
    assert told["schema"] == SCHEMA
    assert tuple(told["signals"]) == SIGNALS
    assert 0 < told["cut"] < 1
    probability = np.interp([Trees.of(told["trees"]).sum(row) for row in signals], *told["curve"].values())
    assert ((probability >= 0.5) == (copy == 1))[fitting].mean() > 0.9
    unfitting = np.interp(close[~fitting], *told["unfitting"].values())
    assert unfitting.mean() == pytest.approx(copy[~fitting].mean(), abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_members_of_a_series_are_different_pictures_and_the_same_each_time(kind: str) -> None:
    members = series(kind, 3)
    assert len({member.tobytes() for member in members}) == MEMBERS
    assert [member.tobytes() for member in series(kind, 3)] == [member.tobytes() for member in members]


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
