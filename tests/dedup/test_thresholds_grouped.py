"""What other thresholds would group, by the pairs that a run has."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.dedup.results import RowPairs
from memaudit.dedup.thresholds import STEPS, grouped_at, steps_of


def pairs(*given: tuple[int, int, float, bool]) -> RowPairs:
    left, right, similarity, exact = (np.array(column) for column in zip(*given, strict=True))
    return RowPairs(
        left,
        right,
        similarity.astype(np.float32),
        exact.astype(bool),
        np.zeros(len(given), bool),
        np.full(len(given), -1, np.int8),
    )


def test_chains_make_groups_and_exact_duplicates_stay() -> None:
    """Rows 3, 5, 9 hang together by a chain that breaks; the exact pair is one at every threshold."""
    found = grouped_at(pairs((3, 5, 0.8, False), (5, 9, 0.95, False), (20, 21, 0.7, True)), [0.75, 0.9, 1.0])
    assert [tuple(at) for at in found] == [(0.75, 3, 5, 2), (0.9, 2, 4, 2), (1.0, 1, 2, 1)]


def test_steps_begin_at_the_runs_own_threshold() -> None:
    steps = steps_of(pairs((0, 1, 0.8, False)), 0.75)
    assert (len(steps), steps[0], steps[-1]) == (STEPS + 1, 0.75, 1.0)
    assert (
        steps_of(
            RowPairs(
                *(np.empty(0, np.int64),) * 2, np.empty(0, np.float32), *(np.empty(0, bool),) * 2, np.empty(0, object)
            ),
            0.75,
        )
        == []
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(5, 10), st.booleans()), min_size=1))
def test_counts_are_those_of_looking_at_all_pairs_each_time(given: list[tuple[int, int, int, bool]]) -> None:
    """At each threshold images are linked by the pairs that reach it, and groups are counted one by one."""
    edges = [(low, high, tenth / 10, exact) for low, high, tenth, exact in given if low != high]
    if not edges:
        return
    for at in grouped_at(pairs(*edges), [0.5, 0.7, 0.8, 1.0]):
        linked = [{low, high} for low, high, score, exact in edges if exact or score >= at.threshold - 1e-9]
        groups: list[set[int]] = []
        for ends in linked:
            joined = [group for group in groups if group & ends]
            groups = [group for group in groups if not group & ends] + [ends.union(*joined)]
        assert (at.pairs, at.images, at.groups) == (len(linked), sum(map(len, groups)), len(groups))
