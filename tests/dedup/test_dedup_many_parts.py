"""What a search collects of its many jobs: as few parts, and as little work, as its pairs take; and the same pairs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from graphs import Graph, graphs, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from memaudit.dedup import candidates, groups
from memaudit.dedup.candidates import CandidateRule, Collected
from memaudit.similarity import Pairs
from memaudit.types import Float32, Int64

SIZE, THRESHOLD, FLOOR = 60, 0.8, 0.5


class PartACall(candidates._Parts):
    """The plain way: whatever is added is a part, the empty too."""

    def _take(self, keys: Int64, similarity: Float32) -> None:
        self.keys.append(keys)
        self.similarity.append(similarity)
        self.count += len(keys)


def collected(parts: list[list[Pairs]], rule: CandidateRule | None) -> Collected:
    """Of each job what it adds."""
    found = Collected(SIZE, THRESHOLD, rule)
    for job in parts:
        own = Collected(SIZE, THRESHOLD, rule)
        for part in job:
            own.add(part)
        found.merge(Collected.of_arrays(SIZE, THRESHOLD, rule, *own.as_arrays()) if len(job) > 1 else own)
    return found


@st.composite
def jobs(draw: st.DrawFn) -> list[list[Pairs]]:
    """Distinct pairs of SIZE images, in jobs of parts of any size."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    left, right = np.triu_indices(SIZE, 1)
    chosen = rng.permutation(len(left))[: draw(st.integers(0, 600))]
    similarity = rng.choice([0.55, 0.6, 0.7, 0.8, 0.9, 0.95], len(chosen)).astype(np.float32)
    every = Pairs(left[chosen], right[chosen], similarity)
    bounds = np.sort(rng.integers(0, len(chosen) + 1, draw(st.integers(0, 40))))
    parts = [every.where(part) for part in np.split(np.arange(len(chosen)), bounds)]
    return [parts[low : low + 2] for low in range(0, len(parts), 2)]


@given(jobs(), st.booleans(), st.integers(1, 80), st.integers(1, 9), st.integers(10, 300))
def test_pairs_are_those_of_the_plain_way(
    parts: list[list[Pairs]], ruled: bool, whole: int, waiting: int, room: int
) -> None:
    """Exactly: in which parts they wait changes neither pairs nor what is left out."""
    place = np.random.default_rng(3).permutation(SIZE)
    rule = CandidateRule(FLOOR, 2, place, np.array([[0, 1], [5, 9]])) if ruled else None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SORTED_AT_ONCE", whole), ("_WAITING", waiting), ("PRUNE_AT", room)):
            patch.setattr(candidates, name, value)
        found = collected(parts, rule)
        patch.setattr(candidates, "_Parts", PartACall)
        plain = collected(parts, rule)
        assert (found.near, found.left_out) == (plain.near, plain.left_out)
        for own, expected in zip(found.in_order(), plain.in_order(), strict=True):
            assert own.dtype == expected.dtype
            assert np.array_equal(own, expected)


def test_parts_are_as_many_as_their_pairs_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not as many as jobs, of which most find a pair or none."""
    monkeypatch.setattr(candidates, "SORTED_AT_ONCE", 200)
    monkeypatch.setattr(candidates, "_WAITING", 16)
    left, right = np.triu_indices(SIZE, 1)
    every = Pairs(left[:1000], right[:1000], np.full(1000, 0.9, np.float32))
    found = collected([[every.where(slice(each, each + each % 2))] for each in range(1000)], None)
    assert found.near == 500
    assert len(found._near.keys) <= 16 + 500 // 200
    assert min(map(len, found._near.keys)) > 0


@given(graphs(), st.integers(1, 5))
def test_partners_are_those_that_a_bincount_tells(graph: Graph, at_once: int) -> None:
    """Where those of each image begin, and which they are, whatever the blocks."""
    pairs, place = pairs_of(graph.edges, graph.similarity), graph.rank.astype(np.int32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "_AT_ONCE", at_once)
        starts, later = groups._partners(graph.size, place, pairs)
    ends = np.sort([place[pairs.left], place[pairs.right]], axis=0)
    counts = np.bincount(ends[0].astype(np.int64), minlength=graph.size)
    assert starts.dtype == np.int64
    assert starts.tolist() == [0, *np.cumsum(counts).tolist()]
    for image in range(graph.size):
        assert sorted(later[starts[image] : starts[image + 1]]) == sorted(ends[1][ends[0] == image])


def test_a_block_of_pairs_takes_no_time_for_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand blocks among four million images: a pass over these for each took many seconds."""
    monkeypatch.setattr(groups, "_AT_ONCE", 1)
    size, left = 4_000_000, np.arange(1000)
    begun = time.process_time()
    starts, later = groups._partners(size, np.arange(size, dtype=np.int32), Pairs(left, left + 1000, np.ones(1000)))
    assert time.process_time() - begun < 2
    assert (starts[1000], later.tolist()) == (1000, list(range(1000, 2000)))
