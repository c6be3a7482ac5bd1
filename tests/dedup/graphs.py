"""Random small graphs of pairs, and the slow truth that group rules are held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from memaudit.similarity import Pairs
from memaudit.types import Int64


class Graph(NamedTuple):
    """apart: ruled-out pairs, which are no edges."""

    size: int
    edges: list[tuple[int, int]]
    similarity: list[float]
    rank: Int64
    apart: Int64


@st.composite
def graphs(draw: st.DrawFn, ruled_out: bool = False) -> Graph:
    """Up to 16 images, any pairs among them, similarities with many ties, any order of preference."""
    size = draw(st.integers(1, 16))
    possible = [(i, j) for i in range(size) for j in range(i + 1, size)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    rest = sorted(set(possible) - set(edges))
    apart = draw(st.lists(st.sampled_from(rest), unique=True, max_size=6)) if rest and ruled_out else []
    similarity = [draw(st.sampled_from([0.75, 0.8, 0.8123456, 0.9, 1.0])) for _ in edges]
    rank = np.array(draw(st.permutations(range(size))), dtype=np.int64)
    return Graph(size, edges, similarity, rank, np.array(apart, dtype=np.int64).reshape(-1, 2))


def pairs_of(edges: list[tuple[int, int]], similarity: list[float]) -> Pairs:
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return Pairs(ends[:, 0], ends[:, 1], np.array(similarity, dtype=np.float32))


def shuffled(draw: st.DataObject, graph: Graph) -> tuple[Graph, Int64]:
    """The same images under other row numbers, with shuffled and turned pairs; image i is now row place[i]."""
    place = np.array(draw.draw(st.permutations(range(graph.size))), dtype=np.int64)
    order = draw.draw(st.permutations(range(len(graph.edges))))
    edges = [(int(place[a]), int(place[b])) for a, b in (graph.edges[i] for i in order)]
    edges = [edge if draw.draw(st.booleans()) else edge[::-1] for edge in edges]
    rank = np.empty(graph.size, np.int64)
    rank[place] = graph.rank
    return Graph(graph.size, edges, [graph.similarity[i] for i in order], rank, place[graph.apart]), place
