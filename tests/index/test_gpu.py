"""GPUs: the same ids as the CPU's; and the parts of their code that run anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vectors import families, near, vector_store

from memaudit.index import ExactSearch, Index, build_index
from memaudit.index.adding import _add_to_lists
from memaudit.index.engine import GPU_CANDIDATES, Engine
from memaudit.index.faiss_library import read, write
from memaudit.index.recipes import Machine, settle
from memaudit.index.training import trained_index, with_ids
from memaudit.store import Store
from memaudit.types import Float32, Int64

faiss = pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
needs_gpu = pytest.mark.skipif(
    faiss.get_num_gpus() == 0, reason="no GPU that FAISS can use: ./scripts/test --all on a machine with one"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return vector_store(tmp_path_factory.mktemp("gpu") / "store", families(1, [1 + n % 4 for n in range(1200)], 64))


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("recipe", ["flat", "ivf", "ivfpq", "cagra"])
def test_gpu_and_cpu_agree_on_ids(store: Store, recipe: str, tmp_path: Path) -> None:
    """Near-duplicates are those of exact search, whether the GPU gives the candidates or the CPU's index does."""
    index = build_index(store, tmp_path / "index", recipe)
    queries = near(5, store.embeddings(np.arange(0, 2900, 15)), 0.2)
    expected = ExactSearch(store).search(queries, 2, 0.8)
    there = expected.above > 0
    on_gpu = index.search(queries, 2, 0.8)
    on_cpu = np.concatenate([index.search(queries[i : i + 8], 2, 0.8).rows for i in range(0, len(queries), 8)])
    assert (on_gpu.rows[there, 0] == expected.rows[there, 0]).mean() >= 0.97
    assert (on_gpu.rows[there, 0] == on_cpu[there, 0]).mean() >= 0.97
    assert Index.open(tmp_path / "index").manifest["rows"] == store.comparable


@pytest.mark.gpu
@needs_gpu
def test_more_candidates_than_a_gpu_gives(store: Store, tmp_path: Path) -> None:
    """k above 2,048 gives what exact search gives."""
    index = build_index(store, tmp_path / "index", "flat")
    queries = near(5, store.embeddings(np.arange(100)), 0.2)
    expected, found = (s.search(queries, 2500, 0.8).rows for s in (ExactSearch(store), index))
    np.testing.assert_array_equal(found, expected)


class Stand:
    """In place of a GPU's copy: it refuses what a GPU would."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.asked = 0

    def search(self, queries: Float32, count: int) -> tuple[Float32, Int64]:
        assert count <= GPU_CANDIDATES
        self.asked += 1
        similarity, rows = self.index.search(queries, count)
        return similarity, rows


def test_the_copy_is_asked_within_its_limits(store: Store) -> None:
    """A copy counts from 0, the index by store rows; beyond its limit of k the CPU's index answers: nobody notices."""
    flat = faiss.IndexFlatIP(64)
    index = faiss.IndexIDMap(flat)
    vectors = store.embeddings(np.arange(2600))
    index.add_with_ids(vectors, np.arange(2600) * 3)
    engine = Engine(index, "", 0)
    expected = [engine.search(vectors[:70], count) for count in (5, 2500)]
    stand = Stand(flat)
    engine._copy = stand
    found = [engine.search(vectors[:70], count) for count in (5, 2500)]
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert stand.asked == 1


def test_rows_added_to_lists_that_were_found_elsewhere(store: Store) -> None:
    """As a GPU would say which list a row belongs to: the index is that of FAISS's own way."""
    plan = settle("IVF20,SQfp16", 2900, 64, Machine(1 << 34, 0))
    plain, ours = trained_index(plan, store), trained_index(plan, store)
    rows = np.arange(0, 2900, 3)
    vectors = store.embeddings(rows)
    plain.add_with_ids(vectors, rows)
    _add_to_lists(ours, vectors, rows, ours.quantizer.search(vectors, 1)[1][:, 0])
    assert ours.ntotal == plain.ntotal == len(rows)
    for left, right in zip(ours.search(vectors, 4), plain.search(vectors, 4), strict=True):
        np.testing.assert_array_equal(left, right)


def test_ids_for_an_index_that_is_full(store: Store, tmp_path: Path) -> None:
    """As a graph that was built elsewhere gets its rows: searched, written and read it answers with them."""
    vectors = store.embeddings(np.arange(500))
    graph = faiss.IndexHNSWFlat(64, 16, faiss.METRIC_INNER_PRODUCT)
    graph.add(vectors)
    index = with_ids(graph, np.arange(500) * 7)
    write(index, tmp_path / "x.faiss")
    for searched in (index, read([tmp_path / "x.faiss"], mapped=True)):
        engine = Engine(searched, "efSearch", 64)
        assert len(engine) == 500
        assert (engine.search(vectors, 1)[:, 0] == np.arange(500) * 7).mean() > 0.98
