"""Whole-number products: exact, so that neither threads nor blocks nor the machine change a bit."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from vectors import random_vectors, small_vectors

from memaudit.similarity import whole
from memaudit.similarity.whole import Whole


@pytest.mark.parametrize("dim", [1, 7, 64, 512, 2048])
@pytest.mark.parametrize("rows", [1, 3, 500])
def test_bytes_and_float32_agree(dim: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same products, signs and lengths bit for bit, for one row and for many, in any dimension."""
    numkong, found = pytest.importorskip("numkong"), []
    for kernel in (numkong, None):
        monkeypatch.setattr(whole, "fast_bytes", lambda kernel=kernel: kernel)
        a, b = Whole.each(random_vectors(1, rows, dim)), Whole.together(random_vectors(2, 300, dim))
        few = a.take(np.array([0, rows // 2]))
        found.append((a.products(b), a.signs(b), a.lengths, few.products(b), a.as_rows()))
    assert all(np.array_equal(fast, plain) for fast, plain in zip(*found, strict=True))


def test_either_kind_is_multiplied_with_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made before and after the choice can meet."""
    pytest.importorskip("numkong")
    left, right = random_vectors(1, 5, 64), random_vectors(2, 6, 64)
    monkeypatch.setattr(whole, "fast_bytes", lambda: None)
    plain, other = Whole.each(left), Whole.each(right)
    monkeypatch.undo()
    assert np.array_equal(plain.products(Whole.each(right)), plain.products(other))


def test_without_numkong_float32_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numkong", None)
    assert whole.fast_bytes.__wrapped__() is None


@settings(max_examples=60, deadline=None)
@given(small_vectors(), small_vectors())
def test_products_are_those_of_integers(left: np.ndarray, right: np.ndarray) -> None:
    """Signs and products are those of integer arithmetic."""
    a, b = Whole.each(left), Whole.each(right)
    one, other = (whole._rounded_rows(side, whole._scales(side)).astype(np.int64) for side in (left, right))
    true = one @ other.T
    assert np.array_equal(a.signs(b), true >= 0)
    assert np.array_equal(a.products(b), true)


def test_entries_and_lengths_stay_where_sums_are_exact() -> None:
    """No entry above 127 and no length above 1,024 (and rounding), for vectors of one large entry as for flat ones."""
    for vectors in (np.eye(5, dtype=np.float32), random_vectors(0, 50, 512), random_vectors(0, 50, 3)):
        rows = whole._rounded_rows(vectors, whole._scales(vectors))
        assert np.abs(rows).max() <= whole.LARGEST
        assert np.linalg.norm(rows, axis=1).max() <= whole.LENGTH + np.sqrt(vectors.shape[1])
