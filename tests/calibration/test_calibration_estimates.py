"""Shares of pairs that have images in common: exact against brute force, and intervals that hold the truth."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.calibration.estimates import (
    NOTHING,
    Ends,
    families_of,
    most_shown,
    needed,
    ratio_of,
    variance_of,
    worth,
)
from memaudit.statistics import clopper_pearson_lower, clopper_pearson_upper
from memaudit.types import Float64, Int64

TAIL = 0.025
PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda p: p[0] != p[1]), min_size=1, max_size=25
)


def ends_of(pairs: list[tuple[int, int]]) -> Ends:
    left, right = np.array(pairs, np.int64).T
    return Ends(left, right)


def apart(count: int) -> Ends:
    """Pairs of which no two have an image in common."""
    return Ends(np.arange(count, dtype=np.int64), np.arange(count, 2 * count, dtype=np.int64))


@given(PAIRS, st.data())
def test_the_variance_is_the_sum_over_pairs_that_share_an_image(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    pairs = list(dict.fromkeys(tuple(sorted(pair)) for pair in pairs))
    residual = data.draw(st.lists(st.floats(-5, 5), min_size=len(pairs), max_size=len(pairs)))
    images = len({image for pair in pairs for image in pair})
    brute = sum(
        residual[i] * residual[j] for i in range(len(pairs)) for j in range(len(pairs)) if set(pairs[i]) & set(pairs[j])
    )
    own = sum(value**2 for value in residual)
    found = variance_of(np.array(residual), ends_of(pairs))
    assert found == pytest.approx(max(own, brute) * images / (images - 1), abs=1e-9)


@given(PAIRS)
def test_families_are_what_chains_of_common_images_link(pairs: list[tuple[int, int]]) -> None:
    family = {image: {image} for pair in pairs for image in pair}
    for one, other in pairs:
        joined = family[one] | family[other]
        for image in joined:
            family[image] = joined
    found = families_of(ends_of(pairs))
    for (i, one), (j, other) in combinations(enumerate(pairs), 2):
        assert (found[i] == found[j]) == (other[0] in family[one[0]])


def test_pairs_of_their_own_are_a_plain_binomial() -> None:
    """No image in common, equal weights: Clopper and Pearson's interval of so many draws."""
    hits = np.arange(50) < 40
    found = ratio_of(hits, np.ones(50, bool), np.full(50, 3.0), apart(50))
    assert found.value == pytest.approx(0.8)
    assert found.pairs == 50
    assert 48 <= found.draws <= 50
    assert found.low == pytest.approx(clopper_pearson_lower(0.8 * found.draws, found.draws, TAIL))
    every = ratio_of(np.ones(50, bool), np.ones(50, bool), np.ones(50), apart(50))
    assert (every.value, every.draws, every.high) == (1.0, 50.0, 1.0)
    assert every.low == pytest.approx(TAIL ** (1 / 50))
    none = ratio_of(np.zeros(50, bool), np.ones(50, bool), np.ones(50), apart(50))
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(clopper_pearson_upper(0, 50, TAIL))


def test_one_family_is_one_draw_however_many_pairs_it_has() -> None:
    """Thirty near-duplicates of one picture are no thirty proofs."""
    left, right = np.triu_indices(30, 1)
    found = ratio_of(np.ones(len(left), bool), np.ones(len(left), bool), np.ones(len(left)), Ends(left, right))
    assert (found.pairs, found.draws) == (435, 1.0)
    assert found.low == pytest.approx(TAIL)


def test_unequal_weights_are_worth_less() -> None:
    weight = np.r_[np.ones(99), 1000.0]
    assert worth(weight, apart(100)) == pytest.approx(1099**2 / (99 + 1e6))
    assert worth(np.full(100, 7.0), apart(100)) == pytest.approx(100)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
def test_a_ratio_is_one(hits: list[bool], data: st.DataObject) -> None:
    """The estimate lies within its interval, the interval within 0 and 1; nothing comes of nothing."""
    n = len(hits)
    ends = ends_of(data.draw(st.lists(st.tuples(st.integers(0, 20), st.integers(21, 40)), min_size=n, max_size=n)))
    weight = np.array(data.draw(st.lists(st.floats(0.01, 1e6), min_size=n, max_size=n)))
    base = np.array(hits) | np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    found = ratio_of(np.array(hits), base, weight, ends)
    if not base.any():
        assert found is NOTHING
        return
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1
    assert 0 < found.draws <= found.pairs + 1e-6
    scaled = ratio_of(np.array(hits), base, weight * 7, ends)
    assert scaled.low == pytest.approx(found.low, abs=1e-6)


