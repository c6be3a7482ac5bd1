"""A model that is gated again and again, and models that follow each other: how often one at the limit passes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, powered
from memaudit.statistics import clopper_pearson_upper, error_of_attempt, shows
from memaudit.types import Int64

LIMIT, ERROR, NIGHTS = 0.01, 0.05, 30
Shown = Callable[[int, int], bool]


def figures(draws: int) -> Iterator[Figure]:
    draws *= 10  # each is a few sums
    for place, prompts in enumerate((100, 330, 1000, 10_000)):
        rng = np.random.default_rng([11, place])
        n = prompts * np.arange(1, NIGHTS + 1)
        found = np.cumsum(rng.binomial(prompts, LIMIT, (draws, NIGHTS)), axis=1)
        world = f"{NIGHTS} nights of {prompts:,} prompts at the limit"
        yield alarmed(world, _ever(found, _most(n, _always)), "passes once, pooled, at every look")
        yield alarmed(
            world, _ever(found, _most(n, _once)), "passes once, pooled, a bound for one look, before", before=True
        )
        single = np.diff(found, axis=1, prepend=0)
        alone = np.full(NIGHTS, prompts)
        yield alarmed(
            world, _ever(single, _most(alone, _once)), "passes once, each night by itself, before", before=True
        )
        attempts = np.array([_most(alone[:1], _of_attempt(k))[0] for k in range(1, NIGHTS + 1)])
        yield alarmed(world.replace("nights", "models"), _ever(single, attempts), "one passes, as attempts")
        better = np.cumsum(rng.binomial(prompts, LIMIT / 5, (draws // 4, NIGHTS)), axis=1)
        fifth = f"{NIGHTS} nights of {prompts:,} prompts at a fifth of the limit"
        yield powered(fifth, _ever(better, _most(n, _always)), "power by the last night, pooled")


def _always(found: int, n: int) -> bool:
    return shows(LIMIT, found, n, ERROR)


def _once(found: int, n: int) -> bool:
    return clopper_pearson_upper(found, n, ERROR) <= LIMIT


def _of_attempt(number: int) -> Shown:
    return lambda found, n: shows(LIMIT, found, n, error_of_attempt(ERROR, number))


def _most(sizes: Int64, shown: Shown) -> Int64:
    """The largest count of each size with which the limit is shown; -1 for none."""
    return np.array([_largest(int(n), shown) for n in sizes], np.int64)


def _largest(n: int, shown: Shown) -> int:
    return bisect_left(range(int(n * LIMIT) + 1), True, key=lambda found: not shown(found, n)) - 1


def _ever(found: Int64, most: Int64) -> list[bool]:
    return [bool(passed) for passed in np.any(found <= most, axis=1).tolist()]
