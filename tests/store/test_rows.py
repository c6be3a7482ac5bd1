"""Rows as stored and as compared: the fast ways give, bit for bit, what numpy gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.errors import InputError
from memaudit.store import as_float32, unit_rows
from memaudit.store.rows import GRID, row_lengths


def test_every_float16_becomes_the_float32_that_numpy_makes_of_it() -> None:
    """Those too small to be normal as well, and infinities and NaN beside others."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(64, -1)
    finite = np.where(np.isfinite(every), every, np.float16(-0.0))
    for stored in (every, finite, finite[:, ::3], finite[:0], finite.astype(np.float64)):
        found, wanted = as_float32(stored), stored.astype(np.float32)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


@given(st.integers(0, 2**32), st.integers(1, 600), st.sampled_from([2.0**-20, 0.1, 100.0]))
def test_unit_rows_are_on_the_grid_and_of_length_1(seed: int, count: int, scale: float) -> None:
    """Also with lengths that are known, of any part."""
    vectors = (np.random.default_rng(seed).standard_normal((count, 7)) * scale).astype(np.float16)
    vectors[:, 0] = 1  # none of length 0
    unit, lengths = unit_rows(vectors), row_lengths(vectors)
    np.testing.assert_array_equal(unit * GRID, np.rint(unit * GRID))
    np.testing.assert_allclose(np.linalg.norm(unit.astype(np.float64), axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(lengths, np.sqrt((vectors.astype(np.float64) ** 2).sum(1)).astype(np.float32))
    part = slice(count // 3, None)
    np.testing.assert_array_equal(unit_rows(vectors[part], lengths[part]), unit[part])


@pytest.mark.parametrize("wrong", [0.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_similar_to_nothing_is_refused(wrong: float, dtype: type) -> None:
    vectors = np.full((300, 4), 0.5, dtype)
    vectors[290] = wrong
    for of_rows in (unit_rows, row_lengths):
        with pytest.raises(InputError, match="NaN or of length 0"):
            of_rows(vectors)
