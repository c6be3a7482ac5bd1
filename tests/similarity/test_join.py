"""The join against brute force: nothing lost, nothing invented, in any tiling and order."""

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import Vectors, cosines, families, near, random_vectors, small_vectors, threshold_among

from memaudit.similarity import Pairs, pairs_across, pairs_within
from memaudit.similarity.backends import choose_backend
from memaudit.similarity.codes import BITS, Coder, fit_coder
from memaudit.similarity.join import join
from memaudit.similarity.nominate import (
    Backend,
    HalfProducts,
    HeadProducts,
    Products,
    Side,
    SignCodes,
    cuda_is_there,
    fastest_lossless,
)

TOLERANCE = 1e-6
NAMES = ["product", "head", pytest.param("half", marks=pytest.mark.torch)]
LOSSLESS = {
    "product": Products,
    "head": lambda threshold: HeadProducts(threshold, 2),
    "half": lambda threshold: HalfProducts.on("cpu", threshold),
}


def backend_of(name: str, threshold: float, tile: int) -> Backend:
    return replace(LOSSLESS[name](threshold), tile=(tile, tile))  # type: ignore[type-var]


def assert_same(found: dict[tuple[int, int], float], expected: dict[tuple[int, int], float]) -> None:
    """The same pairs, decided as in float64, with similarities to within 1e-6."""
    assert found.keys() == expected.keys()
    for pair, similarity in expected.items():
        assert abs(found[pair] - similarity) <= TOLERANCE


def as_set(pairs: Pairs) -> dict[tuple[int, int], float]:
    entries = zip(pairs.left.tolist(), pairs.right.tolist(), pairs.similarity.tolist(), strict=True)
    found = {(left, right): similarity for left, right, similarity in entries}
    assert len(found) == len(pairs.left), "a pair came twice"
    return found


def brute_force(left: Vectors, right: Vectors, threshold: float) -> dict[tuple[int, int], float]:
    similarity = cosines(left, right)
    return {(int(i), int(j)): float(similarity[i, j]) for i, j in np.argwhere(similarity >= np.float32(threshold))}


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(left=small_vectors(), right=small_vectors(), pick=st.integers(0, 1000), tile=st.integers(1, 7))
def test_across_equals_brute_force(left: Vectors, right: Vectors, pick: int, tile: int, name: str) -> None:
    """With the threshold exactly on a similarity that occurs, the pairs and their values are those of float64."""
    threshold = threshold_among(pick, cosines(left, right))
    pairs = pairs_across(left, right, threshold, backend_of(name, threshold, tile))
    assert_same(as_set(pairs), brute_force(left, right, threshold))
    assert list(zip(pairs.left, pairs.right, strict=True)) == sorted(zip(pairs.left, pairs.right, strict=True))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(vectors=small_vectors(), pick=st.integers(0, 1000), tile=st.integers(1, 7))
def test_within_equals_brute_force(vectors: Vectors, pick: int, tile: int, name: str) -> None:
    """Each unordered pair comes once, left < right, sorted, whatever the size of the tiles."""
    threshold = threshold_among(pick, cosines(vectors, vectors))
    pairs = pairs_within(vectors, threshold, backend_of(name, threshold, tile))
    assert_same(as_set(pairs), {(i, j): s for (i, j), s in brute_force(vectors, vectors, threshold).items() if i < j})
    assert list(zip(pairs.left, pairs.right, strict=True)) == sorted(zip(pairs.left, pairs.right, strict=True))


@settings(max_examples=100, deadline=None)
@given(small_vectors(), st.integers(0, 1000), st.data())
def test_within_does_not_depend_on_the_order_of_rows(vectors: Vectors, pick: int, data: st.DataObject) -> None:
    """Shuffled rows give the same pairs, with the same similarities bit for bit."""
    threshold = threshold_among(pick, cosines(vectors, vectors))
    order = np.array(data.draw(st.permutations(range(len(vectors)))))
    shuffled = pairs_within(vectors[order], threshold)
    back = {tuple(sorted((int(order[i]), int(order[j])))): s for (i, j), s in as_set(shuffled).items()}
    assert back == as_set(pairs_within(vectors, threshold))


@pytest.mark.parametrize("dim", [2, 33, 512])
@pytest.mark.parametrize("name", NAMES)
def test_structured_vectors_equal_brute_force_over_several_tiles(dim: int, name: str) -> None:
    """Families across the borders of tiles are found whole, in two, in many and in five hundred dimensions."""
    vectors = families(4, [1] * 80 + [2] * 40 + [45] * 4, dim)[np.random.default_rng(0).permutation(340)]
    pairs = pairs_within(vectors, 0.8, backend_of(name, 0.8, 100))
    expected = {(i, j): s for (i, j), s in brute_force(vectors, vectors, 0.8).items() if i < j}
    assert_same(as_set(pairs), expected)
    assert len(expected) > 100


def coded(vectors: Vectors, coder: Coder) -> Side:
    return Side.of(vectors, coder.encode(vectors))


