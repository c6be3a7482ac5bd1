"""The relabelling test by the size of both sets, up to 100,000 and 2,000, on families that are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, powered
from memaudit.statistics import relabelling_p
from memaudit.types import Int64

SETS = ((1000, 500), (10_000, 1000), (100_000, 2000))
LARGE = 50_000
FAMILIES = ("single images", "Zipf's law, whole", "Zipf's law, split", "one of 300 held out whole")
MADE, KNOWN = 2000, 0.3
"""Generations, and the share of them that lie near an image of either side."""


def figures(draws: int) -> Iterator[Figure]:
    for place, ((training, held_out), kind) in enumerate((sets, kind) for sets in SETS for kind in FAMILIES):
        rng = np.random.default_rng([13, place])
        world = f"{training:,} and {held_out:,} images, {kind}"
        many = draws if training > LARGE else 4 * draws
        alarms = [_alarm(rng, kind, training, held_out, 0.0) for _ in range(many)]
        yield alarmed(world, alarms, "relabelling, known families")
        copying = [_alarm(rng, kind, training, held_out, 0.05) for _ in range(max(1, draws // 4))]
        yield powered(f"{world}, 5 % copied", copying, "power of relabelling, known families")


def _alarm(rng: np.random.Generator, kind: str, training: int, held_out: int, copied: float) -> bool:
    """Whether a model is accused that lies near families as often as they have members, and copies so many besides."""
    family, is_reference = _sets(rng, kind, training, held_out)
    first = rng.permutation(len(family))  # who stands for a family: whichever of its members comes first
    stands, place = np.unique(family[first], return_index=True)
    sides = is_reference[first[place]]
    near = family[rng.integers(0, len(family), rng.binomial(MADE, KNOWN))]
    own = family[is_reference][rng.integers(0, int(is_reference.sum()), rng.binomial(MADE, copied))]
    hit, weights = np.unique(np.concatenate([near, own]), return_counts=True)
    held = sides[np.searchsorted(stands, hit)]
    counts = int(sides.sum()), int((~sides).sum())
    return relabelling_p(weights, held, *counts, permutations=199, seed=int(rng.integers(1 << 31))) <= 0.05


def _sets(rng: np.random.Generator, kind: str, training: int, held_out: int) -> tuple[Int64, NDArray[np.bool_]]:
    """The family of each image of both sets, and on which side it is."""
    total = training + held_out
    share = held_out / total
    if kind == FAMILIES[0]:
        return np.arange(total), rng.permutation(total) < training
    sizes = np.minimum(rng.zipf(2, total), 300) if kind != FAMILIES[3] else np.r_[300, np.ones(total - 300, np.int64)]
    family = np.repeat(np.arange(len(sizes)), sizes)[:total]
    if kind == FAMILIES[2]:
        return family, rng.permutation(total) < training
    sides = rng.random(len(sizes)) >= share
    if kind == FAMILIES[3]:
        sides[0] = False
    return family, sides[family]
