"""Rates of all captions from prompts that were chosen from strata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import covered
from memaudit.statistics import rate_of, weighted_rate
from memaudit.types import Coverage


class Mix(NamedTuple):
    """Captions taken for certain and drawn, of how many, and how often each kind gives an image back."""

    certain: int
    drawn: int
    captions: int
    repeated: float
    others: float


MIXES = (
    Mix(100, 100, 10_000, 0.3, 0.005),
    Mix(500, 500, 50_000, 0.2, 0.002),
    Mix(100, 900, 3000, 0.1, 0.01),
    Mix(10, 90, 1000, 0.9, 0.1),
    Mix(500, 500, 100_000, 0.5, 0.0),
)


def figures(draws: int) -> Iterator[Figure]:
    for place, mix in enumerate(MIXES):
        rng, left = np.random.default_rng([2, place]), mix.captions - mix.certain
        truth = (mix.certain * mix.repeated + left * mix.others) / mix.captions
        share = left / mix.drawn / mix.captions
        found = [(rng.binomial(mix.certain, mix.repeated), rng.binomial(mix.drawn, mix.others)) for _ in range(draws)]
        after = [weighted_rate([1 / mix.captions] * a + [share] * b, share) for a, b in found]
        world = (
            f"{mix.certain} + {mix.drawn} of {mix.captions:,} captions, {mix.repeated:.0%} and {mix.others:.1%} copied"
        )
        yield covered(world, [rate.low <= truth <= rate.high for rate in after], "captions, interval")
        yield covered(world, [truth <= rate.upper for rate in after], "captions, upper bound")
        n = mix.certain + mix.drawn
        before = [rate_of(a + b, Coverage(n, n)) for a, b in found]
        yield covered(world, [r.low <= truth <= r.high for r in before], "captions, interval, before", before=True)
