"""Chains of pairs link what a graph of all of them links, block by block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.dedup import linked as module
from memaudit.dedup.linked import joined, linked


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40), st.integers(1, 7))
def test_labels_are_those_of_the_graph(edges: list[tuple[int, int]], at_once: int) -> None:
    """The same numbers, whatever the blocks: components in the order of their lowest positions."""
    left, right = np.array(edges, np.int32).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(20, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", at_once)
        assert linked(20, left, right).tolist() == connected_components(graph, directed=False)[1].tolist()


def test_a_long_chain_takes_few_rounds() -> None:
    """However its links lie: each round at least halves, in two, the labels that are left."""
    order = np.random.default_rng(0).permutation(5000)
    rounds = 0

    def blocks() -> list[tuple[np.ndarray, np.ndarray]]:
        nonlocal rounds
        rounds += 1
        return [(order[:-1], order[1:])]

    assert not joined(np.arange(5000), blocks).any()
    assert rounds <= 2 * np.log2(5000)
