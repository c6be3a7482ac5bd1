"""An index's candidates are re-scored piece by piece, and nothing is found or counted otherwise for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import families, near, random_vectors, vector_store

from memaudit.index import ExactSearch, Index, build_index, verify_index
from memaudit.index import search as module
from memaudit.index.faiss_library import read, write
from memaudit.index.manifest import paths_of, read_manifest, save
from memaudit.index.search import Candidates, _similarity
from memaudit.similarity import Neighbours, Pairs
from memaudit.similarity.search import as_neighbours, keep_best
from memaudit.store import Store
from memaudit.types import Float32, Int64

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
_ROWS = 420


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A picture that is there 240 times, families of twenty, and 80 that are alone; in an order without a pattern."""
    vectors = families(1, [240, *[20] * 5, *[1] * 80], 32, 0.2)
    shuffled = vectors[np.random.default_rng(7).permutation(_ROWS)]
    return vector_store(tmp_path_factory.mktemp("candidates") / "store", shuffled, shard_rows=300)


@pytest.fixture(scope="module", params=["flat", "IVF4,Flat"])
def index(request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Index:
    return build_index(store, tmp_path_factory.mktemp("candidates") / "index", request.param)


def _all_at_once(self: Candidates, queries: Float32, k: int, threshold: float) -> Neighbours:
    """As it was: all candidates of a query are gathered and kept, however many there are."""
    found, above = [Pairs.none()], np.zeros(len(queries), np.int64)
    pending, count = np.arange(len(queries)), min(max(k + module.SPARE, self.least), len(self.engine))
    while len(pending):
        rows = self.engine.search(np.ascontiguousarray(queries[pending]), count)
        place, column = np.nonzero(rows >= 0)
        distinct, back = np.unique(rows[place, column], return_inverse=True)
        similarity = np.full(rows.shape, -np.inf, np.float32)
        vectors = self.store.embeddings(distinct)
        similarity[place, column] = _similarity(queries, pending[place], vectors, back, k, threshold)
        more = (rows[:, -1] >= 0) & self._goes_on(similarity, k, threshold) & (count < len(self.engine))
        pairs = Pairs(pending[place], rows[place, column], similarity[place, column])
        pairs = pairs.where(~more[place])
        above += np.bincount(pairs.left[pairs.similarity >= np.float32(threshold)], minlength=len(queries))
        found.append(keep_best(pairs, k))
        pending, count = pending[more], min(4 * count, len(self.engine))
    return as_neighbours(keep_best(Pairs.joined(found), k), k, above)


@settings(max_examples=12)
@given(
    pieces=st.integers(20, 400),
    k=st.integers(1, 60),
    threshold=st.floats(0.05, 1),
    seed=st.integers(0, 5),
)
def test_pieces_change_nothing(index: Index, pieces: int, k: int, threshold: float, seed: int) -> None:
    """Rows, similarities bit by bit, ties and counts are those of all candidates at once, on any kind of index and
    however small the pieces are; on an exact one they are those of exact search."""
    rows = np.random.default_rng(seed).integers(0, _ROWS, 3)
    queries = np.concatenate([index.store.embeddings(rows), near(seed, index.store.embeddings(rows[:2]), 0.2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SCORED", pieces)
        found = index.search(queries, k, threshold)
    expected = [_all_at_once(index._candidates, queries, k, threshold)]
    if index.manifest["exact"]:
        expected.append(ExactSearch(index.store).search(queries, k, threshold))
    for other in expected:
        for name in other._fields:
            np.testing.assert_array_equal(getattr(found, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("of", ["the store", "others"])
def test_verify_holds_the_rows_of_lists(tmp_path: Path, parts: int, of: str) -> None:
    """A row that stands twice in them, for another that is nowhere, is a fault; in an index of several files, too."""
    store = vector_store(tmp_path / "store", random_vectors(0, 200, 16))
    folder = build_index(store, tmp_path / "index", "IVF4,Flat").folder
    manifest, rows = read_manifest(folder), np.arange(200)
    index = read(paths_of(folder, manifest), mapped=False)
    held = rows if of == "the store" else np.where(rows == 130, 131, rows)
    paths = [folder / f"vectors-0000{1 + number}.faiss" for number in range(parts)]
    for path, some in zip(paths, np.array_split(rows, parts), strict=True):
        index.reset()
        index.add_with_ids(store.embeddings(some), held[some])
        write(index, path)
    save(folder, manifest, paths)
    wrong = [f"index {folder} holds other rows than its store: build it again"]
    assert verify_index(folder) == ([] if of == "the store" else wrong)


def test_memory_does_not_grow_with_what_is_alike(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a picture that is there 240 times, no more embeddings are in memory than of one that is alone."""
    gathered, asked = Store.embeddings, list[int]()

    def noted(self: Store, rows: Int64) -> Float32:
        asked.append(len(rows))
        return gathered(self, rows)

    monkeypatch.setattr(Store, "embeddings", noted)
    monkeypatch.setattr(module, "_SCORED", 64)
    alike = families(1, [240], 32, 0.2)[:1]
    found = index.search(np.concatenate([alike, random_vectors(3, 1)]), 3, 0.8)
    assert found.above[0] > 100
    assert max(asked) <= 64
