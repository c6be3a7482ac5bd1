"""Rates of generations and of prompts, by the seeds of a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy.stats import binom

from benchmarks.record import Figure
from benchmarks.statistics.measured import covered, exactly
from memaudit.statistics import effective_draws, rate_of
from memaudit.types import Coverage, Float64, Int64

SEEDS: dict[str, tuple[int, ...]] = {"1": (1,), "4": (4,), "10": (10,), "100": (100,), "1 or 40": (1, 40)}
PROMPTS = (100, 400, 1000)
MEMORISED = ((0.01, 0.5), (0.01, 1.0), (0.05, 0.2), (0.002, 0.8))
"""The share of prompts that are memorised, and of their seeds that copy."""


def figures(draws: int) -> Iterator[Figure]:
    for place, ((name, seeds), prompts, (share, often)) in enumerate(product(SEEDS.items(), PROMPTS, MEMORISED)):
        rng = np.random.default_rng([1, place])
        world = f"{prompts} prompts of {name} seeds, {share:.1%} memorised, copied in {often:.0%}"
        drawn = np.resize(np.array(seeds), prompts)
        found = [rng.binomial(drawn, often * (rng.random(prompts) < share)) for _ in range(draws)]
        yield from _of_generations(world, found, drawn, share * often)
        yield exactly(world, _of_prompts(share * (1 - (1 - often) ** drawn)), "prompts, interval")


def _of_prompts(chances: Float64) -> float:
    """The exact chance that the interval holds the mean of these chances, of prompts that are found independently."""
    prompts, truth = len(chances), float(chances.mean())
    values, counts = np.unique(chances, return_counts=True)
    chance = np.ones(1)
    for value, count in zip(values, counts, strict=True):
        chance = np.convolve(chance, binom.pmf(np.arange(count + 1), count, value))
    likely = np.flatnonzero(chance > 1e-12)
    rates = [rate_of(int(found), Coverage(prompts, prompts)) for found in likely]
    return float(sum(chance[rate.count] for rate in rates if rate.low <= truth <= rate.high))


def _of_generations(world: str, found: list[Int64], drawn: Int64, truth: float) -> Iterator[Figure]:
    n = int(drawn.sum())
    whole = Coverage(n, n)
    after = [rate_of(int(each.sum()), whole, effective=effective_draws(each, drawn)) for each in found]
    yield covered(world, [rate.low <= truth <= rate.high for rate in after], "generations, interval")
    yield covered(world, [truth <= rate.upper for rate in after], "generations, upper bound")
    before = [rate_of(int(each.sum()), whole) for each in found]
    held = [rate.low <= truth <= rate.high for rate in before]
    yield covered(world, held, "generations, interval, before", before=True)
