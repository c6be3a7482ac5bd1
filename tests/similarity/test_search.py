"""Exact search against brute force, with ties, in any blocks."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import Vectors, cosines, families, near, random_vectors, small_vectors, threshold_among, unit

from memaudit.errors import InputError
from memaudit.similarity import Neighbours, scores, search, top_k
from memaudit.similarity.whole import torch_with_bfloat16
from memaudit.store import Block, StoredBlock, unit_rows


@pytest.fixture(params=["float32", pytest.param("half", marks=pytest.mark.torch)], autouse=True, scope="module")
def _both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything here holds for products in float32 and for those in half precision by several threads."""
    if request.param == "half" and torch_with_bfloat16() is None:
        pytest.skip("no PyTorch, or no bfloat16 units: ./scripts/test --all on a processor with them")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_worth_torch", lambda compared: request.param == "half")
        yield


def in_blocks(vectors: Vectors, size: int, order: list[int] | None = None) -> Iterator[Block]:
    starts = list(range(0, len(vectors), size))
    for number in order if order is not None else range(len(starts)):
        low = starts[number]
        rows = np.arange(low, min(low + size, len(vectors)), dtype=np.int64)
        yield Block(rows, vectors[rows])


def brute_force(queries: Vectors, references: Vectors, k: int, threshold: float) -> Neighbours:
    similarity = cosines(queries, references)
    rows = np.full((len(queries), k), -1, np.int64)
    values = np.full((len(queries), k), -np.inf, np.float32)
    for query, own in enumerate(similarity):
        best = np.lexsort((np.arange(len(own)), -own))[:k]
        rows[query, : len(best)], values[query, : len(best)] = best, own[best]
    return Neighbours(rows, values, (similarity >= np.float32(threshold)).sum(axis=1))


def assert_same(found: Neighbours, expected: Neighbours) -> None:
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(left, right)


@settings(max_examples=200, deadline=None)
@given(small_vectors(), small_vectors(), st.integers(1, 20), st.integers(0, 1000), st.integers(1, 9))
def test_equals_brute_force(queries: Vectors, references: Vectors, k: int, pick: int, size: int) -> None:
    """Rows, similarities and counts are those of float64, ties by row, also when k exceeds the set."""
    threshold = threshold_among(pick, cosines(queries, references))
    found = top_k(queries, in_blocks(references, size), k, threshold)
    assert_same(found, brute_force(queries, references, k, threshold))