def test_nothing_is_known_of_nothing() -> None:
    found = ratio_of(np.zeros(3, bool), np.zeros(3, bool), np.ones(3), apart(3))
    assert math.isnan(found.value)
    assert (found.low, found.high, found.pairs) == (0.0, 1.0, 0)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("misses", [0, 1, 4])
def test_needed_is_the_least_number(share: float, misses: int) -> None:
    n = needed(share, misses)
    assert clopper_pearson_lower(n - misses, n, TAIL) >= share
    assert n == misses + 1 or clopper_pearson_lower(n - 1 - misses, n - 1, TAIL) < share


def test_needed_by_the_rule_that_people_know() -> None:
    """ln 0.025 / ln 0.99 = 367.04."""
    assert [needed(0.99), needed(0.95), needed(0.9)] == [368, 72, 36]
    assert most_shown(368) >= 0.99 > most_shown(367)


def covered(rng: np.random.Generator, runs: int, families: int, rate: float, sampled: float) -> float:
    """How often the interval of a share holds the truth, where pairs of one family are alike.

    A set of families, each of 2 to 6 images with all of their pairs; a family is one of copies with probability `rate`,
    and a tenth of its pairs go the other way. Strata are by a noisy score that copies have more of; the highest is
    taken whole.
    """
    held, truth = 0, 0.9 * rate + 0.1 * (1 - rate)
    sizes = rng.integers(2, 7, families)
    left, right, of = pairs_of(sizes, np.cumsum(np.r_[0, sizes[:-1]]))
    for _ in range(runs):
        hit = (rng.random(families) < rate)[of] ^ (rng.random(len(of)) < 0.1)
        stratum = np.clip((2 * hit + rng.normal(0, 1.2, len(of)) + 1).astype(int), 0, 3)
        weight = drawn_by_strata(rng, stratum, np.minimum(1, sampled * np.array([1, 1, 2, 9])))
        drawn = weight > 0
        every = np.ones(int(drawn.sum()), bool)
        found = ratio_of(hit[drawn], every, weight[drawn], Ends(left[drawn], right[drawn]))
        held += found.low <= truth <= found.high
    return held / runs


def drawn_by_strata(rng: np.random.Generator, stratum: Int64, share: Float64) -> Float64:
    """How many each stands for that is drawn, 0 for the others."""
    weight = np.zeros(len(stratum))
    for number in np.unique(stratum):
        members = np.flatnonzero(stratum == number)
        count = min(len(members), max(2, round(len(members) * share[number])))
        weight[rng.choice(members, count, replace=False)] = len(members) / count
    return weight


def pairs_of(sizes: Int64, starts: Int64) -> tuple[Int64, Int64, Int64]:
    parts = [np.triu_indices(size, 1) for size in sizes]
    left = np.concatenate([part[0] + start for part, start in zip(parts, starts, strict=True)])
    right = np.concatenate([part[1] + start for part, start in zip(parts, starts, strict=True)])
    return left, right, np.repeat(np.arange(len(sizes)), [len(part[0]) for part in parts])


@pytest.mark.parametrize(("families", "rate", "sampled"), [(60, 0.7, 0.3), (120, 0.9, 0.15), (40, 0.5, 1.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(families: int, rate: float, sampled: float) -> None:
    """Of 300 simulated sets at least 95 %, but for what 300 draws of 95 % leave to chance (1 in 1,000)."""
    assert covered(np.random.default_rng(5), 300, families, rate, sampled) >= 0.91


def test_as_if_they_were_independent_they_would_hold_it_far_too_rarely() -> None:
    """What the families are for: all pairs of a family go one way, and pairs are 5.2 a family."""
    rng, held = np.random.default_rng(3), 0
    sizes = np.full(40, 6, np.int64)
    left, right, of = pairs_of(sizes, np.arange(40) * 6)
    for _ in range(200):
        hit = (rng.random(40) < 0.8)[of]
        count = int(hit.sum())
        held += clopper_pearson_lower(count, len(of), TAIL) <= 0.8 <= clopper_pearson_upper(count, len(of), TAIL)
        found = ratio_of(hit, np.ones(len(of), bool), np.ones(len(of)), Ends(left, right))
        assert found.draws == pytest.approx(40, rel=0.15) or found.draws < 40
    assert held / 200 < 0.6
