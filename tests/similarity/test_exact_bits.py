"""Scores of stored rows are exact by construction: the same bits in any order, block, thread and by any backend."""

import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vectors import families, vector_store

from memaudit.similarity import exact, pairs_within
from memaudit.similarity.exact import exact_at
from memaudit.similarity.join import join
from memaudit.similarity.nominate import HalfProducts, Products, Side
from memaudit.similarity.pairs import Pairs
from memaudit.similarity.whole import torch_or_none
from memaudit.store import Store, unit_rows
from memaudit.types import Float32

THRESHOLD = 0.75


def stored(seed: int, rows: int, dim: int, spikes: float = 1.0) -> NDArray[np.float16]:
    """Rows as a store holds them; large spikes and small numbers in one row, subnormal ones too."""
    rng = np.random.default_rng(seed)
    wide = rng.standard_normal((rows, dim)) * spikes ** rng.uniform(-1, 1, (rows, dim))
    wide += np.repeat(rng.standard_normal((1, dim)), rows, axis=0)
    return (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float16)


def whole(rows: Float32) -> list[list[int]]:
    """Rows in units of 2^-26, as whole numbers: fails where one is none."""
    wide = rows.astype(np.float64) * 2**26
    assert (wide == np.rint(wide)).all()
    return [[int(number) for number in row] for row in wide]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 80), st.sampled_from([1.0, 10.0, 1e4]), st.data())
def test_products_are_those_of_whole_numbers(seed: int, dim: int, spikes: float, data: st.DataObject) -> None:
    """No sum is rounded, whatever the order of the numbers: it equals that of Python's whole numbers."""
    rows = unit_rows(stored(seed, 6, dim, spikes))
    order = np.array(data.draw(st.permutations(range(dim))))
    assert np.array_equal(exact(rows[:3], rows[3:]), exact(rows[:3][:, order], rows[3:][:, order]))
    for x, y, found in zip(whole(rows[:3]), whole(rows[3:]), exact(rows[:3], rows[3:]), strict=True):
        xy, xx, yy = (sum(a * b for a, b in zip(*sides, strict=True)) for sides in ((x, y), (x, x), (y, y)))
        expected = np.float64(Fraction(xy, 2**52)) / np.sqrt(
            np.float64(Fraction(xx, 2**52)) * np.float64(Fraction(yy, 2**52))
        )
        assert found == np.clip(np.float32(expected), -1, 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 64), st.integers(1, 300))
def test_unit_rows_depend_on_no_block(seed: int, dim: int, cut: int) -> None:
    """A row alone, and in a run of rows cut anywhere, is rescaled to the same bits."""
    rows = stored(seed, 300, dim)
    parts = np.concatenate([unit_rows(rows[:cut]), unit_rows(rows[cut:])]) if cut < 300 else unit_rows(rows)
    assert np.array_equal(parts, unit_rows(rows))
    assert np.array_equal(unit_rows(rows[:1])[0], parts[0])


def bits(pairs: Pairs) -> dict[tuple[int, int], bytes]:
    found = pairs.in_order()
    ends = zip(found.left.tolist(), found.right.tolist(), strict=True)
    return dict(zip(ends, (value.tobytes() for value in found.similarity), strict=True))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder: Path = tmp_path_factory.mktemp("bits")
    return vector_store(folder / "s", families(3, [6] * 40, dim=96, noise=0.4))


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 97), st.integers(1, 97), st.integers(1, 50), st.booleans())
def test_a_join_has_the_same_bits_in_any_tile_and_order(
    store: Store, rows: int, columns: int, at_once: int, turned: bool
) -> None:
    """Tiles, blocks of the store, blocks of pairs and the order of rows change no pair and no bit."""
    vectors = np.concatenate([block.embeddings for block in store.blocks()])
    expected = bits(pairs_within(vectors, THRESHOLD))
    again = np.concatenate([block.embeddings for block in store.blocks(at_once)])
    order = np.arange(len(again))[:: -1 if turned else 1]
    found = Pairs.joined(list(join(Side.of(again[order]), None, THRESHOLD, Products(THRESHOLD, tile=(rows, columns)))))
    back = Pairs(*np.sort([order[found.left], order[found.right]], axis=0), found.similarity)
    assert bits(back) == expected


@pytest.mark.skipif(torch_or_none() is None, reason="needs torch")
def test_half_precision_gives_the_same_bits(store: Store) -> None:
    vectors = store.embeddings(store.comparable_rows())
    found = Pairs.joined(list(join(Side.of(vectors), None, THRESHOLD, HalfProducts.on("cpu", THRESHOLD))))
    assert bits(found) == bits(pairs_within(vectors, THRESHOLD))


def test_threads_give_the_same_bits(store: Store) -> None:
    vectors = store.embeddings(store.comparable_rows())
    i, j = np.random.default_rng(0).integers(0, len(vectors), (2, 4000))
    expected, found = exact_at(vectors, i, vectors, j), np.empty(len(i), np.float32)

    def score(part: slice) -> None:
        found[part] = exact_at(vectors, i[part], vectors, j[part])

    parts = [slice(low, low + 333) for low in range(0, len(i), 333)]
    threads = [threading.Thread(target=score, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(found, expected)
