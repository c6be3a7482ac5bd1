"""Sign codes: 512 bits that tell near-duplicates from strangers at two billion comparisons a second.

A code is the signs of a centred embedding's products with random orthogonal directions (Charikar 2002, "Similarity
estimation techniques from rounding algorithms"; orthogonal: Ji et al. 2012, "Super-bit LSH"). Two vectors at an angle
a differ in each bit with probability a / pi, whatever the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.similarity.exact import faiss_or_none
from memaudit.similarity.whole import Whole
from memaudit.types import Float32, Int64

Codes = NDArray[np.uint8]
BITS = 512
CODE_BYTES = BITS // 8
LOSS = 1e-4  # chance to lose a pair that lies exactly at the threshold; of closer ones it is far smaller
MOST_LOST = 1e-3  # of the checked pairs: more, and the code does not do what it should on this data
FEW_PASSED = 1e-3  # of all comparisons: so few candidates cost next to nothing
MOST_PASSED = 0.02  # of all comparisons: with more candidates, scoring them costs more than plain products
_UNPACKED = 1 << 15  # pairs of codes taken apart into bits at once: 16 MiB
_PARTNERS = 5  # made pairs for each sampled row


@dataclass(frozen=True)
class Coder:
    """How embeddings become codes. centre: (dim,) float32, or None; normals: (BITS, dim)."""

    centre: Float32 | None
    normals: Whole
    radius: int

    def encode(self, vectors: Float32, ready: Whole | None = None) -> Codes:
        """Codes (n, BITS / 8) uint8 of embeddings (n, dim); a row's code depends on that row alone.

        ready: the same rows in whole numbers, where they are at hand.
        """
        if self.centre is not None:
            ready = Whole.each(vectors - self.centre)
        return np.packbits((ready or Whole.each(vectors)).signs(self.normals), axis=1)

    def as_arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it but the radius."""
        centre = {} if self.centre is None else {"centre": self.centre}
        return {"normals": self.normals.as_rows(), **centre}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.float32]], radius: int) -> Coder:
        """What `as_arrays` gave."""
        centre = np.array(arrays["centre"]) if "centre" in arrays else None
        return cls(centre, Whole(np.array(arrays["normals"])), radius)


class Check(NamedTuple):
    """A coder held against data. made, true: pairs looked at; lost: the larger share of them beyond the radius;
    widest: the largest distance of any; passed: share of random comparisons within the radius that are no pairs."""

    lost: float
    widest: int
    passed: float


class Fitted(NamedTuple):
    """The coder for a set, or None, and why there is none or what was done about its radius."""

    coder: Coder | None
    note: str


def fit_coder(sample: Float32, threshold: float, seed: int) -> Fitted:
    """Choose centre and radius on a random sample (n, dim) of the set and check them there.

    The radius follows from the threshold. If more than MOST_LOST of the checked pairs lie beyond it, it is widened to
    hold them all; if it then passes more than MOST_PASSED of the comparisons, there is no coder.
    """
    normals = _normals(sample.shape[1], seed)
    pairs = _check_pairs(sample, threshold, seed)
    centres = (None, sample.mean(axis=0, dtype=np.float64).astype(np.float32))
    plain, centred = (_held(_coder(sample, centre, normals, threshold), sample, pairs) for centre in centres)
    # Without a centre the radius depends on nothing but the threshold: another one must be worth it.
    useful = plain[1].passed > FEW_PASSED and centred[1].passed < plain[1].passed / 2
    coder, check, note = centred if useful else plain
    if check.passed > MOST_PASSED:
        return Fitted(None, f"sign codes pass {check.passed:.1%} of the comparisons on this data: not used")
    return Fitted(coder, note)


def radius_for(threshold: float, shortest: float = 1.0) -> int:
    """The Hamming distance that a pair at the threshold exceeds with probability at most LOSS.

    Centring leaves |x - y|^2 = 2 - 2s as it is, so for lengths u and v of the centred vectors
    cos = 1 + ((u - v)^2 - (2 - 2s)) / 2uv >= 1 - (1 - s) / uv: the shorter the vectors, the wider the angle.
    `shortest`: a lower bound of u and v, 1 without centring. The distance is Binomial(BITS, arccos(cos) / pi) for
    independent directions; orthogonal ones spread less, so the bound is on the safe side.
    """
    from scipy.special import bdtr

    cosine = max(-1.0, 1 - (1 - threshold) / max(shortest, 1e-6) ** 2)
    flip = float(np.arccos(cosine)) / np.pi
    return int(np.argmax(bdtr(np.arange(BITS + 1.0), BITS, flip) >= 1 - LOSS))