@pytest.mark.parametrize("dim", [12, 100, 512, 700])
def test_sign_codes_find_the_pairs_of_brute_force(dim: int) -> None:
    """All of 10,000 pairs and no other, each with the value that products give it, in dimensions of any kind."""
    vectors = families(4, [1] * 400 + [2] * 100 + [45] * 10, dim, noise=0.35)
    coder = fit_coder(vectors, 0.8, 0).coder
    assert coder is not None
    backend = SignCodes(coder.radius, BITS, tile=(100, 333))
    found = Pairs.joined(list(join(coded(vectors, coder), None, 0.8, backend))).in_order()
    expected = pairs_within(vectors, 0.8)
    assert len(expected.left) > 9000
    lost = as_set(expected).items() - as_set(found).items()
    assert as_set(found).items() <= as_set(expected).items()
    assert len(lost) <= 1e-3 * len(expected.left)


def test_wanted_chooses_what_is_scored() -> None:
    """Candidates that an earlier step has compared are left out, by their positions in the whole sides."""
    vectors = families(4, [30, 30], 16)
    every = as_set(pairs_within(vectors, 0.8))
    backend = Products(0.8, tile=(7, 7))
    odd = Pairs.joined(list(join(Side.of(vectors), None, 0.8, backend, lambda i, j: (i + j) % 2 == 1)))
    assert as_set(odd) == {pair: s for pair, s in every.items() if sum(pair) % 2 == 1}


def test_without_faiss_the_same_pairs_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAISS makes scoring faster; it is no part of the answer."""
    vectors = families(4, [1] * 20 + [9] * 5, 64)
    with_faiss = as_set(pairs_within(vectors, 0.8))
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert_same(as_set(pairs_within(vectors, 0.8)), with_faiss)


def test_the_lossless_backend_by_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few comparisons never load torch; a CUDA device is taken where there is one."""
    assert fastest_lossless(1e6, 0.8).name == "product"
    monkeypatch.setattr("memaudit.similarity.nominate.cuda_is_there", lambda: True)
    assert fastest_lossless(1e12, 0.8).name == "cuda"
    monkeypatch.setattr("memaudit.similarity.nominate.cuda_is_there", lambda: False)
    assert fastest_lossless(1e12, 0.8).name in ("half", "product")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["cuda", "fused"])
def test_cuda_equals_products(name: str) -> None:
    """On the device the same pairs are nominated, and the host decides."""
    if not cuda_is_there():
        pytest.skip("no CUDA device: ./scripts/test --all on a machine with one")
    vectors = families(4, [1] * 3000 + [2] * 500 + [45] * 40, 512)
    backend = choose_backend(name, len(vectors), 0, 0.8, lambda: vectors, 0).backend
    assert backend.name == name
    assert_same(as_set(pairs_within(vectors, 0.8, backend)), as_set(pairs_within(vectors, 0.8)))


@pytest.mark.parametrize("threshold", [1.0, 0.9999999, 0.99999])
def test_identical_vectors_are_pairs_up_to_a_threshold_of_one(threshold: float) -> None:
    """Fifty copies of one vector among others are all paired with each other, even when only 1.0 counts."""
    vectors = np.concatenate([random_vectors(1, 30, 100), np.repeat(random_vectors(2, 1, 100), 50, axis=0)])
    pairs = pairs_within(vectors, threshold)
    assert len(pairs.left) == 50 * 49 // 2
    assert (pairs.left >= 30).all()
    assert (pairs.similarity == 1).all()


def test_result_does_not_depend_on_the_size_of_the_set() -> None:
    """Trap "float16 above 10,000 rows": a pair keeps its value in a set of 10 and in one of 12,000."""
    small = families(8, [2] * 5, 16, noise=0.35)
    alone = as_set(pairs_within(small, 0.8))
    crowd = np.concatenate([small, random_vectors(9, 12_000, 16)])
    together = as_set(pairs_across(small, crowd, 0.8))
    assert alone
    assert {pair: s for pair, s in together.items() if pair[0] < pair[1] < 10} == alone


def test_empty_sides_give_no_pairs() -> None:
    """Nothing compared with anything is no pair, and no error."""
    none, some = np.empty((0, 8), np.float32), random_vectors(0, 5, 8)
    for pairs in (pairs_within(none, 0.5), pairs_across(none, some, 0.5), pairs_across(some, none, 0.5)):
        assert (len(pairs.left), len(pairs.right), len(pairs.similarity)) == (0, 0, 0)


def test_opposite_vectors_are_no_pair() -> None:
    """Similarity keeps its sign: a negative is not a copy."""
    vectors = random_vectors(0, 20, 8)
    assert len(pairs_across(vectors, -vectors, 0.9).left) == 0


def test_a_tile_of_near_copies_takes_memory_for_its_pairs_only() -> None:
    """Trap "memory blow-up at 40,000 images": 700 near-copies of one image do not gather an embedding per pair."""
    vectors = near(1, np.repeat(random_vectors(0, 1, 512), 700, axis=0), noise=0.1)
    tracemalloc.start()
    pairs = pairs_within(vectors, 0.8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs.left) == 700 * 699 // 2
    assert peak < 100e6  # with an embedding for each of the 490,000 products it would be 2 GB


def test_a_head_is_as_long_as_it_must_be() -> None:
    """Strangers are told by fewer numbers the higher the threshold; where all rows are alike, by none."""
    rows = random_vectors(0, 400, 512)
    heads = [HeadProducts.fitted(rows[:200], rows[200:], threshold) for threshold in (0.9, 0.75, 0.5)]
    assert [backend and backend.head for backend in heads] == [128, 192, 320]
    assert HeadProducts.fitted(rows[:1].repeat(50, axis=0), rows[:1].repeat(50, axis=0), 0.75) is None
