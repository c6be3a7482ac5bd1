"""Area under the ROC curve, by brute force, and how often its interval holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.faces.membership import area, roc_points

scores = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@given(scores, scores)
def test_the_area_is_the_share_of_pairs_in_order(members: list[float], others: list[float]) -> None:
    """Of all pairs of a member and a non-member, ties counting half; the curve has the same area."""
    pairs = [(a > b) + (a == b) / 2 for a in members for b in others]
    auc, low, high = area(np.float32(members), np.float32(others))
    assert auc == pytest.approx(np.mean(pairs))
    assert 0 <= low <= auc <= high <= 1
    x, y = np.array(roc_points(np.float32(members), np.float32(others))).T
    assert np.trapezoid(y, x) == pytest.approx(auc)


def test_the_interval_holds_in_about_95_percent() -> None:
    """Over 300 draws of 60 members and 80 others whose true area is 0.76."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        _, low, high = area(np.float32(rng.normal(1, 1, 60)), np.float32(rng.normal(0, 1, 80)))
        inside += low <= 0.76025 <= high
    assert 0.92 <= inside / 300 <= 0.98


def test_long_curves_are_thinned() -> None:
    """At most 101 points, the ends among them."""
    values = np.random.default_rng(2).random(5000).astype(np.float32)
    points = roc_points(values, values[::-1] - 0.2)
    assert len(points) == 101
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
