"""How long pixels take and may: budgets are read, estimates told, and the most similar pairs come first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit import machine
from memaudit.dedup import effort
from memaudit.dedup.effort import Budget, Estimate, estimated, in_bands, seconds_of, spoken
from memaudit.errors import UsageError
from memaudit.matching.compare import Ends, Files, Times


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("45s", 45), ("90m", 5400), ("2h", 7200), ("1.5h", 5400), ("3d", 259200), (12, 12), (None, None)],
)
def test_a_budget_is_seconds(given: str | float | None, seconds: float | None) -> None:
    assert seconds_of(given) == seconds


@pytest.mark.parametrize(
    "given", ["", "2", "h", "-1h", "2 hours", "1e3s", "0s", "٣h", "2H", 0, -1, float("nan"), float("inf")]
)
def test_what_is_no_budget_is_one_line(given: str | float) -> None:
    with pytest.raises(
        UsageError, match=r"--budget .* is no time: expected a number above 0 and s, m, h or d"
    ) as caught:
        seconds_of(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (45, "45 s"), (119, "119 s"), (2220, "37 min"), (7200, "2.0 hours"), (10**6, "12 days")],
)
def test_durations_as_a_person_says_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def ends_of(pairs: int) -> Ends:
    """A chain of images that are nowhere."""
    files = Files(*(np.full(pairs + 1, "", object) for _ in range(2)))
    return Ends.of(files, files, np.arange(pairs), np.arange(1, pairs + 1))


def test_an_estimate_by_a_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files read and pairs compared, on all cores; the same pairs are drawn for the same seed; none for few pairs."""
    drawn = []

    def timed(ends: Ends, places: np.ndarray) -> Times:
        drawn.append(places.tolist())
        return Times(reading=0.05, comparing=0.01)

    monkeypatch.setattr(effort, "timed", timed)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    estimate = estimated(ends_of(3000), 5000, 41_000, 0)
    assert estimate == Estimate(41_000, (5000 * 0.05 + 41_000 * 0.01) / 2, 2)
    assert str(estimate) == "about 41,000 pairs to compare on pixels, 5.5 min on 2 cores"
    assert estimated(ends_of(3000), 5000, 41_000, 0) == estimate
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == effort.PILOT
    assert estimated(ends_of(3000), 5000, effort.PILOT_FROM - 1, 0) is None


def test_a_budget_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(effort.time, "monotonic", lambda: now)
    budget, any_time = Budget(10), Budget(None)
    assert not budget.spent
    assert budget.surely_enough(Estimate(1, 5, 1))
    assert not budget.surely_enough(Estimate(1, 6, 1))
    assert not budget.surely_enough(None)
    assert any_time.surely_enough(None)
    now = 110.0
    assert budget.spent
    assert not any_time.spent


@settings(max_examples=40)
@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 8))
def test_bands_fall_in_similarity_and_hold_each_pair_once(similarity: list[int], bands: int) -> None:
    """Nobody in a later band is more similar than anybody in an earlier one."""
    value = np.array(similarity, np.float32) / 100
    order = in_bands(ends_of(len(value)), value, bands, 100)
    assert sorted(order.pairs.tolist()) == list(range(len(value)))
    sizes = [len(part) for part in np.array_split(np.arange(len(value)), bands)]
    parts = np.split(value[order.pairs], np.cumsum(sizes)[:-1])
    least = 1.0
    for part in parts:
        assert (part <= least).all()
        least = part.min(initial=least)
