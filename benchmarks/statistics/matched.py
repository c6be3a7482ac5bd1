"""Captions of the training set and held-out ones: own images returned, by chance alone and by memorising."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, powered
from memaudit.statistics import rise_p

CHANCE = (0.0, 0.002, 0.05)
SIZES = ((2000, 0.01), (10_000, 0.003))
"""Generations, half of each side, and the share of training captions that is memorised."""


def figures(draws: int) -> Iterator[Figure]:
    for place, ((count, memorised), chance) in enumerate((size, chance) for size in SIZES for chance in CHANCE):
        rng, half = np.random.default_rng([12, place]), count // 2
        world = f"{half:,} and {half:,} captions, {chance:.1%} returned by chance"
        alike = rng.binomial(half, chance, (draws, 2))
        yield alarmed(world, [_p(own, half) <= 0.05 for own in alike.tolist()], "own image returned")
        more = chance + memorised * (1 - chance)
        copying = np.c_[rng.binomial(half, more, draws), rng.binomial(half, chance, draws)]
        held = [_p(own, half) <= 0.05 for own in copying.tolist()]
        yield powered(f"{world}, {memorised:.1%} memorised", held, "power of own image returned")


def _p(found: list[int], half: int) -> float:
    return rise_p(found[0], half, found[1], half)
