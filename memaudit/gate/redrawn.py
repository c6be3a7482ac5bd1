"""The rule for training images that were drawn anew: beside that for copies, and against what held-out images give."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from memaudit.gate.comparison import draws_of
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.rates import AGAIN, at_most, queries, share
from memaudit.gate.subjects import redrawn_places
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.report.model import AuditResults, Rate, Redrawn, Report
from memaudit.statistics import Rise, rate_of, rise_between, rise_p
from memaudit.types import Coverage

RULE = "max_redrawn_rate"


def judge_redrawn(
    name: str, report: Report, results: AuditResults, accepted: Collection[int], policy: AuditPolicy
) -> Iterator[RuleResult]:
    """accepted: the places of findings, of any kind, that a person has accepted.

    What nobody looked for is not none. By generations, for one is what one held-out image is; of the seeds of a prompt
    as many count as are independent.
    """
    limit, found = share(policy.max_redrawn_rate), results.redrawn
    if policy.max_redrawn_rate >= 1:
        yield RuleResult(name, RULE, Verdict.PASS, "not judged", limit, "Any rate of re-drawn generations is allowed.")
    elif not found:
        said = f"The report does not say whether training images were drawn anew: {AGAIN}."
        yield unmeasured(name, RULE, limit, said)
    elif not found.measured or found.searched is None:
        yield unmeasured(name, RULE, limit, found.headline)
    else:
        left = open_redrawn(report, found.searched, accepted)
        yield _judged(name, found, found.searched, left, policy)
        yield coverage_rule(
            name, "min_coverage", found.searched.coverage, policy.min_coverage, "generations (for re-drawn ones)"
        )


def open_redrawn(report: Report, stated: Rate, accepted: Collection[int]) -> int:
    """Re-drawn generations of those that the rate counts, less those that were accepted."""
    listed = redrawn_places(report)
    waived = set(accepted).intersection(listed)
    return min(stated.count, max(0, stated.count - len(queries(report, waived)), len(listed) - len(waived)))


class Excess(NamedTuple):
    """How much more often generations are re-drawn than held-out images are called so; p: that they are by chance, None
    without enough held-out images."""

    rise: Rise
    p: float | None


def excess_of(found: Redrawn, stated: Rate, left: int, confidence: float) -> Excess:
    """Without held-out images the rate itself is the bound, for chance gives no less than nothing."""
    coverage = Coverage(stated.coverage.measured, stated.coverage.total)
    count, n = draws_of(rate_of(left, coverage, confidence, stated.effective or None))
    control, error = found.control, 1 - confidence
    if control is None or not control.matched.n:
        return Excess(rise_between(count, n, 0, 0, error), None)
    matched = control.matched
    alike = Coverage(matched.coverage.measured, matched.coverage.total)
    others = draws_of(rate_of(matched.count, alike, confidence, matched.effective or None))
    known = control.greater_rate_p
    p = None if known is None else max(known, rise_p(count, n, *others))
    return Excess(rise_between(count, n, *others, error), p)


def _judged(name: str, found: Redrawn, stated: Rate, left: int, policy: AuditPolicy) -> RuleResult:
    excess, limit = excess_of(found, stated, left, policy.confidence), policy.max_redrawn_rate
    outcome = _outcome(excess, limit, policy.confidence)
    bound = at_most(max(0.0, excess.rise.high))
    beyond = "" if found.control is None else " more than of held-out images"
    endings = {
        Verdict.PASS: f"with {policy.confidence:.0%} confidence at most {bound}{beyond}: within the limit.",
        Verdict.FAIL: f"that is {share(excess.rise.value)} more, above the limit, and more than chance explains.",
        Verdict.INCONCLUSIVE: f"with {policy.confidence:.0%} confidence at most {bound}{beyond}: {_why_open(excess)}",
    }
    sentence = f"{_counts(found, stated, left)}; {endings[outcome]}"
    return RuleResult(name, RULE, outcome, bound, share(limit), sentence)


def _outcome(excess: Excess, limit: float, confidence: float) -> Verdict:
    if excess.rise.high <= limit:
        return Verdict.PASS
    more_than_chance = excess.p is not None and excess.p <= 1 - confidence
    return Verdict.FAIL if excess.rise.value > limit and more_than_chance else Verdict.INCONCLUSIVE


def _why_open(excess: Excess) -> str:
    if excess.p is None:
        return "how many are so by chance is unknown, for there are too few held-out images."
    return "too few generations or held-out images to show that it stays within the limit."


def _counts(found: Redrawn, stated: Rate, left: int) -> str:
    accepted = f" ({stated.count - left:,} more were accepted by a person)" if left < stated.count else ""
    said = f"{left:,} of {stated.n:,} generations are training images drawn anew, and no copies{accepted}"
    if found.control is None:
        return f"{said}; no held-out images were given"
    matched = found.control.matched
    return f"{said}; of {matched.n:,} held-out images {matched.count:,} would be called so"
