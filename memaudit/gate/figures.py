"""Figures as a report holds them: of the right type and range, or a ValueError that says which."""

from __future__ import annotations

import math
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


def share_of(coverage: Mapping[str, Any]) -> float:
    measured, total = whole(coverage["measured"]), whole(coverage["total"])
    return measured / total if total else 0.0


def coverage_rule(name: str, rule: str, coverage: Mapping[str, Any], floor: float, what: str) -> RuleResult:
    """Passes if the share measured reaches the floor; of nothing it never does."""
    measured, total = whole(coverage["measured"]), whole(coverage["total"])
    share = share_of(coverage)
    outcome = Verdict.PASS if 0 < measured <= total and share >= floor else Verdict.INCONCLUSIVE
    sentence = f"{measured:,} of {total:,} {what} were measured."
    return RuleResult(name, rule, outcome, _rounded(share), f"{floor:.2%}", sentence)


def _rounded(share: float) -> str:
    """Rounded down: what falls short of a floor must not look as if it reached it."""
    return f"{math.floor(share * 10_000) / 10_000:.2%}" if share < 1 else f"{share:.2%}"
