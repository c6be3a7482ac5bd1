"""Which training images a picture is compared with: the most similar from the floor on, and the nearest in any case."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import vector_store

from memaudit.index import ExactSearch
from memaudit.matching.compare import Files
from memaudit.matching.search import NEAREST, QueryBlock, Scope, search
from memaudit.store import Store
from memaudit.types import Float32, Float64, Int64, Progress, silent

VIEWS = ("whole", "tile 1,1", "tile 3,3")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return vector_store(tmp_path_factory.mktemp("store"), unit(np.random.default_rng(5).normal(size=(30, 6))))


def unit(vectors: Float64) -> Float32:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


class Seen:
    """Pictures and two tiles of each, the wholes first: (queries, views, dim)."""

    def __init__(self, vectors: Float32) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        rows = np.arange(len(self))
        yield QueryBlock(rows, np.full(len(self), VIEWS[0], object), self._vectors[:, 0])
        tiles = self._vectors[:, 1:].reshape(-1, self._vectors.shape[2])
        yield QueryBlock(rows.repeat(2), np.tile(np.array(VIEWS[1:], object), len(self)), tiles)

    def files(self, rows: Int64) -> Files:
        raise AssertionError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 0.95), st.floats(0.05, 0.95), st.integers(3, 8))
def test_the_nearest_are_candidates_below_the_floor_too(
    training: Store, seed: int, floor: float, below: float, most: int
) -> None:
    """Against all similarities, of which no two are equal: what the floor gives, and of each picture the nearest by any
    of its views."""
    vectors = unit(np.random.default_rng([7, seed]).normal(size=(4, len(VIEWS), 6)))
    nearest_from = floor * below
    without, found = (
        search(Seen(vectors), Scope(ExactSearch(training), 0.99, floor, most, nearest_from=low), None, silent)
        for low in (None, nearest_from)
    )
    pairs, before = (set(zip(*each.candidates[:2], strict=True)) for each in (found, without))
    similarity = np.max(vectors @ np.asarray(training.embeddings(np.arange(30))).T, axis=1)
    closest = np.argsort(-similarity, axis=1)[:, :NEAREST]
    wanted = {(q, r) for q in range(4) for r in closest[q] if similarity[q, r] >= nearest_from}
    assert pairs == before | wanted
    assert (found.nearest.reference == closest[:, 0]).all()
    for query, reference, value in zip(*found.candidates[:3], strict=True):
        if (query, reference) in wanted:
            assert value == pytest.approx(similarity[query, reference], abs=1e-5)


def test_without_a_lower_floor_nothing_below_the_floor_is_one(training: Store) -> None:
    vectors = unit(np.random.default_rng(1).normal(size=(4, len(VIEWS), 6)))
    found = search(Seen(vectors), Scope(ExactSearch(training), 0.99, 0.9, 10), None, silent).candidates
    assert (found.similarity >= 0.9).all()
