"""The pairs that are proposed from: exact against counting, however often a file is there, within bounds of memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from vectors import families, file_hash, random_vectors, unit, vector_store

from memaudit.calibration import nearest_files as module
from memaudit.calibration.nearest_files import NEIGHBOURS, FileRows, nearest_files
from memaudit.calibration.proposing import ProposeOptions, propose
from memaudit.calibration.sides import Sides
from memaudit.index import ExactSearch
from memaudit.store import NO_FILE, Store
from memaudit.types import Status, silent

FLOOR = 0.3


def some_store(folder: Path, seed: int, copies: int) -> Store:
    """Families of more than `NEIGHBOURS` files, of which some are there many times; some rows cannot be compared, and
    some are of no file."""
    rng = np.random.default_rng(seed)
    vectors = families(5, [12, 12, 3], noise=0.5)
    which = rng.permutation(np.r_[np.arange(len(vectors)), np.repeat(rng.choice(len(vectors), 4), copies)])
    states = [Status.BLANK if n % 17 == 3 else Status.OK for n in range(len(which))]
    hashes = [NO_FILE if n % 13 == 5 else file_hash(f"{file}") for n, file in enumerate(which.tolist())]
    return vector_store(folder, vectors[which], hashes=hashes, statuses=states, shard_rows=20)


def counted(queries: Store, references: Store, *, one_set: bool) -> set[tuple[int, int]]:
    """The pairs, one by one."""
    sides = [(store.all_columns(), store) for store in (queries, references)]
    first: list[dict[str, int]] = [{}, {}]
    for (columns, _), found in zip(sides, first, strict=True):
        for row, (status, digest) in enumerate(zip(columns.status, columns.sha256, strict=True)):
            if status == Status.OK and digest != NO_FILE:
                found.setdefault(digest, row)
    pairs = set()
    for digest, row in first[0].items():
        others = [(other, place) for other, place in first[1].items() if other != digest]
        vectors = references.embeddings(np.array([place for _, place in others]))
        similarity = vectors @ queries.embeddings(np.array([row]))[0]
        for place in np.argsort(-similarity, kind="stable")[:NEIGHBOURS]:
            if similarity[place] >= FLOOR:
                pair = row, others[place][1]
                pairs.add((min(pair), max(pair)) if one_set else pair)
    return pairs


@pytest.mark.parametrize("one_set", [True, False])
@pytest.mark.parametrize("copies", [0, 3, 40])
def test_pairs_are_what_counting_gives(tmp_path: Path, copies: int, *, one_set: bool) -> None:
    """Each once, however often a file is there, and as similar as it is."""
    queries = some_store(tmp_path / "a", 1, copies)
    references = queries if one_set else some_store(tmp_path / "b", 2, copies)
    sides = Sides(queries, None if one_set else references)
    own, others = FileRows.of(queries), FileRows.of(references)
    (one, other), similarity = nearest_files(sides, own, others, ExactSearch(references), FLOOR, silent)
    found = list(zip(one.tolist(), other.tolist(), strict=True))
    assert found == sorted(counted(queries, references, one_set=one_set))
    exact = np.einsum("ij,ij->i", queries.embeddings(one), references.embeddings(other))
    np.testing.assert_allclose(similarity, exact, atol=1e-5)


def test_a_file_that_is_there_often_is_proposed_with_its_neighbours(tmp_path: Path) -> None:
    """Forty copies of one file, and two pictures that resemble it more than each other: the copies hide neither."""
    vectors = unit([[1, 0, 0]] * 40 + [[0.85, 0.527, 0], [0.85, 0, 0.527], [-1, 0, 0]])
    hashes = [file_hash("often")] * 40 + [file_hash(name) for name in "abc"]
    store = vector_store(tmp_path / "s", vectors, hashes=hashes)
    made = propose(Sides(store), ExactSearch(store), ProposeOptions(24, 0.5)).pairs
    found = zip(made.rows.query.tolist(), made.rows.reference.tolist(), strict=True)
    assert sorted(found) == [(0, 40), (0, 41), (40, 41)]


def test_it_is_looked_on_for_so_long_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 32)
    store = vector_store(
        tmp_path / "s", unit([[1, 0]] * 40 + [[0.7, 0.714]]), hashes=[file_hash("a")] * 40 + [file_hash("b")]
    )
    files = FileRows.of(store)
    found = nearest_files(Sides(store), files, files, ExactSearch(store), 0.5, silent)
    assert found.rows.query.tolist() == [0]  # from the other side the first copy is near


def test_an_image_takes_sixteen_bytes(tmp_path: Path) -> None:
    rows = 6000
    store = vector_store(tmp_path / "s", random_vectors(0, rows, 4), shard_rows=rows)
    tracemalloc.start()
    files = FileRows.of(store)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert files.head.nbytes + files.first.nbytes == 16 * rows
    assert held < 20 * rows
    assert most < 130 * rows