def within_radius(left: Codes, right: Codes, radius: int) -> tuple[Int64, Int64]:
    """Positions (i, j) of the codes of two blocks that differ in at most `radius` bits."""
    faiss = faiss_or_none()
    index = faiss.IndexBinaryFlat(8 * right.shape[1])
    index.add(np.ascontiguousarray(right))
    limits, _, found = index.range_search(np.ascontiguousarray(left), radius + 1)  # FAISS: strictly less
    counts = np.diff(limits.astype(np.int64))
    return np.repeat(np.arange(len(left), dtype=np.int64), counts), np.asarray(found, dtype=np.int64)


def _normals(dim: int, seed: int) -> Whole:
    """BITS random directions, orthogonal as far as there is room, in whole numbers."""
    gaussian = np.random.default_rng(seed).standard_normal((max(BITS, dim), min(BITS, dim)))
    basis, _ = np.linalg.qr(gaussian)
    return Whole.each(np.ascontiguousarray(basis if dim <= BITS else basis.T, dtype=np.float32))


def _coder(sample: Float32, centre: Float32 | None, normals: Whole, threshold: float) -> Coder:
    shortest = 1.0 if centre is None else float(np.linalg.norm(sample - centre, axis=1).min())
    return Coder(centre, normals, radius_for(threshold, shortest))


class _Pairs(NamedTuple):
    """What a coder is checked on: true pairs (i, j) of the sample, all others at most `passed` by mistake, and `made`
    partners (m, dim) of rows `of`."""

    i: Int64
    j: Int64
    of: Int64
    made: Float32


def _check_pairs(sample: Float32, threshold: float, seed: int) -> _Pairs:
    """All true pairs of the sample, and pairs made to lie exactly at the threshold in directions of the data.

    y = s x + sqrt(1 - s^2) z', with z' the part of another row z that is orthogonal to x, at unit length: where the
    data fills a small subspace only, so do the made pairs.
    """
    near = np.flatnonzero(np.triu(sample @ sample.T >= threshold, 1))
    i, j = np.divmod(near, len(sample))
    return _Pairs(i, j, *made_partners(sample, threshold, seed))


def made_partners(sample: Float32, threshold: float, seed: int) -> tuple[Int64, Float32]:
    """Rows of the sample (n, dim), and for each a vector that lies exactly at the threshold from it (m, dim)."""
    rng = np.random.default_rng(seed)
    of = np.tile(np.arange(len(sample)), _PARTNERS)
    x, z = sample[of], sample[rng.integers(0, len(sample), len(of))]
    aside = z - np.einsum("ij,ij->i", x, z)[:, None] * x
    length = np.linalg.norm(aside, axis=1)
    useful = length > 1e-3
    made = threshold * x[useful] + np.sqrt(1 - threshold**2) * aside[useful] / length[useful, None]
    return of[useful], made.astype(np.float32)


def _held(coder: Coder, sample: Float32, pairs: _Pairs) -> tuple[Coder, Check, str]:
    check = _check(coder, sample, pairs)
    if check.lost <= MOST_LOST:
        return coder, check, ""
    wider = replace(coder, radius=min(BITS, check.widest))
    note = f"radius widened from {coder.radius} to {wider.radius} bits: it lost {check.lost:.2%} of the checked pairs"
    return wider, _check(wider, sample, pairs), note


def _check(coder: Coder, sample: Float32, pairs: _Pairs) -> Check:
    codes, made = coder.encode(sample), coder.encode(pairs.made)
    far = _distances(codes, pairs.i, codes, pairs.j)
    far_made = _distances(codes, pairs.of, made, np.arange(len(made)))
    close, _ = within_radius(codes, codes, coder.radius)
    everyone = len(sample) * (len(sample) - 1)
    passed = (len(close) - len(sample)) - 2 * int((far <= coder.radius).sum())
    lost = max(_share(far > coder.radius), _share(far_made > coder.radius))
    widest = max(far.max(initial=0), far_made.max(initial=0))
    return Check(lost, int(widest), passed / everyone if everyone else 0.0)


def _distances(left: Codes, i: Int64, right: Codes, j: Int64) -> Int64:
    """Hamming distances of left[i] and right[j], pair by pair. Memory: a block of them unpacked."""
    result = np.empty(len(i), np.int64)
    for low in range(0, len(i), _UNPACKED):
        part = slice(low, low + _UNPACKED)
        result[part] = np.unpackbits(left[i[part]] ^ right[j[part]], axis=1).sum(axis=1)
    return result


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0
