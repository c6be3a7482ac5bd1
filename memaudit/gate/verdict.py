"""What a rule says, and what all rules together say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memaudit.report.model import Coverage


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


def numbered(names: Iterable[str]) -> list[str]:
    """Names that tell things apart: of those that are the same, the second ends in -2, the third in -3."""
    told: dict[str, None] = {}
    for name in names:
        more = (f"{name}-{number}" for number in count(2))
        told[name if name not in told else next(other for other in more if other not in told)] = None
    return list(told)


def verdict_of(results: Sequence[RuleResult]) -> Verdict:
    """Fail if any rule failed, else inconclusive if any was or if there is none, else pass."""
    outcomes = {result.outcome for result in results}
    if Verdict.FAIL in outcomes:
        return Verdict.FAIL
    return Verdict.PASS if outcomes == {Verdict.PASS} else Verdict.INCONCLUSIVE


def unmeasured(name: str, rule: str, limit: str, sentence: str = "Nothing was measured.") -> RuleResult:
    """The result of a rule whose figure the report does not hold."""
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, "none measured", limit, sentence)


def coverage_rule(name: str, rule: str, coverage: Coverage, floor: float, what: str) -> RuleResult:
    """Passes if the share measured reaches the floor; of nothing it never does."""
    measured, total = coverage.measured, coverage.total
    share = measured / total if total else 0.0
    outcome = Verdict.PASS if 0 < measured <= total and share >= floor else Verdict.INCONCLUSIVE
    # rounded down: what falls short of a floor must not look as if it reached it
    figure = f"{(measured * 10_000 // total if total else 0) / 10_000:.2%}"
    sentence = f"{measured:,} of {total:,} {what} were measured."
    return RuleResult(name, rule, outcome, figure, f"{floor:.2%}", sentence)
