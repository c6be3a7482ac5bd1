"""The largest clique: exact, held against brute force and networks of known answer."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memaudit.extraction.cliques import largest_clique

Graph = NDArray[np.bool_]


def graph_of(size: int, edges: set[tuple[int, int]]) -> Graph:
    adjacent = np.zeros((size, size), bool)
    for i, j in edges:
        adjacent[i, j] = adjacent[j, i] = True
    return adjacent


def is_clique(adjacent: Graph, members: tuple[int, ...]) -> bool:
    return all(adjacent[i, j] for i, j in combinations(members, 2))


def random_graph(seed: int, size: int, density: float) -> Graph:
    upper = np.triu(np.random.default_rng(seed).random((size, size)) < density, 1)
    return np.asarray(upper | upper.T)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 9), st.sampled_from([0.2, 0.5, 0.8, 1.0]), st.integers(1, 5))
def test_as_large_as_any_subset_that_is_one(seed: int, size: int, density: float, least: int) -> None:
    """Against all subsets; below `least` it has no member."""
    adjacent = random_graph(seed, size, density)
    truth = max((k for k in range(size + 1) for c in combinations(range(size), k) if is_clique(adjacent, c)), default=0)
    found = largest_clique(adjacent, least)
    assert found.proven
    assert is_clique(adjacent, found.members)
    assert len(found.members) == (truth if truth >= least else 0)


def test_a_planted_clique_among_noise() -> None:
    """Twelve of 300 that are all linked, in a graph whose other cliques have about six members."""
    adjacent = random_graph(3, 300, 0.2)
    planted = np.random.default_rng(4).choice(300, 12, replace=False)
    adjacent[np.ix_(planted, planted)] = True
    assert largest_clique(adjacent, 10).members == tuple(sorted(planted.tolist()))


def test_a_chain_is_no_clique() -> None:
    """Each like the next and not like the one after: no pruning by degree alone would see it."""
    assert largest_clique(graph_of(30, {(i, i + 1) for i in range(29)}), 3).members == ()


def test_a_ring_of_ten_with_all_degrees_nine_is_no_clique_of_ten() -> None:
    """Twenty vertices in two halves, each linked with nine of the other: degree says ten, the answer is two."""
    edges = {(i, 10 + j) for i in range(10) for j in range(10) if i != j}
    assert largest_clique(graph_of(20, edges), 10).members == ()
    assert len(largest_clique(graph_of(20, edges), 2).members) == 2


def test_a_thousand_that_are_all_alike() -> None:
    """A collapsed generator, with its diagonal set: no recursion limit, and no time."""
    assert len(largest_clique(np.ones((1000, 1000), bool), 10).members) == 1000


def test_giving_up_is_said() -> None:
    """A hard graph and few steps: what was found is still a clique, but not proven to be the largest."""
    adjacent = random_graph(5, 120, 0.7)
    found = largest_clique(adjacent, 2, steps=50)
    assert not found.proven
    assert is_clique(adjacent, found.members)
