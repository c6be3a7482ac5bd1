"""Who is an exact duplicate, and what paired rows score, is found by sorting and in blocks: as one by one."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vectors import families, random_vectors, vector_store

from memaudit.dedup import decisions, exact_duplicates
from memaudit.dedup.exact_duplicates import representatives
from memaudit.dedup.stand_ins import stand_ins
from memaudit.similarity import exact
from memaudit.store import Store
from memaudit.types import Float32, Int64


def first_of_equal(keys: list[bytes]) -> list[int]:
    first: dict[bytes, int] = {}
    return [first.setdefault(key, row) for row, key in enumerate(keys)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=10, max_size=10).map(lambda key: bytes(byte % 2 for byte in key)), max_size=40))
def test_equal_keys_are_linked_to_the_first(keys: list[bytes]) -> None:
    """Keys that share their first bytes, and differ later, are told apart."""
    array = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 10)
    links = exact_duplicates._linked(len(keys), np.arange(len(keys)), array)
    assert links.tolist() == first_of_equal(keys)


def test_rows_that_agree_where_one_looks_first_are_held_against_each_other_whole(tmp_path: Path) -> None:
    """Embeddings that differ in one number alone are no duplicates; equal ones of other files are."""
    vectors = np.repeat(random_vectors(0, 4, 48), 3, axis=0)
    vectors[1::3, 7] += 0.25
    store = vector_store(tmp_path / "s", vectors, shard_rows=5)
    found = representatives(store, np.arange(12))
    digests = [hashlib.sha256(vector.tobytes()).digest() for vector in store.embeddings(np.arange(12))]
    assert found.tolist() == first_of_equal(digests) == [0, 1, 0, 3, 4, 3, 6, 7, 6, 9, 10, 9]


def test_who_is_there_stands_for_who_is_gone(tmp_path: Path) -> None:
    """By rank; whose place is not known comes after those whose file is there, and of a URL nobody asks. In doubt is
    who stands for others that may be there."""
    (tmp_path / "there").write_text("")
    there, gone, url = str(tmp_path / "there"), str(tmp_path / "gone"), "https://example.org/a.png"
    uris = [gone, "", there, there, gone, "", gone, url, gone, gone, there, there, there]
    files = [*"aaaa", *"bb", *"cc", *"dd", *"ee", "f"]
    store = vector_store(tmp_path / "s", random_vectors(0, len(uris)), uris=uris, files=files, shard_rows=5)
    rank = np.arange(len(uris))
    rank[[2, 3]] = 3, 2
    found = stand_ins(store, np.array([uri != "" for uri in uris]), rank, representatives(store, rank))
    assert found.stands_for.tolist() == [3, 3, 3, 3, 5, 5, 7, 7, 8, 8, 10, 10, 12]
    assert np.flatnonzero(found.in_doubt).tolist() == [3, 10]


def test_many_rows_are_read_once_and_score_as_few_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap "quadratic reading": rows in any order took all chunks of the store for each block of them."""
    store = vector_store(tmp_path / "s", families(0, [5] * 30), shard_rows=50)
    left, right = np.random.default_rng(0).integers(0, len(store), (2, 400))
    expected = exact(store.embeddings(left), store.embeddings(right))
    monkeypatch.setattr(decisions, "BLOCK_ROWS", 32)

    def never(self: Store, rows: Int64) -> Float32:
        raise AssertionError("rows are read one by one")

    monkeypatch.setattr(Store, "embeddings", never)
    assert np.array_equal(decisions.similarities(store, left, right, tmp_path), expected)


def test_text_with_line_breaks_is_read_as_it_is() -> None:
    """Columns of text are decoded at once, also where a caption has lines."""
    from memaudit.store.shard import texts

    def read(*given: str) -> list[str]:
        data: NDArray[np.object_] = np.array([text.encode() for text in given], dtype=object)
        return list(texts(data))

    for lines in ([], [""], ["a"], ["a", "", "é"], ["a\nb", "c"], ["\n"], ["", ""]):
        assert read(*lines) == lines
