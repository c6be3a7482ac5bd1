"""The order that pairs are compared in: each once, with no more pictures than there is room for, few read twice."""

from __future__ import annotations

from heapq import heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.matching.schedule import Schedule, schedule
from memaudit.types import Int64

PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=60)


def ends_of(pairs: list[tuple[int, int]]) -> tuple[Int64, Int64]:
    ends: Int64 = np.array(pairs, np.int64).reshape(-1, 2)
    return ends[:, 0], ends[:, 1]


def followed(left: Int64, right: Int64, order: Schedule) -> tuple[int, int]:
    """How often pictures are read, and how many are held at most, by whoever keeps to it."""
    held, reads, most = set[int](), 0, 0
    for place, done in zip(order.pairs.tolist(), order.done.tolist(), strict=True):
        pair = {int(left[place]), int(right[place])}
        reads += len(pair - held)
        held |= pair
        most = max(most, len(held))
        held -= {int(side[place]) for side, is_done in zip((left, right), done, strict=True) if is_done}
    assert not held
    return reads, most


@given(PAIRS, st.integers(0, 14))
def test_each_pair_comes_once_and_what_it_says_of_itself_holds(pairs: list[tuple[int, int]], room: int) -> None:
    """Any pairs, some twice, some of one picture with itself; any room."""
    left, right = ends_of(pairs)
    order = schedule(left, right, room)
    assert sorted(order.pairs.tolist()) == list(range(len(pairs)))
    reads, most = followed(left, right, order)
    assert reads == order.reads
    assert most <= max(2, room)
    if room >= len(np.unique([left, right])):
        assert reads == len(np.unique([left, right]))


@given(PAIRS, PAIRS)
def test_joined_they_follow_each_other(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    left, right = ends_of(first + second)
    one, two = schedule(*ends_of(first), 3), schedule(*ends_of(second), 3)
    both = Schedule.joined([one, two._replace(pairs=two.pairs + len(first))])
    assert sorted(both.pairs.tolist()) == list(range(len(left)))
    assert followed(left, right, both)[0] == one.reads + two.reads


def mixed_families(families: int, size: int) -> tuple[Int64, Int64]:
    """All pairs within families, in a random order."""
    family = np.arange(families * size) // size
    left, right = np.nonzero(np.triu(family[:, None] == family[None], 1))
    order = np.random.default_rng(0).permutation(len(left))
    return left[order], right[order]


def test_families_are_worked_on_one_after_the_other() -> None:
    """Their pairs are mixed in the list: each picture is read once, with room for one family."""
    left, right = mixed_families(100, 6)
    order = schedule(left, right, 6)
    assert order.reads == 600
    assert (np.diff(left[order.pairs] // 6) != 0).sum() == 99


@pytest.mark.parametrize("room", [60, 200])
def test_a_chain_of_neighbours_is_walked_along(room: int) -> None:
    """Each picture with its next eight, however mixed and numbered: none is read twice."""
    numbers = np.random.default_rng(1).permutation(2000)
    left = np.repeat(np.arange(2000), 8)
    right = left + np.tile(np.arange(1, 9), 2000)
    inside = right < 2000
    order = schedule(numbers[left[inside]], numbers[right[inside]], room)
    assert order.reads <= 2000 * 1.01


def test_a_hub_stays() -> None:
    """One picture that is paired with all: it is read once, with room for three."""
    left, right = np.zeros(500, np.int64), np.arange(1, 501)
    assert schedule(left, right, 3).reads == 501


def test_twice_the_pairs_take_about_twice_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: entries that the heaps are given."""
    counted = []
    for families in (200, 400):
        pushed: list[object] = []

        def push(heap: list[object], entry: object, pushed: list[object] = pushed) -> None:
            pushed.append(entry)
            heappush(heap, entry)

        with monkeypatch.context() as patch:
            patch.setattr("memaudit.matching.schedule.heappush", push)
            schedule(*mixed_families(families, 6), 50)
        counted.append(len(pushed))
    assert counted[1] <= 2.1 * counted[0]
