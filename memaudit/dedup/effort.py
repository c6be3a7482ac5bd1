"""How long pixels take, how long they may, and which pairs come first where that is not enough."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

import numpy as np

from memaudit import machine
from memaudit.errors import UsageError
from memaudit.matching.compare import Ends, timed
from memaudit.matching.schedule import Schedule, schedule
from memaudit.types import Float32, Int64

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PILOT = 16  # pairs, drawn at random
PILOT_FROM = 1024  # pairs: fewer take no time that anybody plans with
BANDS = 8  # of similarity, one after the other, where time may not suffice
_CLEARLY = 0.5  # share of the budget that an estimate may take, and all pairs go in one band


class Estimate(NamedTuple):
    """What lies before the pixels: pairs, and seconds on so many cores."""

    pairs: int
    seconds: float
    cores: int

    def __str__(self) -> str:
        return (
            f"about {self.pairs:,} pairs to compare on pixels, {spoken(self.seconds)} on {self.cores} "
            f"core{'s' if self.cores > 1 else ''}"
        )


class Budget:
    """The time that comparing pixels may take; None: any. It begins when this is made."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    def surely_enough(self, estimate: Estimate | None) -> bool:
        """Whether there is no need to choose among the pairs."""
        return self.seconds is None or (estimate is not None and estimate.seconds <= _CLEARLY * self.seconds)


def seconds_of(budget: str | float | None, option: str = "--budget") -> float | None:
    """A time such as 90m or 1.5h in seconds. Raises UsageError, which names the option, for what is none."""
    if budget is None:
        return None
    if isinstance(budget, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", budget.strip(), re.ASCII)
        seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    else:
        seconds = float(budget)
    if not 0 < seconds < float("inf"):
        raise UsageError(
            f"{option} {budget!r} is no time: expected a number above 0 and s, m, h or d, such as 90m or 2h"
        )
    return seconds


def spoken(seconds: float) -> str:
    """A duration as a person would say it."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.{0 if seconds >= 10 * unit else 1}f} {name}"
    return f"{max(1, round(seconds)):,} s"


def estimated(ends: Ends, reads: int, pairs: int, seed: int) -> Estimate | None:
    """By a few pairs drawn at random; None for few pairs. reads: of files, that so many pairs need."""
    if pairs < PILOT_FROM:
        return None
    drawn = np.random.default_rng([seed, PILOT]).choice(len(ends.left), PILOT, replace=False)
    times, cores = timed(ends, drawn), machine.cores()
    return Estimate(pairs, (reads * times.reading + pairs * times.comparing) / cores, cores)


def in_bands(ends: Ends, similarity: Float32, bands: int, most: int) -> Schedule:
    """The most similar pairs first: those of one band are gone through in the order that reads fewest files, with
    `most` pictures held."""
    by_similarity = np.argsort(-similarity, kind="stable")
    return Schedule.joined([_of_some(ends, some, most) for some in np.array_split(by_similarity, bands)])


def _of_some(ends: Ends, some: Int64, most: int) -> Schedule:
    _, place = np.unique([ends.left[some], ends.right[some]], return_inverse=True)
    left, right = place.reshape(2, -1)
    made = schedule(left, right, most)
    return made._replace(pairs=some[made.pairs])
