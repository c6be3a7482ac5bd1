"""Sign codes: the radius keeps what it promises, is checked on the data, and codes depend on their row alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import Vectors, cosines, families, near, random_vectors, unit

from memaudit.similarity import codes
from memaudit.similarity.codes import BITS, LOSS, Coder, fit_coder, radius_for, within_radius


def at_similarity(seed: int, similarity: float, rows: int, dim: int) -> tuple[Vectors, Vectors]:
    """Pairs of random directions that lie exactly at a similarity."""
    x, z = random_vectors(seed, rows, dim).astype(np.float64), random_vectors(seed + 1, rows, dim)
    aside = unit(z - (x * z).sum(axis=1, keepdims=True) * x)
    return unit(x), unit(similarity * x + np.sqrt(1 - similarity**2) * aside)


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.unpackbits(left ^ right, axis=1).sum(axis=1)


@pytest.mark.parametrize(("dim", "threshold"), [(48, 0.75), (512, 0.5), (512, 0.75), (1024, 0.94)])
def test_the_radius_keeps_pairs_at_the_threshold(dim: int, threshold: float) -> None:
    """Of 20,000 pairs exactly at the threshold hardly one in ten thousand lies beyond it, and strangers all do."""
    coder = fit_coder(random_vectors(9, 500, dim), threshold, 3).coder
    assert coder is not None
    assert coder.radius == radius_for(threshold)
    left, right = at_similarity(1, threshold, 20_000, dim)
    apart = distances(coder.encode(left), coder.encode(right))
    assert (apart > coder.radius).sum() <= 20_000 * LOSS * 5
    assert apart.mean() == pytest.approx(BITS * np.arccos(threshold) / np.pi, rel=0.01)


def test_the_radius_is_that_of_the_binomial() -> None:
    """At 0.75 a bit differs with probability 0.23: 118 of 512 on average, at most 154 but once in ten thousand."""
    assert radius_for(0.75) == 154
    assert radius_for(1.0) == 0
    assert radius_for(0.75, shortest=0.5) > radius_for(0.75, shortest=0.9) > 154
    assert radius_for(0.3, shortest=0.1) >= BITS - 1  # at any angle: nothing can be left out


def test_centring_widens_the_angle_and_the_radius_with_it() -> None:
    """Vectors with a common part lie closer to each other than to 0: centred, their pairs differ in more bits.

    Without the correction of the formula (a radius for the angle at the origin) most of them would be lost.
    """
    common = random_vectors(7, 1, 512)
    sample = unit(random_vectors(8, 2000, 512) + 1.3 * common)  # strangers at 0.63
    left, _ = at_similarity(3, 0.75, 5000, 512)
    left = unit(left + 1.3 * common)
    right = _moved_to(left, unit(random_vectors(12, 5000, 512) + 1.3 * common), 0.75)
    coder = fit_coder(sample, 0.75, 0).coder
    centred = codes._coder(sample, sample.mean(axis=0), codes._normals(512, 0), 0.75)
    apart = distances(centred.encode(left), centred.encode(right))
    assert (apart <= centred.radius).mean() > 1 - 1e-3
    assert (apart <= radius_for(0.75)).mean() < 0.5
    if coder is not None:  # whichever is chosen, it keeps them
        assert (distances(coder.encode(left), coder.encode(right)) <= coder.radius).mean() > 1 - 1e-3


def _moved_to(x: Vectors, z: Vectors, similarity: float) -> Vectors:
    aside = unit(z - (x * z).sum(axis=1, keepdims=True) * x)
    return unit(similarity * x + np.sqrt(1 - similarity**2) * aside)


def test_data_near_one_direction_gets_no_codes() -> None:
    """Where nearly everything is similar a code that keeps the pairs passes everything: products are cheaper."""
    sample = near(1, np.repeat(random_vectors(0, 1, 512), 1000, axis=0), noise=0.75)  # strangers at 0.64
    assert 0.6 < np.median(cosines(sample[:100], sample[100:200])) < 0.7
    fitted = fit_coder(sample, 0.66, 0)
    assert fitted.coder is None
    assert "not used" in fitted.note


@pytest.mark.parametrize("rank", [2, 4, 5])
def test_data_in_a_small_subspace_keeps_its_pairs(rank: int) -> None:
    """A few hundred directions in a plane: whatever is decided, no more pairs are lost than the check allows."""
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((512, rank)))[0]
    vectors = unit(random_vectors(2, 1500, rank) @ basis.T)
    coder = fit_coder(vectors[:700], 0.97, 0).coder
    assert (coder is None) == (rank == 2)  # in a plane too many strangers are as near
    if coder is None:
        return
    i, j = np.nonzero(np.triu(cosines(vectors, vectors) >= np.float32(0.97), 1))
    own = coder.encode(vectors)
    assert len(i) > 100
    assert (distances(own[i], own[j]) > coder.radius).mean() <= 3 * codes.MOST_LOST


def test_the_check_catches_data_that_the_formula_does_not_foresee() -> None:
    """Vectors along one of the code's own normals: all other bits are left to noise, and near-duplicates differ in
    half of them. The radius is widened as far as they need, or the code is not used; it is never taken as it is."""
    normals = codes._normals(512, 0)
    axis = normals.as_rows()[:1]
    vectors = near(1, np.repeat(unit(axis), 800, axis=0), noise=0.1)
    naive = Coder(None, normals, radius_for(0.75))
    own = naive.encode(vectors)
    assert np.median(distances(own[:400], own[400:])) > naive.radius  # pairs at 0.99!
    fitted = fit_coder(vectors, 0.75, 0)
    assert fitted.coder is None or fitted.coder.radius > naive.radius
    assert fitted.note


def test_a_radius_that_loses_pairs_is_widened_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the pairs at the threshold lie beyond the mean distance: the check sees it, whatever the formula said."""
    monkeypatch.setattr(codes, "LOSS", 0.5)
    narrow = radius_for(0.8)
    fitted = fit_coder(families(1, [1] * 300 + [3] * 50, 512), 0.8, 0)
    assert fitted.coder is not None
    assert fitted.coder.radius > narrow + 20
    assert f"widened from {narrow}" in fitted.note


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 90), st.data())
def test_a_code_depends_on_its_row_alone(seed: int, rows: int, dim: int, data: st.DataObject) -> None:
    """Alone, in a crowd and in another order a row has bit for bit the same code, centred or not."""
    vectors = random_vectors(seed, rows, dim)
    order = np.array(data.draw(st.permutations(range(rows))))
    for centre in (None, random_vectors(1, 1, dim)[0] / 2):
        coder = Coder(centre, codes._normals(dim, 1), 10)
        together = coder.encode(vectors)
        assert together.shape == (rows, codes.CODE_BYTES)
        assert np.array_equal(coder.encode(vectors[order]), together[order])
        assert np.array_equal(coder.encode(vectors[:1]), together[:1])


@pytest.mark.parametrize("radius", [0, 5, 250, BITS])
def test_within_radius_equals_brute_force(radius: int) -> None:
    """At most `radius` bits, the radius itself included: FAISS's own search is strict."""
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 256, (rows, 64), dtype=np.uint8) for rows in (30, 41))
    right[:10] = left[:10]
    right[5:10, 0] ^= 0b11111
    apart = np.unpackbits(left[:, None] ^ right[None], axis=2).sum(axis=2)
    i, j = within_radius(left, right, radius)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == {(int(a), int(b)) for a, b in np.argwhere(apart <= radius)}


def test_a_sample_of_one_row_can_be_fitted() -> None:
    """No pair to check on is no reason to fail."""
    assert fit_coder(random_vectors(0, 1, 8), 0.8, 0).coder is not None
