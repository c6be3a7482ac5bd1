"""Figures as a report holds them: of the right type and range, or a ValueError that says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memaudit.gate.verdict import RuleResult, Verdict

LARGEST = 10**12  # of a count: the schema's own limit


def whole(value: Any) -> int:
    """A count. Raises ValueError for anything else, true and 10^400 included."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise ValueError(f"{str(value)[:40] if not isinstance(value, int) else 'a number'} is no count")
    return value


def number(value: Any, low: float, high: float) -> float:
    """A finite number in [low, high]. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"a number between {low:g} and {high:g} was expected, and {type(value).__name__} found")
    return float(value)


def coverage_rule(name: str, rule: str, coverage: Mapping[str, Any], floor: float, what: str) -> RuleResult:
    """Passes if the share measured reaches the floor; of nothing it never does."""
    measured, total = whole(coverage["measured"]), whole(coverage["total"])
    share = measured / total if total else 0.0
    outcome = Verdict.PASS if 0 < measured <= total and share >= floor else Verdict.INCONCLUSIVE
    # rounded down: what falls short of a floor must not look as if it reached it
    figure = f"{(measured * 10_000 // total if total else 0) / 10_000:.2%}"
    sentence = f"{measured:,} of {total:,} {what} were measured."
    return RuleResult(name, rule, outcome, figure, f"{floor:.2%}", sentence)
