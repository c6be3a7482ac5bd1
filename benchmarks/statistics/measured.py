"""What is asked of simulated intervals and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.record import Figure
from memaudit.statistics import rate_of
from memaudit.types import Coverage

COVERED, FALSE = ">= 0.94", "<= 0.055"


def covered(world: str, held: Sequence[bool], measure: str, *, before: bool = False) -> Figure:
    """How often an interval, or a bound, held the truth."""
    return Figure(world, len(held), measure, float(np.mean(held)), *_by_chance(held), "" if before else COVERED)


def alarmed(world: str, alarms: Sequence[bool], measure: str, *, before: bool = False) -> Figure:
    """How often a test at 5 % called chance a finding."""
    return Figure(world, len(alarms), measure, float(np.mean(alarms)), *_by_chance(alarms), "" if before else FALSE)


def exactly(world: str, value: float, measure: str) -> Figure:
    """Coverage that was computed, and not simulated."""
    return Figure(world, 1, measure, value, asked=COVERED)


def _by_chance(drawn: Sequence[bool]) -> tuple[float, float]:
    """The 95 % interval of a simulated share: what so few draws can tell."""
    rate = rate_of(int(np.sum(drawn)), Coverage(len(drawn), len(drawn)))
    return rate.low, rate.high


def powered(world: str, alarms: Sequence[bool], measure: str) -> Figure:
    return Figure(world, len(alarms), measure, float(np.mean(alarms)))
