"""What a rule says, and what all rules together say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}[self]


@dataclass(frozen=True)
class RuleResult:
    """The outcome of one rule on one report, with the figure it looked at and a sentence that explains it."""

    report: str
    rule: str
    outcome: Verdict
    figure: str
    limit: str
    sentence: str


def verdict_of(results: Sequence[RuleResult]) -> Verdict:
    """Fail if any rule failed, else inconclusive if any was or if there is none, else pass."""
    outcomes = {result.outcome for result in results}
    if Verdict.FAIL in outcomes:
        return Verdict.FAIL
    return Verdict.PASS if outcomes == {Verdict.PASS} else Verdict.INCONCLUSIVE


def unmeasured(name: str, rule: str, limit: str, sentence: str = "Nothing was measured.") -> RuleResult:
    """The result of a rule whose figure the report does not hold."""
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, "none measured", limit, sentence)
