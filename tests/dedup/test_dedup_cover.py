"""The cover rule on any graph: everyone dropped has a kept witness, and nobody is dropped through a chain."""

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.dedup.groups import Cover, cover
from memaudit.records import Int64
from memaudit.similarity import Pairs


class Graph(NamedTuple):
    size: int
    edges: list[tuple[int, int]]
    similarity: list[float]
    rank: Int64


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to 16 images, any pairs among them, similarities with many ties, any order of preference."""
    size = draw(st.integers(1, 16))
    possible = [(i, j) for i in range(size) for j in range(i + 1, size)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    similarity = [draw(st.sampled_from([0.75, 0.8, 0.9, 1.0])) for _ in edges]
    return Graph(size, edges, similarity, np.array(draw(st.permutations(range(size))), dtype=np.int64))


def pairs_of(edges: list[tuple[int, int]], similarity: list[float]) -> Pairs:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return Pairs(ends[:, 0], ends[:, 1], np.array(similarity, dtype=np.float32))


def covered(graph: Graph) -> Cover:
    return cover(graph.size, pairs_of(graph.edges, graph.similarity), graph.rank)


def kept(result: Cover) -> set[int]:
    return set(np.flatnonzero(result.witness == np.arange(len(result.witness))).tolist())


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_every_dropped_image_is_paired_directly_with_a_kept_one(graph: Graph) -> None:
    """Trap "C dropped although its only witness B was dropped too" and "groups hold pairs far below the threshold"."""
    result, keepers = covered(graph), kept(covered(graph))
    known = {frozenset(edge): s for edge, s in zip(graph.edges, graph.similarity, strict=True)}
    for image in set(range(graph.size)) - keepers:
        witness = int(result.witness[image])
        assert witness in keepers
        assert result.similarity[image] == np.float32(known[frozenset((image, witness))])
    assert all(result.similarity[image] == 1 for image in keepers)


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_no_two_kept_images_are_paired(graph: Graph) -> None:
    """What is kept holds no near-duplicate pair any more, and whoever is dropped had a kept neighbour."""
    keepers = kept(covered(graph))
    assert not any(i in keepers and j in keepers for i, j in graph.edges)
    neighbours = {i: {j for edge in graph.edges if i in edge for j in edge if j != i} for i in range(graph.size)}
    assert keepers == {i for i in range(graph.size) if not neighbours[i] & keepers}


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_the_witness_is_the_most_similar_kept_image(graph: Graph) -> None:
    """Of several kept neighbours the most similar one is named, ties by preference."""
    result, keepers = covered(graph), kept(covered(graph))
    for image in set(range(graph.size)) - keepers:
        choices = [
            (-s, graph.rank[next(iter(set(edge) - {image}))], next(iter(set(edge) - {image})))
            for edge, s in zip(graph.edges, graph.similarity, strict=True)
            if image in edge and set(edge) - {image} <= keepers
        ]
        assert result.witness[image] == min(choices)[2]


@settings(max_examples=200, deadline=None)
@given(graphs(), st.data())
def test_result_does_not_depend_on_the_order_of_pairs_or_of_rows(graph: Graph, data: st.DataObject) -> None:
    """Shuffled pairs, turned pairs, and images under other row numbers give the same decisions."""
    result = covered(graph)
    order = data.draw(st.permutations(range(len(graph.edges))))
    turned = [graph.edges[i] if data.draw(st.booleans()) else graph.edges[i][::-1] for i in order]
    again = cover(graph.size, pairs_of(turned, [graph.similarity[i] for i in order]), graph.rank)
    assert all(np.array_equal(a, b) for a, b in zip(result, again, strict=True))
    place = np.array(data.draw(st.permutations(range(graph.size))), dtype=np.int64)  # image i is now row place[i]
    rank = np.empty(graph.size, np.int64)
    rank[place] = graph.rank
    moved = cover(
        graph.size, pairs_of([(int(place[i]), int(place[j])) for i, j in graph.edges], graph.similarity), rank
    )
    assert np.array_equal(moved.witness[place], place[result.witness])
    assert np.array_equal(moved.similarity[place], result.similarity)


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_the_first_in_order_of_preference_is_always_kept(graph: Graph) -> None:
    """The image that the keep rule likes best is never dropped, so no set is emptied."""
    assert int(np.argmin(graph.rank)) in kept(covered(graph))


def test_a_chain_does_not_drop_its_far_end() -> None:
    """Trap "A ~ B, B ~ C, A not ~ C: C dropped although its only witness B was dropped too" (SemDeDup, NeMo)."""
    chain = pairs_of([(0, 1), (1, 2)], [0.9, 0.9])
    assert cover(3, chain, np.array([0, 1, 2])).witness.tolist() == [0, 0, 2]
    assert cover(3, chain, np.array([1, 0, 2])).witness.tolist() == [1, 1, 1]
    assert cover(3, chain, np.array([2, 1, 0])).witness.tolist() == [0, 2, 2]


def test_no_pairs_keep_everyone() -> None:
    """Without a pair every image is its own witness."""
    assert cover(5, Pairs.none(), np.arange(5)).witness.tolist() == [0, 1, 2, 3, 4]
    assert cover(0, Pairs.none(), np.empty(0, np.int64)).witness.tolist() == []


def test_a_star_of_ten_thousand_is_covered_by_its_centre() -> None:
    """A giant family around one image costs one pass, whatever its size."""
    star = pairs_of([(0, i) for i in range(1, 10_000)], [0.8] * 9_999)
    assert set(cover(10_000, star, np.arange(10_000)).witness.tolist()) == {0}
    assert len(kept(cover(10_000, star, np.arange(10_000)[::-1].copy()))) == 9_999
