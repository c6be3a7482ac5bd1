"""Estimates of what a sample did not show, against simulated truths."""

import numpy as np
import pytest

from memaudit.statistics import chao2, new_with_one_more


def test_all_in_every_draw_is_all_there_are() -> None:
    """Nothing was seen once only: nothing is missing."""
    assert chao2(np.array([4, 4, 0, 4]), 4) == 3
    assert new_with_one_more(np.array([4, 4, 0, 4]), 4) == 0


def test_the_estimate_lies_at_or_below_the_truth_on_average() -> None:
    """A hundred prompts that copy in 5 to 60 % of seeds, eight seeds: nearer than what was seen, and not above."""
    rng = np.random.default_rng(0)
    often = rng.uniform(0.05, 0.6, 100)
    found = [rng.binomial(8, often) for _ in range(300)]
    estimates = [chao2(each, 8) for each in found]
    seen = [(each > 0).sum() for each in found]
    assert np.mean(seen) < np.mean(estimates) <= 100


def test_one_more_draw_adds_about_as_many_as_it_says() -> None:
    """Rather less: within a third of what a ninth seed of the same prompts truly adds."""
    rng = np.random.default_rng(1)
    often = rng.uniform(0.05, 0.6, 100)
    told, added = [], []
    for _ in range(300):
        found = rng.binomial(8, often)
        told.append(new_with_one_more(found, 8))
        added.append(((found == 0) & (rng.random(100) < often)).sum())
    assert np.mean(added) <= np.mean(told)
    assert np.mean(added) == pytest.approx(np.mean(told), rel=0.34)
