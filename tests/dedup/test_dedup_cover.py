"""The cover rule on any graph: everyone dropped has a kept witness, and nobody is dropped through a chain."""

import tracemalloc

import numpy as np
from graphs import Graph, graphs, pairs_of, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.dedup.groups import Cover, cover
from memaudit.similarity import Pairs


def covered(graph: Graph) -> Cover:
    return cover(graph.size, pairs_of(graph.edges, graph.similarity), graph.rank, graph.apart)


def kept(result: Cover) -> set[int]:
    return set(np.flatnonzero(result.witness == np.arange(len(result.witness))).tolist())


@settings(max_examples=300, deadline=None)
@given(graphs(ruled_out=True))
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


@settings(max_examples=300, deadline=None)
@given(graphs(ruled_out=True))
def test_no_group_holds_a_ruled_out_pair(graph: Graph) -> None:
    """Trap "false positives that a person dismissed came back": not even as two that resemble one and the same image.

    Whoever is kept although it is paired with a kept image could not have gone without breaking that.
    """
    result, keepers = covered(graph), kept(covered(graph))
    for left, right in graph.apart.tolist():
        assert result.witness[left] != result.witness[right]
    enemies = {i: {j for pair in graph.apart.tolist() if i in pair for j in pair if j != i} for i in range(graph.size)}
    for left, right in graph.edges:
        if {left, right} <= keepers:
            assert enemies[left] or enemies[right]


def test_two_that_were_ruled_out_do_not_both_go_for_a_third() -> None:
    """A and B are different, and C resembles both: two images stay, for two there are at least."""
    apart = np.array([[1, 2]])
    result = cover(3, pairs_of([(0, 1), (0, 2)], [0.9, 0.8]), np.arange(3), apart)
    assert result.witness.tolist() == [0, 0, 2]
    two = pairs_of([(0, 1), (0, 2), (2, 3), (1, 3)], [0.9, 0.8, 0.8, 0.8])
    assert cover(4, two, np.array([0, 2, 3, 1]), apart).witness.tolist() == [0, 0, 3, 3]  # B finds another witness


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
@given(graphs(ruled_out=True), st.data())
def test_result_does_not_depend_on_the_order_of_pairs_or_of_rows(graph: Graph, data: st.DataObject) -> None:
    """Shuffled pairs, turned pairs, and images under other row numbers give the same decisions."""
    result = covered(graph)
    again, place = shuffled(data, graph)
    moved = covered(again)
    assert np.array_equal(moved.witness[place], place[result.witness])
    assert np.array_equal(moved.similarity[place], result.similarity)


@settings(max_examples=100, deadline=None)
@given(graphs(ruled_out=True))
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


def test_twenty_pairs_an_image_take_little_memory() -> None:
    """The graph is compact: 2 million pairs of 100,000 images peak below 100 MB beside the pairs themselves."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.integers(0, 100_000, (2_000_000, 2)), axis=1).astype(np.int32)
    ends = ends[ends[:, 0] < ends[:, 1]]
    pairs = Pairs(ends[:, 0], ends[:, 1], rng.random(len(ends), np.float32))  # type: ignore[arg-type]
    tracemalloc.start()
    result = cover(100_000, pairs, rng.permutation(100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert (result.witness[result.witness] == result.witness).all()
