"""Strata follow the score, samples are drawn within them, and nothing is drawn twice."""

from __future__ import annotations

import numpy as np

from memaudit.filters.strata import borders_of, draw, shares, stratum_of


def test_strata_are_runs_by_score() -> None:
    """The highest first; what is equal is in one stratum."""
    logits = np.repeat(np.linspace(3, -6, 100), 10).astype(np.float32)
    borders = borders_of(logits, 50)
    stratum = stratum_of(borders, logits)
    assert (np.diff(stratum) >= 0).all()
    assert stratum[0] == 0
    assert stratum[-1] == len(borders) - 1
    for value in np.unique(logits):
        assert len(set(stratum[logits == value])) == 1


def test_a_few_rows_are_one_stratum() -> None:
    assert borders_of(np.array([1, 2, 3], np.float32), 1).tolist() == [-np.inf]


def test_a_sample_is_shared_out_by_what_it_tells() -> None:
    """As many as were asked for, no more of any stratum than there are, and more where doubt is."""
    rows, expected = np.array([20, 100, 100, 10_000]), np.array([0.95, 0.5, 0.05, 0.0001])
    found = shares(rows, expected, 80, 200)
    assert 195 <= found.sum() <= 205
    assert (found <= rows).all()
    assert found[1] > found[2]
    assert shares(rows, expected, 80, 100_000).tolist() == rows.tolist()
    assert shares(np.array([0, 10]), np.array([0.5, 0.5]), 5, 4).tolist()[0] == 0


def test_rows_are_drawn_alike_within_a_stratum() -> None:
    """Without replacement, by the seed alone; over many seeds each as often as another."""
    stratum, rows = np.repeat([0, 1], [10, 30]), np.arange(100, 140)
    counts = np.zeros(140)
    for seed in range(2000):
        drawn = draw(stratum, rows, np.array([5, 3]), seed)
        assert len(set(drawn.row.tolist())) == 8
        counts[drawn.row] += 1
    assert np.allclose(counts[100:110] / 2000, 0.5, atol=0.06)
    assert np.allclose(counts[110:] / 2000, 0.1, atol=0.04)
    assert (
        draw(stratum, rows, np.array([5, 3]), 7).row.tolist() == draw(stratum, rows, np.array([5, 3]), 7).row.tolist()
    )
