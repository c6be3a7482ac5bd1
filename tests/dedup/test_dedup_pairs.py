"""The pair search: every pair scored once, whatever the blocks, threads, steps and backends."""

from pathlib import Path

import numpy as np
import pytest
from vectors import families, near, random_vectors, vector_store

from memaudit.dedup import joining
from memaudit.dedup import pairs as dedup_pairs
from memaudit.dedup.clusters import Plan
from memaudit.dedup.matrix import KeptMatrix, Matrix
from memaudit.dedup.pairs import Clustering, Found, PairSearch, compare
from memaudit.errors import UsageError
from memaudit.similarity import Pairs, pairs_within
from memaudit.types import silent

THRESHOLD = 0.8
SIZES = [1] * 300 + [2] * 60 + [5] * 20 + [60, 90]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    folder = tmp_path_factory.mktemp("matrix")
    vectors = families(0, SIZES, 64, noise=0.45)
    vectors = vectors[np.random.default_rng(0).permutation(len(vectors))]
    store = vector_store(folder / "store", vectors, shard_rows=400)
    return Matrix(folder, store, np.arange(len(vectors), dtype=np.int64))


def searched(matrix: Matrix, plan: Plan) -> Found:
    return compare(matrix, THRESHOLD, plan, 0, silent)


def as_set(pairs: Pairs) -> set[tuple[int, int, float]]:
    entries = set(zip(*(column.tolist() for column in pairs), strict=True))
    assert len(entries) == len(pairs.left)
    return entries


def every_pair(matrix: Matrix) -> set[tuple[int, int, float]]:
    return as_set(pairs_within(matrix.take(slice(None)), THRESHOLD))


@pytest.mark.parametrize("backend", ["auto", "product", pytest.param("half", marks=pytest.mark.torch), "signs"])
@pytest.mark.parametrize(("clusters", "probes", "clusterings"), [(8, 1, 1), (8, 2, 1), (20, 3, 3), (6, 6, 1)])
def test_pairs_are_some_of_the_exact_ones_and_come_once(
    matrix: Matrix, clusters: int, probes: int, clusterings: int, backend: str
) -> None:
    """Sorted, distinct, with the value of an exhaustive run; all of them where every cluster is probed."""
    found = searched(matrix, Plan(clusters, probes, clusterings, backend=backend))
    pairs, every = as_set(found.pairs), every_pair(matrix)
    assert pairs <= every
    assert sorted(pairs) == list(zip(*(column.tolist() for column in found.pairs), strict=True))
    assert sum(found.added) == len(pairs)
    assert len(found.added) == clusterings
    if probes == clusters:
        assert len(pairs) >= len(every) * (1 if backend != "signs" else 0.999)


def test_a_clustered_search_finds_what_its_clusters_hold(matrix: Matrix) -> None:
    """Exactly the pairs of which one's nearest cluster is among the probed ones of the other, in any clustering."""
    search = PairSearch(matrix, THRESHOLD, Plan(60, 1, 2), 0, silent)
    search.add_clustering(3)
    search.add_probe()
    search.add_probe()
    search.add_clustering(1)
    search.add_probe()
    expected = {
        (i, j, s)
        for i, j, s in every_pair(matrix)
        if any(
            c.nearest[i, 0] in c.nearest[j, : c.rounds] or c.nearest[j, 0] in c.nearest[i, : c.rounds]
            for c in search._clusterings
        )
    }
    assert as_set(search.found().pairs) == expected
    assert len(expected) < len(every_pair(matrix))


@pytest.mark.parametrize("backend", ["product", "signs"])
@pytest.mark.parametrize("block", [7, 100])
def test_result_does_not_depend_on_the_size_of_blocks(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, block: int, backend: str
) -> None:
    """Blocks of seven rows give what blocks of thousands give, bit for bit, also through sign codes."""
    plan = Plan(5, 2, 2, backend=backend)
    whole = searched(matrix, plan)
    monkeypatch.setattr(joining, "BLOCK_ROWS", block)
    monkeypatch.setattr("memaudit.dedup.matrix.BLOCK_ROWS", 10 * block)
    parts = searched(matrix, plan)
    assert all(np.array_equal(a, b) for a, b in zip(whole.pairs, parts.pairs, strict=True))
    assert whole.added == parts.added


def test_an_added_probe_equals_a_plan_with_more_probes(matrix: Matrix) -> None:
    """A search that grew is the search that was planned so: nothing is lost by stopping in between."""
    search = PairSearch(matrix, THRESHOLD, Plan(12, 1, 1), 0, silent)
    search.add_clustering(4)
    counts = []
    for _ in range(3):
        search.add_probe()
        counts.append(len(search.found().pairs.left))
    assert as_set(search.found().pairs) == as_set(searched(matrix, Plan(12, 3, 1)).pairs)
    assert counts == [len(searched(matrix, Plan(12, probes, 1)).pairs.left) for probes in (1, 2, 3)]


