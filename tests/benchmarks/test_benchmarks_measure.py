"""Promises of benchmarks/measure.py."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.measure import BenchmarkError, cost_of


def test_the_peak_is_that_of_the_command_alone() -> None:
    """What this process holds, or held when it started the command, does not count."""
    held = np.ones(40_000_000)
    assert cost_of([sys.executable, "-c", "pass"]).peak_mb < held.nbytes / 1e6 / 2
    assert cost_of([sys.executable, "-c", "b'x' * 100_000_000"]).peak_mb > 100


def test_a_command_that_fails_gives_no_figure() -> None:
    """Its last line is the reason."""
    with pytest.raises(BenchmarkError, match="exit code 3: no such thing"):
        cost_of([sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"])
