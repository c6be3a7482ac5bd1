"""Groups as connected components, held against scipy and against every path of small graphs."""

import numpy as np
from graphs import Graph, graphs, pairs_of, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.dedup.components import Components, components
from memaudit.similarity import Pairs


def linked(graph: Graph) -> Components:
    return components(graph.size, pairs_of(graph.edges, graph.similarity), graph.rank, graph.apart)


def widest(graph: Graph, start: int) -> list[float]:
    """The best weakest link from `start` to everyone, by relaxing until nothing changes; 0: no chain."""
    best = [0.0] * graph.size
    best[start] = 1.0
    for _ in range(graph.size):
        for (a, b), similarity in zip(graph.edges, graph.similarity, strict=True):
            weakest = float(np.float32(similarity))
            best[a], best[b] = max(best[a], min(best[b], weakest)), max(best[b], min(best[a], weakest))
    return best


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_groups_are_the_connected_components(graph: Graph) -> None:
    """Two images are in one group if and only if scipy says that they are connected."""
    ends = np.array(graph.edges, dtype=np.int64).reshape(-1, 2)
    matrix = coo_array((np.ones(len(ends)), ends.T), shape=(graph.size, graph.size))
    label = connected_components(matrix, directed=False)[1]
    witness = linked(graph).witness
    assert np.array_equal(label[:, None] == label, witness[:, None] == witness)


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_one_is_kept_by_rank_and_the_chain_is_the_best(graph: Graph) -> None:
    """The image that the keep rule prefers stays, and each other's chain is the widest path to it, bit for bit."""
    result = linked(graph)
    for keeper in set(result.witness.tolist()):
        members = np.flatnonzero(result.witness == keeper)
        assert graph.rank[keeper] == graph.rank[members].min()
        best = widest(graph, keeper)
        assert [float(result.chain[i]) for i in members] == [best[i] for i in members]


@settings(max_examples=300, deadline=None)
@given(graphs(ruled_out=True))
def test_no_component_holds_a_ruled_out_pair(graph: Graph) -> None:
    """Groups are parts of the components, each held together by its own pairs, none with a ruled-out pair."""
    result, free = linked(graph), linked(graph._replace(apart=np.empty((0, 2), np.int64)))
    for left, right in graph.apart.tolist():
        assert result.witness[left] != result.witness[right]
    for keeper in set(result.witness.tolist()):
        members = set(np.flatnonzero(result.witness == keeper).tolist())
        assert len(set(free.witness[sorted(members)].tolist())) == 1
        inside = [(e, s) for e, s in zip(graph.edges, graph.similarity, strict=True) if set(e) <= members]
        own = graph._replace(edges=[e for e, _ in inside], similarity=[s for _, s in inside])
        assert [float(result.chain[i]) for i in sorted(members)] == [widest(own, keeper)[i] for i in sorted(members)]
    untouched = ~np.isin(free.witness, free.witness[graph.apart])
    assert np.array_equal(result.witness[untouched], free.witness[untouched])


@settings(max_examples=200, deadline=None)
@given(graphs(ruled_out=True), st.data())
def test_result_does_not_depend_on_the_order_of_pairs_or_of_rows(graph: Graph, data: st.DataObject) -> None:
    """Shuffled pairs, turned pairs, and images under other row numbers give the same groups and chains."""
    result = linked(graph)
    again, place = shuffled(data, graph)
    moved = linked(again)
    assert np.array_equal(moved.witness[place], place[result.witness])
    assert np.array_equal(moved.chain[place], result.chain)


def test_a_long_chain() -> None:
    """A hundred thousand images in a row are one group, and the walk along it takes no time."""
    size = 100_000
    links = np.arange(size - 1)
    pairs = Pairs(links, links + 1, np.linspace(0.99, 0.8, size - 1).astype(np.float32))
    result = components(size, pairs, np.arange(size))
    assert set(result.witness.tolist()) == {0}
    assert np.array_equal(result.chain[1:], pairs.similarity)


def test_no_pairs_keep_everyone() -> None:
    """Without a pair every image is its own group."""
    assert components(4, Pairs.none(), np.arange(4)).witness.tolist() == [0, 1, 2, 3]
    assert components(0, Pairs.none(), np.empty(0, np.int64)).witness.tolist() == []