def test_a_pair_that_was_compared_is_not_scored_again(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same clustering a second time has nothing left to score."""
    scored = []
    search = PairSearch(matrix, THRESHOLD, Plan(8, 2, 2), 0, silent)
    search.add_clustering(2)
    search.add_probe()
    search.add_probe()
    search._clusterings.append(Clustering(search._clusterings[0].nearest, 8))
    search._added.append(0)
    nothing = (np.empty(0, np.int64), np.empty(0, np.float32))
    monkeypatch.setattr("memaudit.similarity.join.near_at", lambda *a: scored.append(a) or nothing)
    search.add_probe()
    search.add_probe()
    assert scored == [] or all(len(call[1]) == 0 for call in scored)
    assert search.found().added[1] == 0


def test_cells_and_backend_are_told(matrix: Matrix) -> None:
    """The largest cluster, its share and the empty ones can be reported, and which way pairs were found."""
    comparison = searched(matrix, Plan(9, 2, 1)).comparison
    assert comparison.backend == "products in float32"
    (cells,) = comparison.cells
    assert (cells.clusters, cells.rows) == (9, len(matrix))
    assert cells.largest >= len(matrix) / 9
    assert cells.share == cells.largest / len(matrix)
    assert 0 < comparison.compared < len(matrix) ** 2
    assert "sign codes within" in searched(matrix, Plan(9, 2, 1, backend="signs")).comparison.backend
    assert searched(matrix, Plan(0, 1, 1)).comparison.compared == len(matrix) * (len(matrix) - 1) // 2


def test_an_unknown_or_missing_backend_is_one_line(matrix: Matrix) -> None:
    """Wrong names are refused; so is a device that is not there."""
    with pytest.raises(UsageError, match="unknown backend 'abacus'"):
        compare(matrix, THRESHOLD, Plan(4, 1, 1, backend="abacus"), 0, silent)


def test_without_faiss_sign_codes_give_way(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products take over, and the comparison says why."""
    monkeypatch.setattr("memaudit.similarity.backends.faiss_or_none", lambda: None)
    comparison = searched(matrix, Plan(4, 2, 1, backend="signs")).comparison
    assert comparison.backend.startswith("products")
    assert "FAISS" in comparison.note


def test_a_code_that_passes_everything_gives_way(tmp_path: Path) -> None:
    """Images that are all alike: the code is refused after the check, and no pair is lost."""
    vectors = near(1, np.repeat(random_vectors(0, 1, 64), 200, axis=0), noise=0.72)
    store = vector_store(tmp_path / "s", vectors, threshold=0.7)
    matrix = Matrix(tmp_path, store, np.arange(200, dtype=np.int64))
    found = compare(matrix, 0.7, Plan(3, 3, 1, backend="signs"), 0, silent)
    assert "not used" in found.comparison.note
    assert len(found.pairs.left) == len(pairs_within(matrix.take(slice(None)), 0.7).left) > 1000


def test_a_matrix_gathers_any_rows_in_any_order(matrix: Matrix, tmp_path: Path) -> None:
    """Slices, repeated and reversed positions, none at all; so does its file for other processes."""
    every = matrix.take(slice(None))
    positions = np.array([5, 5, 0, len(matrix) - 1, 3])
    assert np.array_equal(matrix.take(positions), every[positions])
    assert matrix.take(np.empty(0, np.int64)).shape == (0, 64)
    kept = KeptMatrix(matrix.keep(tmp_path), 64)
    assert np.array_equal(kept.take(slice(None)), every)
    assert np.array_equal(kept.take(positions), every[positions])


def test_an_interrupted_search_stops_at_once(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the queue is given up: Ctrl-C does not compare the rest of the set first."""
    monkeypatch.setattr(joining, "BLOCK_ROWS", 10)
    monkeypatch.setattr(dedup_pairs, "threads", lambda: 2)
    started = []
    real = joining.Joiner.pairs_of
    monkeypatch.setattr(joining.Joiner, "pairs_of", lambda self, job: started.append(job) or real(self, job))

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "comparing clusters":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(matrix, THRESHOLD, Plan(4, 1, 1, backend="signs"), 0, interrupt)
    jobs = sum(len(joining.Jobs.of_everything(len(matrix) // 4)) for _ in range(4))
    assert len(started) < jobs / 2


@pytest.mark.parametrize("workers", [1, 3])
def test_result_does_not_depend_on_the_number_of_workers(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Jobs that run side by side are collected in order."""
    plan = Plan(7, 2, 2, backend="signs")
    expected = searched(matrix, plan)
    monkeypatch.setattr(dedup_pairs, "threads", lambda: workers)
    found = searched(matrix, plan)
    assert all(np.array_equal(a, b) for a, b in zip(found.pairs, expected.pairs, strict=True))
    assert found.added == expected.added
