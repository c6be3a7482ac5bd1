"""What is asked of simulated intervals and tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.record import Figure

COVERED, FALSE = ">= 0.94", "<= 0.055"


def covered(world: str, held: Sequence[bool], measure: str, *, before: bool = False) -> Figure:
    """How often an interval, or a bound, held the truth."""
    return Figure(world, len(held), measure, float(np.mean(held)), asked="" if before else COVERED)


def alarmed(world: str, alarms: Sequence[bool], measure: str, *, before: bool = False) -> Figure:
    """How often a test at 5 % called chance a finding."""
    return Figure(world, len(alarms), measure, float(np.mean(alarms)), asked="" if before else FALSE)


def powered(world: str, alarms: Sequence[bool], measure: str) -> Figure:
    return Figure(world, len(alarms), measure, float(np.mean(alarms)))
