"""GPUs: the same ids as the CPU's; and the parts of their code that run anywhere."""

from __future__ import annotations

import builtins
import gc
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from vectors import families, near, vector_store

from memaudit.errors import MissingDependencyError, UsageError
from memaudit.index import ExactSearch, Index, build_index, engine, import_faiss, recipes, training
from memaudit.index.adding import Adder, _add_to_lists
from memaudit.index.engine import GPU_CANDIDATES, Engine
from memaudit.index.faiss_library import read, write
from memaudit.index.recipes import Machine, settle
from memaudit.index.training import cagra_index, trained_index, with_ids
from memaudit.similarity.exact import faiss_or_none
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
    """Near-duplicates are those of exact search, whether the GPU gives the candidates or the CPU's index does. A graph
    is built there and searched here."""
    index = build_index(store, tmp_path / "index", recipe)
    here = Index.open(tmp_path / "index")
    here._candidates.engine._tried = True  # no copy of this one
    queries = near(5, store.embeddings(np.arange(0, 2900, 15)), 0.2)
    expected = ExactSearch(store).search(queries, 2, 0.8)
    there = expected.above > 0
    on_gpu = index.search(queries, 2, 0.8)
    on_cpu = here.search(queries, 2, 0.8).rows
    assert here._candidates.engine._copy is None
    assert (index._candidates.engine._copy is None) == (recipe == "cagra")
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


def full(*_: object) -> Any:
    raise RuntimeError("Error in alloc: Error: 'err == cudaSuccess' failed: cudaMalloc error out of memory [2]")


@dataclass
class Card:
    """What a build of FAISS for GPUs adds, as far as a copy needs it; the copy is the index itself."""

    copies: int = 0

    def into(self, monkeypatch: pytest.MonkeyPatch, free: int = 1 << 30) -> Card:
        options = SimpleNamespace
        monkeypatch.setattr(faiss, "GpuMultipleClonerOptions", options, raising=False)
        monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", self.copy, raising=False)
        monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
        for module in (engine, recipes):
            monkeypatch.setattr(module, "free_bytes", lambda: [free])
        return self

    def copy(self, index: Any, options: Any = None) -> Any:
        self.copies += 1
        return index


