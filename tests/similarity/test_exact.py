"""The similarity that decides: one value for a pair, whatever else is compared at the same time."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosines, random_vectors

from memaudit.errors import UsageError
from memaudit.similarity import exact
from memaudit.similarity.exact import exact_at, require_threshold


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 70), st.integers(1, 40), st.data())
def test_value_depends_on_the_two_vectors_alone(seed: int, dim: int, rows: int, data: st.DataObject) -> None:
    """A pair has bit for bit the same value alone, in a crowd, in another order, and from the other side."""
    left, right = random_vectors(seed, rows, dim), random_vectors(seed + 1, rows, dim)
    together = exact(left, right)
    order = np.array(data.draw(st.permutations(range(rows))))
    assert np.array_equal(exact(left[order], right[order]), together[order])
    assert np.array_equal(exact(right, left), together)
    for i in range(rows):
        assert exact(left[i : i + 1], right[i : i + 1])[0] == together[i]


def test_value_does_not_change_between_blocks() -> None:
    """Of 5,000 pairs each has the value that it has alone, whichever block it falls into."""
    vectors = random_vectors(1, 300, 48)
    i, j = np.random.default_rng(0).integers(0, 300, (2, 5000))
    values = exact_at(vectors, i, vectors, j)
    assert np.array_equal(values, cosines(vectors, vectors)[i, j])


@pytest.mark.parametrize("dim", [1, 2, 3, 17, 128, 432, 512, 768])
def test_every_vector_has_similarity_one_with_itself(dim: int) -> None:
    """Identical vectors reach a threshold of 1.0: rounding of their lengths must not hide an identical image."""
    vectors = random_vectors(dim, 500, dim)
    assert (exact(vectors, vectors.copy()) == 1).all()
    assert (exact(vectors, -vectors) == -1).all()


def test_many_pairs_of_few_rows_take_little_memory() -> None:
    """Trap "memory blow-up at 40,000 images": 600,000 pairs among 200 rows never gather 600,000 embeddings."""
    vectors = random_vectors(0, 200, 128)
    i, j = np.random.default_rng(0).integers(0, 200, (2, 600_000))
    tracemalloc.start()
    exact_at(vectors, i, vectors, j)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6  # gathered at once they would be 300 MB on each side


@pytest.mark.parametrize("threshold", [0, -0.1, 1.0001, 75, float("nan"), float("inf"), float("-inf")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    """A threshold that nothing, or everything, would reach is a wrong option, and so is NaN."""
    with pytest.raises(UsageError, match="expected 0 < threshold <= 1"):
        require_threshold(threshold)


@pytest.mark.parametrize("threshold", [1e-9, 0.75, 1, 1.0])
def test_possible_thresholds_are_taken(threshold: float) -> None:
    """The whole range above 0 up to and including 1 is allowed."""
    require_threshold(threshold)
