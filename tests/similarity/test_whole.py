"""Whole-number products: exact, so that neither threads nor blocks nor the machine change a bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from vectors import random_vectors, small_vectors

from memaudit.similarity import whole
from memaudit.similarity.whole import Whole


def both_ways(left: np.ndarray, right: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, ...]]:
    results = []
    pytest.importorskip("torch")
    for torch in (whole.torch_with_bfloat16, lambda: None):
        monkeypatch.setattr(whole, "torch_with_bfloat16", torch)
        a, b = Whole.each(left), Whole.together(right)
        results.append((a.products(b), a.signs(b)))
    return results


@pytest.mark.torch
@pytest.mark.parametrize("dim", [1, 7, 64, 512, 2048])
@pytest.mark.parametrize("rows", [1, 3, 500])
def test_processors_with_and_without_bfloat16_agree(dim: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same products and signs bit for bit, for one row and for many, in any dimension."""
    fast, plain = both_ways(random_vectors(1, rows, dim), random_vectors(2, 300, dim), monkeypatch)
    assert np.array_equal(fast[0], plain[0])
    assert np.array_equal(fast[1], plain[1])


@settings(max_examples=60, deadline=None)
@given(small_vectors(), small_vectors())
def test_products_are_those_of_integers(left: np.ndarray, right: np.ndarray) -> None:
    """Signs are those of integer arithmetic; products differ from it by the rounding of the result alone."""
    a, b = Whole.each(left), Whole.each(right)
    one, other = (whole._rounded_rows(side, whole._scales(side)).astype(np.int64) for side in (left, right))
    true = one @ other.T
    assert np.array_equal(a.signs(b), true >= 0)
    assert (np.abs(a.products(b) - true) <= np.abs(true) * 2.0**-8).all()


def test_entries_and_lengths_stay_where_sums_are_exact() -> None:
    """No entry above 256 and no length above 1,024 (and rounding), for vectors of one large entry as for flat ones."""
    for vectors in (np.eye(5, dtype=np.float32), random_vectors(0, 50, 512), random_vectors(0, 50, 3)):
        rows = whole._rounded_rows(vectors, whole._scales(vectors))
        assert np.abs(rows).max() <= whole.LARGEST
        assert np.linalg.norm(rows, axis=1).max() <= whole.LENGTH + np.sqrt(vectors.shape[1])
