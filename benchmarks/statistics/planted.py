"""Rates of all copies, where an audit detects a share of them and planted copies tell which."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import covered
from memaudit.statistics import Detected, melded_rate, melded_weighted, rate_of, weighted_rate
from memaudit.types import Coverage

RECALLS = (0.5, 0.7, 0.9, 0.98)
OF_A_KIND = (20, 40)
RATES = ((400, 0.01), (400, 0.05), (3000, 0.002))
"""Prompts, and how many of them give an image back."""
KINDS = 5
EASY = 0.98
"""Detected of the other kinds."""


class Drawn(NamedTuple):
    """Of one draw: prompts found, planted copies found of the hardest kind, and of the others together."""

    found: int
    hard: int
    easy: int


def figures(draws: int) -> Iterator[Figure]:
    for place, (recall, planted, (prompts, rate)) in enumerate(product(RECALLS, OF_A_KIND, RATES)):
        rng = np.random.default_rng([8, place])
        world = f"{prompts} prompts, {rate:.1%} copied, {recall:.0%} of these detected, {planted} planted of each kind"
        drawn = [_drawn(rng, recall, planted, prompts, rate) for _ in range(draws)]
        whole = Coverage(prompts, prompts)
        rates = [rate_of(each.found, whole) for each in drawn]
        after = [_melded(r, Detected(each.hard, planted)) for r, each in zip(rates, drawn, strict=True)]
        yield covered(world, [rate <= bound.upper for bound in after], "all copies, upper bound")
        yield covered(world, [bound.low <= rate <= bound.high for bound in after], "all copies, interval")
        yield covered(world, [rate <= r.upper for r in rates], "all copies, upper bound, before", before=True)
        every = KINDS * planted
        pooled = [_melded(r, Detected(each.hard + each.easy, every)) for r, each in zip(rates, drawn, strict=True)]
        yield covered(world, [rate <= b.upper for b in pooled], "all copies, kinds pooled, before", before=True)
    yield from _weighted(draws)


_melded = cache(melded_rate)  # few counts, drawn again and again


def _drawn(rng: np.random.Generator, recall: float, planted: int, prompts: int, rate: float) -> Drawn:
    """Real copies are of the hardest kind."""
    easy = rng.binomial((KINDS - 1) * planted, EASY)
    return Drawn(rng.binomial(prompts, rate * recall), rng.binomial(planted, recall), easy)


def _weighted(draws: int) -> Iterator[Figure]:
    """500 captions taken for certain and 500 drawn of 49,500."""
    captions, certain, drawn, share = 50_000, 500, 500, 49_500 / 500 / 50_000
    for place, recall in enumerate(RECALLS):
        rng = np.random.default_rng([9, place])
        truth = (certain * 0.2 + (captions - certain) * 0.002) / captions
        held = []
        for _ in range(draws):
            counts = rng.binomial(certain, 0.2 * recall), rng.binomial(drawn, 0.002 * recall)
            rate = weighted_rate([1 / captions] * counts[0] + [share] * counts[1], share)
            held.append(truth <= melded_weighted(rate, Detected(rng.binomial(40, recall), 40)).upper)
        yield covered(f"500 + 500 of 50,000 captions, {recall:.0%} detected", held, "captions, all copies, upper bound")