def test_an_index_is_tuned_and_measured_as_it_is_saved(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No copy on a GPU, which searches in its own way, takes part in the recall that an index states."""
    card = Card().into(monkeypatch)
    monkeypatch.setattr(training, "gpus", lambda: 0)
    monkeypatch.setattr("memaudit.index.adding.gpus", lambda: 0)
    index = build_index(store, tmp_path / "index", "IVF20,SQfp16")
    assert card.copies == 0
    index.search(store.embeddings(np.arange(70)), 2, 0.8)
    assert card.copies == 1


def test_what_has_no_room_on_a_card_is_not_copied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is known before anything is read; and where the card is full in the middle, the CPU's index answers."""
    vectors = store.embeddings(np.arange(200))
    flat = faiss.IndexFlatIP(64)
    flat.add(vectors)
    card = Card().into(monkeypatch, free=200 * (4 * 64 + 8))  # a fifth of it is for the search
    assert (Engine(flat, "", 0).search(vectors, 1)[:, 0] == np.arange(200)).all()
    assert card.copies == 0
    searched = Engine(flat, "", 0)
    searched._copy = SimpleNamespace(search=full)
    assert (searched.search(vectors, 1)[:, 0] == np.arange(200)).all()
    assert searched._copy is None


def test_a_graph_is_searched_by_the_parameters_it_states(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """CAGRA on a GPU ignores efSearch and refuses more than 64 candidates: graphs are searched here."""
    card = Card().into(monkeypatch)
    graph = faiss.IndexHNSWFlat(64, 8, faiss.METRIC_INNER_PRODUCT)
    graph.add(store.embeddings(np.arange(300)))
    Engine(graph, "efSearch", 64).search(store.embeddings(np.arange(100)), 100)
    assert card.copies == 0


@pytest.mark.parametrize("flat", [lambda dim: faiss.IndexFlatIP(dim), full], ids=["room", "no room"])
def test_lists_found_on_a_card_leave_nothing_behind(store: Store, monkeypatch: pytest.MonkeyPatch, flat: Any) -> None:
    """The index on the card goes with the training, also where it fails; a card without room changes no list."""
    made: list[Any] = []
    plan = settle("IVF20,SQfp16", 2900, 64, Machine(1 << 34, 0))
    expected = trained_index(plan, store)
    monkeypatch.setattr(training, "gpus", lambda: 1)
    monkeypatch.setattr(training, "_flat_on_gpus", lambda dim: made.append(flat(dim)) or made[-1])
    index = trained_index(plan, store)
    assert index.clustering_index is None
    assert all(each.this.own() for each in made)
    assert len(made) == (flat is not full)
    np.testing.assert_allclose(index.quantizer.reconstruct_n(0, 20), expected.quantizer.reconstruct_n(0, 20), atol=1e-5)


def test_a_card_that_is_full_while_rows_are_added(store: Store, tmp_path: Path) -> None:
    """The lists are found here from then on; no row is lost."""
    plan = settle("IVF20,SQfp16", 2900, 64, Machine(1 << 34, 0))
    adder = Adder(trained_index(plan, store), tmp_path)
    adder._coarse = SimpleNamespace(search=full)
    adder.add(store)
    assert adder.searchable().ntotal == store.comparable


class Cagra:
    """As FAISS's: it keeps the address of what it is trained on, not the array."""

    def __init__(self, *_: object) -> None:
        self.array: Any = None

    def train(self, vectors: Float32) -> None:
        self.array = weakref.ref(vectors)

    def copyTo(self, graph: Any) -> None:  # noqa: N802
        gc.collect()
        assert self.array() is not None, "what FAISS reads was freed"
        graph.add(self.array())


@pytest.fixture
def cagra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "GpuIndexCagraConfig": SimpleNamespace,
        "GpuIndexCagra": Cagra,
        "StandardGpuResources": SimpleNamespace,
        "IndexHNSWCagra": faiss.IndexHNSWFlat,
    }.items():
        monkeypatch.setattr(faiss, name, value, raising=False)


@pytest.mark.usefixtures("cagra")
def test_what_cagra_is_trained_on_stays_until_the_graph_is_here(store: Store) -> None:
    """FAISS reads the embeddings again when it brings the graph to the CPU."""
    index = cagra_index(store)
    assert index.ntotal == store.comparable
    found = Engine(index, "efSearch", 64).search(store.embeddings(np.arange(50)), 1)[:, 0]
    assert (found == np.arange(50)).mean() > 0.98


@pytest.mark.usefixtures("cagra")
def test_a_card_without_room_for_a_graph_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read where the free memory is known, and as FAISS says it where it is not."""
    with pytest.raises(UsageError, match=r"cagra needs about 2\.3 GB on the first GPU, 0\.8 GB may be used"):
        settle("cagra", 1_000_000, 512, Machine(1 << 34, 1, 1_000_000_000))
    monkeypatch.setattr(Cagra, "train", full)
    with pytest.raises(UsageError, match=r"cannot build a graph of 3,000 rows \('err.*out of memory.*choose ivf"):
        cagra_index(store)


def test_a_build_without_its_cuda_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAISS for GPUs raises RuntimeError where libraries of CUDA are absent; comparing goes on without it."""
    before = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name == "faiss":
            raise RuntimeError("libcudart.so.13: cannot open shared object file")
        return before(name, *rest)

    monkeypatch.setattr("memaudit.errors.import_module", broken)
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(MissingDependencyError, match=r"cannot be loaded \(libcudart.*\.\[cpu\]") as caught:
        import_faiss()
    assert "\n" not in str(caught.value)
    assert faiss_or_none() is None