@settings(max_examples=60, deadline=None)
@given(small_vectors(), small_vectors(), st.integers(1, 6), st.data())
def test_does_not_depend_on_the_order_of_blocks(
    queries: Vectors, references: Vectors, k: int, data: st.DataObject
) -> None:
    """Blocks that come in any order give the same answer, ties included."""
    order = data.draw(st.permutations(range(-(-len(references) // 3))))
    assert_same(top_k(queries, in_blocks(references, 3, list(order)), k, 0.5), brute_force(queries, references, k, 0.5))


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("k", [1, 10, 299, 400])
def test_hundreds_of_identical_references(size: int, k: int) -> None:
    """Among 300 copies of one image the lowest rows win, all copies are counted, whatever the blocks."""
    rng = np.random.default_rng(0)
    references = np.concatenate([np.repeat(random_vectors(3, 1, 24), 300, axis=0), random_vectors(4, 50, 24)])
    references = references[rng.permutation(350)]
    queries = np.concatenate([near(5, random_vectors(3, 1, 24), 0.4), random_vectors(3, 1, 24)])
    threshold = float(cosines(queries, references).max(axis=1)[0])
    assert_same(
        top_k(queries, in_blocks(references, size), k, threshold), brute_force(queries, references, k, threshold)
    )


def beside(query: Vectors, steps: Vectors) -> Vectors:
    """Vectors whose similarity to `query` (1, dim) is about each of `steps`."""
    aside = random_vectors(1, 1, query.shape[1])
    aside = unit(aside - (aside @ query.T) * query)
    return unit(steps[:, None] * query + np.sqrt(1 - steps[:, None] ** 2) * aside)


def test_counts_are_exact_within_rounding_of_the_threshold() -> None:
    """References a few 1e-7 apart around the threshold are counted by their float64 value, not by a blocked product."""
    query = random_vectors(0, 1, 200)
    references = beside(query, np.linspace(0.6999, 0.7001, 2001))
    for threshold in np.float32([0.69995, 0.7, 0.70001, 0.70005]):
        found = top_k(query, in_blocks(references, 300), 5, float(threshold))
        assert found.above[0] == (cosines(query, references)[0] >= threshold).sum()


@pytest.mark.parametrize("size", [50, 400])
def test_the_k_best_are_exact_within_rounding_of_each_other(size: int) -> None:
    """Of 400 references within 1e-6 the k best are those of float64: a blocked product cannot order them."""
    query = random_vectors(0, 1, 500)
    references = beside(query, np.random.default_rng(0).permutation(np.linspace(0.7, 0.700001, 400)))
    scores = (query @ references.T)[0]
    exact = cosines(query, references)[0]
    assert (np.argsort(-scores, kind="stable")[:10] != np.argsort(-exact, kind="stable")[:10]).any()
    assert_same(top_k(query, in_blocks(references, size), 10, 0.5), brute_force(query, references, 10, 0.5))


def test_structured_vectors_equal_brute_force_in_512_dimensions() -> None:
    """Copies, families and strangers in the dimension of the real encoder."""
    references = families(2, [1] * 100 + [5] * 20, 512)
    queries = np.concatenate([near(9, references[::9], 0.4), random_vectors(10, 20, 512), references[:5]])
    found = top_k(queries, in_blocks(references, 64), 7, 0.8)
    expected = brute_force(queries, references, 7, 0.8)
    assert_same(found, expected)
    assert expected.above.max() >= 5


def test_no_reference_and_no_query() -> None:
    """Nothing to search in gives -1 and -inf; nothing to search for gives nothing."""
    found = top_k(random_vectors(0, 3, 8), [], 4, 0.5)
    assert (found.rows == -1).all()
    assert np.isneginf(found.similarity).all()
    assert (found.above == 0).all()
    assert top_k(np.empty((0, 8), np.float32), in_blocks(random_vectors(0, 3, 8), 2), 4, 0.5).rows.shape == (0, 4)


def test_rows_are_those_of_the_blocks() -> None:
    """Row numbers come from the block, not from the position in it: unreadable rows leave gaps."""
    vectors = random_vectors(0, 6, 8)
    block = Block(np.array([3, 5, 8, 13, 21, 34]), vectors)
    assert top_k(vectors, [block], 1, 0.5).rows[:, 0].tolist() == [3, 5, 8, 13, 21, 34]


def test_embeddings_as_they_are_stored() -> None:
    """float16 of any length gives, bit for bit, what their unit vectors give."""
    stored = (0.999 * families(7, [1] * 200 + [4] * 30, 96)).astype(np.float16)
    rows = np.arange(len(stored))
    queries = near(8, unit_rows(stored)[::7], 0.2)
    found = top_k(
        queries, [StoredBlock(rows[i : i + 100], stored[i : i + 100]) for i in range(0, len(rows), 100)], 5, 0.7
    )
    assert_same(found, top_k(queries, [Block(rows, unit_rows(stored))], 5, 0.7))
    assert_same(found, brute_force(queries, unit_rows(stored), 5, 0.7))


@pytest.mark.parametrize("wrong", [np.nan, 0.0])
def test_a_stored_embedding_that_is_none(wrong: float) -> None:
    """NaN and length 0 are errors, not images that resemble nothing."""
    stored = np.full((3, 8), 0.35, np.float16)
    stored[1] = wrong
    with pytest.raises(InputError, match="NaN or of length 0"):
        top_k(random_vectors(0, 2, 8), [StoredBlock(np.arange(3), stored)], 1, 0.5)


def test_many_blocks_each_better_than_the_last() -> None:
    """References in rising order of similarity: every block displaces all that came before."""
    query = random_vectors(0, 1, 64)
    references = beside(query, np.linspace(0.1, 0.9, 3000))
    queries = np.concatenate([query, near(3, query, 0.1), near(4, query, 0.1)])
    assert_same(top_k(queries, in_blocks(references, 37), 4, 0.8), brute_force(queries, references, 4, 0.8))


@pytest.mark.torch
@settings(max_examples=100, deadline=None)
@given(st.floats(-1, 1, width=32), st.sampled_from(["torch.bfloat16", "torch.float16"]))
def test_rounding_down(value: float, kind: str) -> None:
    """The result is a number of the narrow format, at most the value, and the next one is above it."""
    import torch

    found = scores.rounded_down(np.array([value], np.float32), kind)
    narrow = torch.from_numpy(found).to(getattr(torch, kind.partition(".")[2]))
    assert float(narrow) == found[0] <= value
    # No number of the format lies between: rounding the value gives this one or a higher one.
    rounded = float(torch.tensor([value], dtype=torch.float32).to(narrow.dtype))
    assert rounded >= found[0]


@pytest.mark.torch
@pytest.mark.parametrize("dim", [8, 512])
def test_scores_in_half_precision_are_within_their_bounds(dim: int) -> None:
    """No similarity lies outside what its score promises, and nobody at or above a floor is left out."""
    if torch_with_bfloat16() is None:
        pytest.skip("no PyTorch, or no bfloat16 units: ./scripts/test --all on a processor with them")
    queries, references = random_vectors(1, 50, dim), random_vectors(2, 700, dim)
    references[:50] = near(3, queries, 0.1)
    truth = cosines(queries, references)
    scorer = scores.HalfScorer(queries)
    tile = scorer.tile(scorer.block(references), slice(0, 700))
    floors = np.quantile(truth, 0.5, axis=1).astype(np.float32)
    found = tile.at_least(floors)
    assert (found.least <= truth[found.query, found.position]).all()
    assert (found.most >= truth[found.query, found.position]).all()
    assert (found.most - found.least).max() < 0.02
    named = np.zeros(truth.shape, bool)
    named[found.query, found.position] = True
    assert named[truth >= floors[:, None]].all()
    assert (tile.kth(3) <= np.sort(truth, axis=1)[:, -3]).all()
    assert np.isneginf(tile.kth(701)).all()
