"""Odds ratios: intervals hold the truth, units are what is drawn, and what cannot be told is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.statistics import odds_ratios

TRUE = np.array([0.7, 0.0, -0.5])


def draws(rng: np.random.Generator, units: int, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of a unit, the same for all its rows, that stand and fall together in half of the units."""
    own = rng.normal(size=(units, 3))
    chance = 1 / (1 + np.exp(-(own @ TRUE - 0.8)))
    common = rng.random(units) < chance
    unit = np.repeat(np.arange(units), each)
    alone = rng.random(len(unit)) < chance[unit]
    return own[unit], np.where(unit % 2 == 0, common[unit], alone), unit


@pytest.mark.parametrize("each", [1, 4])
def test_intervals_hold_the_truth(each: int) -> None:
    """In 300 worlds: 95 % intervals, of single draws and of clumps."""
    rng = np.random.default_rng(3)
    held = np.zeros(3)
    for _ in range(300):
        told = odds_ratios(*draws(rng, 150, each))
        assert told is not None
        held += [each.low <= np.exp(true) <= each.high for each, true in zip(told, TRUE, strict=True)]
    assert (held / 300 >= 0.92).all(), held


def test_as_scikit_learn_where_there_is_much() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    features, found, unit = draws(rng, 20_000, 1)
    told = odds_ratios(features, found, unit)
    assert told is not None
    other = np.exp(LogisticRegression(C=1e9).fit(features, found).coef_[0])
    assert [each.value for each in told] == pytest.approx(other.tolist(), rel=0.01)


def test_what_tells_all_apart_has_an_end() -> None:
    """Firth's penalty: finite, and far from one."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 1))
    (told,) = odds_ratios(features, features[:, 0] > 0, np.arange(100)) or [None]
    assert told is not None
    assert 1 < told.low < told.value < np.inf


@pytest.mark.parametrize(
    ("features", "found"),
    [
        (np.arange(40.0)[:, None], np.arange(40) < 4),  # four findings
        (np.ones((40, 1)), np.arange(40) < 20),  # all have it
        (np.repeat(np.arange(40.0)[:, None], 2, axis=1), np.arange(40) % 2 == 0),  # the same twice
    ],
)
def test_what_cannot_be_told_is_none(features: np.ndarray, found: np.ndarray) -> None:
    assert odds_ratios(features, found, np.arange(40)) is None


def test_findings_of_few_units_are_few() -> None:
    features = np.arange(40.0)[:, None]
    found = np.arange(40) < 20
    assert odds_ratios(features, found, np.where(found, 0, np.arange(40))) is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_a_unit_of_measure_only_scales(seed: int, factor: float) -> None:
    features, found, unit = draws(np.random.default_rng(seed), 120, 1)
    one, other = odds_ratios(features, found, unit), odds_ratios(features * factor, found, unit)
    assert one is not None
    assert other is not None
    assert [each.value**factor for each in other] == pytest.approx([each.value for each in one], rel=1e-3)
