"""Cohen's kappa and its interval: known values, and that the interval holds what it says."""

from __future__ import annotations

import numpy as np
import pytest

from memaudit.reviews import Review, Verdict, agreements, kappa_of, merged, pair_of
from memaudit.types import Float64


def kappa(shares: Float64) -> float:
    expected = float((shares.sum(axis=0) * shares.sum(axis=1)).sum())
    return float((np.trace(shares) - expected) / (1 - expected))


def delta_error(cells: list[list[int]]) -> float:
    """The standard error by the delta method, with numerical derivatives."""
    counts = np.array(cells, float)
    n, shares = counts.sum(), counts / counts.sum()
    steps = 1e-6 * np.eye(4).reshape(4, 2, 2)
    slope = np.array([(kappa(shares + step) - kappa(shares - step)) / 2e-6 for step in steps])
    flat = shares.reshape(-1)
    return float(np.sqrt(slope @ (np.diag(flat) - np.outer(flat, flat)) @ slope / n))


@pytest.mark.parametrize("cells", [[[20, 5], [10, 15]], [[45, 15], [25, 15]], [[300, 20], [40, 140]]])
def test_known_tables(cells: list[list[int]]) -> None:
    """Kappa as textbooks have it (0.4 of the first), and an interval no narrower than the delta method's."""
    found, low, high = kappa_of(cells)
    assert found == pytest.approx(kappa(np.array(cells) / np.sum(cells)))
    assert low is not None
    assert high is not None
    error = 1.959964 * delta_error(cells)
    assert low <= found - error + 1e-6
    assert high >= found + error - 1e-6
    assert min(found - low, high - found) == pytest.approx(error, rel=0.3)


def test_full_agreement_on_few_is_no_certainty() -> None:
    """Ten pairs on which two people agree: kappa 1, and an interval that says how little that is."""
    found, low, high = kappa_of([[5, 0], [0, 5]])
    assert (found, high) == (1.0, 1.0)
    assert low is not None
    assert 0.2 < low < 0.5


@pytest.mark.parametrize("cells", [[[7, 0], [0, 0]], [[0, 0], [0, 0]]])
def test_one_word_for_all_says_nothing(cells: list[list[int]]) -> None:
    assert kappa_of(cells) == (None, None, None)


@pytest.mark.parametrize(("n", "joint"), [(40, (0.45, 0.05, 0.1, 0.4)), (100, (0.2, 0.1, 0.1, 0.6))])
def test_the_interval_holds_kappa(n: int, joint: tuple[float, ...]) -> None:
    """In 1,000 draws of two people's words on n pairs."""
    rng = np.random.default_rng(1)
    truth = kappa(np.array(joint).reshape(2, 2))
    held = 0
    for cells in rng.multinomial(n, joint, size=1000):
        _, low, high = kappa_of(cells.reshape(2, 2).tolist())
        held += low is None or high is None or low <= truth <= high
    assert held >= 940


def review(one: str, other: str, verdict: Verdict, who: str) -> Review:
    return Review(pair_of(one * 64, other * 64), verdict, who)


def test_two_people_are_compared_on_what_both_are_sure_of() -> None:
    """Who accepts a pair calls it a copy; a pair on which one is unsure is counted apart; a third met nobody."""
    said = [
        review("a", "b", Verdict.COPY, "Ann"),
        review("a", "b", Verdict.ACCEPTED, "Bob"),
        review("a", "c", Verdict.NO_COPY, "Ann"),
        review("a", "c", Verdict.COPY, "Bob"),
        review("b", "c", Verdict.UNSURE, "Ann"),
        review("b", "c", Verdict.COPY, "Bob"),
        review("d", "e", Verdict.COPY, "Cy"),
    ]
    (found,) = agreements(merged(said).said)
    assert (found.one, found.other, found.pairs, found.same, found.unsure) == ("Ann", "Bob", 2, 1, 1)
    assert found.kappa == pytest.approx(0.0)
