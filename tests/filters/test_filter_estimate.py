"""Bounds hold the truth, a census has none, and no cut is chosen that finds too little more often than it may."""

from __future__ import annotations

import numpy as np
import pytest

from memaudit.filters.estimate import Estimate, Known, Stratum, estimate
from memaudit.filters.needed import labels_needed

ROWS = [12, 8, 10, 20, 60, 300, 1000]
TRUE = [12, 7, 6, 4, 3, 1, 1]
DRAWN = [6, 5, 6, 10, 25, 80, 200]


def sampled(seed: int) -> list[Stratum]:
    generator = np.random.default_rng(seed)
    counts = zip(ROWS, TRUE, DRAWN, strict=True)
    return [
        Stratum(rows, drawn, int(generator.hypergeometric(true, rows - true, drawn))) for rows, true, drawn in counts
    ]


@pytest.fixture(scope="module")
def runs() -> list[Estimate]:
    return [estimate(sampled(seed), 0.05) for seed in range(200)]


def test_intervals_hold_the_truth(runs: list[Estimate]) -> None:
    """Over 200 samples, of the positives and of recall and precision at every cut."""
    total, covered, cuts = sum(TRUE), 0, 0
    for found in runs:
        covered += found.positives.low <= total <= found.positives.high
        for at in found.cuts:
            recall = sum(TRUE[: at.stratum + 1]) / total
            precision = sum(TRUE[: at.stratum + 1]) / sum(ROWS[: at.stratum + 1])
            held = at.recall.low <= recall <= at.recall.high and at.recall.lower <= recall
            cuts += held and at.precision.low <= precision <= at.precision.high
    assert covered / 200 >= 0.95
    assert cuts / (200 * (len(ROWS) - 1)) >= 0.95


def test_no_cut_finds_too_little_more_often_than_it_may(runs: list[Estimate]) -> None:
    """The cut is chosen among all: still one error."""
    total, wrong = sum(TRUE), 0
    for found in runs:
        cut = found.cut_of(0.8)
        wrong += cut is not None and sum(TRUE[: cut.stratum + 1]) / total < 0.8
    assert wrong / 200 <= 0.05


def test_the_estimate_is_unbiased(runs: list[Estimate]) -> None:
    """Horvitz and Thompson's, over many samples."""
    values = [found.positives.value for found in runs]
    assert np.mean(values) == pytest.approx(sum(TRUE), abs=3 * np.std(values) / np.sqrt(200))


def census() -> Estimate:
    return estimate([Stratum(4, 4, 3), Stratum(10, 10, 1)], 0.05)


def test_what_is_labelled_as_a_whole_is_known() -> None:
    found = census()
    (at,) = found.cuts
    assert (found.positives.low, found.positives.value, found.positives.high) == (4, 4, 4)
    assert (at.recall.low, at.recall.value, at.recall.high) == (0.75, 0.75, 0.75)
    assert at.precision.lower == 0.75


def test_known_labels_stand_for_themselves() -> None:
    """They are not drawn, and make bounds no wider."""
    some = [Stratum(10, 5, 5), Stratum(1000, 100, 0)]
    more = [some[0]._replace(known=Known(40, 40)), some[1]]
    without, with_known = estimate(some, 0.05), estimate(more, 0.05)
    assert with_known.positives.value == without.positives.value + 40
    assert with_known.cuts[0].recall.lower > without.cuts[0].recall.lower
    assert with_known.cuts[0].rows == 50


def test_what_nobody_can_tell_counts_both_ways() -> None:
    sure = estimate([Stratum(100, 50, 40), Stratum(1000, 500, 0)], 0.05)
    doubtful = estimate([Stratum(100, 50, 40, 5), Stratum(1000, 500, 0, 5)], 0.05)
    assert doubtful.cuts[0].recall.lower < sure.cuts[0].recall.lower
    assert doubtful.positives.high > sure.positives.high


def test_large_strata_are_as_small_ones_nearly() -> None:
    """Beyond what is summed exactly a stratum is taken for endless: a little wider, never narrower."""
    exact = estimate([Stratum(100, 50, 40), Stratum(20_000, 500, 1)], 0.05).positives
    endless = estimate([Stratum(100, 50, 40), Stratum(3_000_000, 75_000, 150)], 0.05).positives
    assert endless.high / 3_000_000 < exact.high / 20_000
    assert 150 * 40 < endless.high < 150 * 40 * 1.3


def test_nothing_found_is_no_recall() -> None:
    found = estimate([Stratum(100, 50, 0), Stratum(1000, 10, 0)], 0.05)
    assert found.cut_of(0.5) is None
    assert found.positives.high > 0


def test_more_labels_show_it() -> None:
    """As many as are said to be needed do, if they are as those that are there."""
    strata = [Stratum(100, 50, 45), Stratum(200, 30, 1), Stratum(5000, 60, 0)]
    assert estimate(strata, 0.05).cut_of(0.9) is None
    needed = labels_needed(strata, 0.9, 0.05)
    assert needed is not None
    assert needed.more[2] > needed.more[0]
    after = [
        each._replace(drawn=each.drawn + more, positive=round(each.positive * (each.drawn + more) / each.drawn))
        for each, more in zip(strata, needed.more, strict=True)
    ]
    assert estimate(after, 0.05).cut_of(0.89) is not None


def test_a_cut_may_be_asked_for_precision_too() -> None:
    """By its estimate; the lowest cuts are the soonest shown, and find the most that is not of the class."""
    strata = [Stratum(40, 40, 38), Stratum(40, 20, 1), Stratum(300, 100, 0), Stratum(1000, 500, 0)]
    found = estimate(strata, 0.05)
    low = found.cut_of(0.8)
    assert low is not None
    assert low.stratum > 0
    assert found.cut_of(0.8, 0.9) is None
    needed = labels_needed(strata, 0.8, 0.05, 0.9)
    assert needed is not None
    assert needed.above == 1


def test_where_no_cut_finds_enough_no_number_is_said() -> None:
    assert labels_needed([Stratum(10, 10, 5), Stratum(100, 100, 5)], 0.9, 0.05) is None
