"""The rule for the rate: of prompts where they are known, for seeds of one prompt are no independent draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from msgspec import UNSET

from memaudit.gate.detection import AGAIN, Detection, detection_of
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.subjects import of_subject, subject_places
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report import page
from memaudit.report.model import AuditMeasures, ByPrompt, FaceAuditResults, OutcomesByPrompt, Report, WeightedRate
from memaudit.report.model import Rate as Stated
from memaudit.statistics import least_drawn, rate_of, weighted_rate
from memaudit.types import Coverage, Rate

MOST_DUPLICATED = "most-duplicated"
_OF_DUPLICATED = (
    "Prompts were taken from the most duplicated images: their rate is none of the model; audit prompts of --strategy "
    "random or mixed as well, or instead."
)


def open_count(report: Report, results: AuditMeasures, accepted: Collection[int]) -> int:
    """Regurgitated generations of those that the rate counts, less those whose match was accepted.

    A generation whose file is another's again stands in the list of findings and not in the rate: accepting both takes
    away one only, as long as others are listed.
    """
    accepted = of_subject(report, accepted)
    searched, listed = results.searched.count, len(subject_places(report))
    if isinstance(results, FaceAuditResults) and results.faces and results.faces.people:
        return searched if listed > len(accepted) else 0  # whose faces were accepted is not in the report
    return min(searched, max(0, searched - len(queries(report, accepted)), listed - len(accepted)))


def queries(report: Report, accepted: Collection[int], *, paired: bool = False) -> set[str]:
    findings = report.matches
    return {findings[place].query_id for place in accepted if findings[place].paired or not paired}


def open_prompts(report: Report, results: AuditMeasures, prompts: ByPrompt, accepted: Collection[int]) -> int:
    """Prompts that gave a training image back, less those all of whose matches were accepted.

    Where the report does not say which generations are of which prompt, accepting takes none away.
    """
    outcomes = results.outcomes
    if not accepted or outcomes is None or outcomes.by_prompt is UNSET:
        return prompts.returned.count
    named = require_prompts(outcomes.by_prompt, outcomes.found, outcomes.left_out)
    accepted = of_subject(report, accepted)
    waived = queries(report, accepted)
    left = [number for query, number in zip(outcomes.found, named.found, strict=True) if query not in waived]
    further = max(0, open_count(report, results, accepted) - len(left))  # listed, and another stands for them there
    return min(prompts.returned.count, len(set(left)) + further)


def require_prompts(named: OutcomesByPrompt, found: Collection[str], left_out: Collection[str]) -> OutcomesByPrompt:
    """Raise ValueError for outcomes by prompt that cannot be those of these generations."""
    count = sum(each.prompts for each in named.asked)
    numbers = Counter([*named.found, *named.left_out])
    if len(named.found) != len(found) or len(named.left_out) != len(left_out) or any(n >= count for n in numbers):
        raise ValueError("outcomes by prompt do not name a prompt for each generation")
    return named


def share(value: float | None) -> str:
    """As the page prints it, in the gate's spelling."""
    return page.percent(value).replace("\N{NO-BREAK SPACE}", "")


def at_most(bound: float) -> str:
    """As the page prints a bound: rounded up."""
    return page.percent_up(bound).replace("\N{NO-BREAK SPACE}", "")


def draws_of(rate: Rate) -> tuple[int, int]:
    """A rate as whole counts of independent draws: of a test that takes no others."""
    n = rate.coverage.measured
    draws = n if rate.effective is None else min(n, int(rate.effective))
    return (round(rate.count / n * draws) if n else 0), draws


def confident(confidence: float) -> str:
    """Rounded down: never more than what holds."""
    for digits in range(8):
        text = f"{math.floor(confidence * 10 ** (digits + 2) + 1e-6) / 10**digits:.{digits}f}"
        if 100 - float(text) < 1.1 * 100 * (1 - confidence):
            return f"{text}%"
    return f"{text}%"


class _Drawn(NamedTuple):
    """What was drawn, and how it answered. found: that gave a training image back; left: of these, what nobody has
    accepted."""

    what: str
    do: str
    how: str
    coverage: Coverage
    found: int
    left: int


def judge_rate(
    name: str, report: Report, results: AuditMeasures, accepted: Collection[int], policy: AuditPolicy
) -> RuleResult:
    """Judged by what nobody accepted; what was accepted is no lower rate, so its bound stands beside."""
    prompts, searched = results.by_prompt, results.searched
    left = open_count(report, results, accepted)
    coverage = _coverage(searched)
    rate_of(searched.count, coverage)  # refuses an impossible one
    if prompts is UNSET:
        return _unsaid(name, policy)
    detection = detection_of(results, policy)
    if isinstance(detection, str):
        return unmeasured(name, "max_rate", share(policy.max_rate), detection)
    if prompts is None:
        how = "if they are independent, for no pairing names their prompts"
        generations = _Drawn("generations", "repeat a training image", how, coverage, searched.count, left)
        return _judged(name, generations, detection, policy)
    if MOST_DUPLICATED in prompts.strategies:
        return unmeasured(name, "max_rate", share(policy.max_rate), _OF_DUPLICATED)
    if prompts.weighted is not None:
        return _weighted(name, report, results, _Captions(prompts.weighted, detection), accepted, policy)
    still = open_prompts(report, results, prompts, accepted) if left else 0
    return _judged(name, _of_prompts(prompts, searched, still), detection, policy)


class _Captions(NamedTuple):
    """The weighted rate that a report states, and how much was detected."""

    stated: WeightedRate
    detection: Detection


def _weighted(
    name: str,
    report: Report,
    results: AuditMeasures,
    captions: _Captions,
    accepted: Collection[int],
    policy: AuditPolicy,
) -> RuleResult:
    """Each prompt counts for the captions that it stands for."""
    outcomes, (stated, detection) = results.outcomes, captions
    named = outcomes.by_prompt if outcomes else UNSET
    if outcomes is None or named is UNSET or named.shares is UNSET or len(named.shares) != len(outcomes.found):
        return unmeasured(name, "max_rate", share(policy.max_rate), "The report does not say what prompts stand for.")
    waived = queries(report, of_subject(report, accepted))
    numbered = zip(outcomes.found, named.found, named.shares, strict=True)
    shares = {number: part for query, number, part in numbered if query not in waived}
    every = weighted_rate(dict(zip(named.found, named.shares, strict=True)).values(), stated.largest, policy.confidence)
    if abs(every.value - stated.value) > 1e-6:
        raise ValueError(f"a weighted rate of {stated.value:g} is not that of its outcomes, {every.value:g}")
    rate = weighted_rate(shares.values(), stated.largest, policy.confidence)
    bound, whole = detection.upper_weighted(rate), at_most(detection.upper_weighted(every).value)
    outcome = _against_limit(rate.value, bound.value, policy.max_rate)
    figure = at_most(bound.value)
    also = "" if len(shares) == len(set(named.found)) else f" that nobody cleared, and at most {whole} any"
    endings = {
        Verdict.PASS: "within the limit.",
        Verdict.FAIL: f"and the rate found, {share(rate.value)}, is itself above the limit.",
        Verdict.INCONCLUSIVE: "too few prompts, or one of them stands for too many captions.",
    }
    sentence = (
        f"With {confident(policy.confidence)} confidence at most {figure} of captions give a training image back{also}"
        f", each prompt counted for the captions it stands for (at most {share(stated.largest)} of all)"
        f"{detection.by(bound)}: {endings[outcome]}"
    )
    return RuleResult(name, "max_rate", outcome, figure, share(policy.max_rate), sentence)


def _coverage(rate: Stated) -> Coverage:
    return Coverage(rate.coverage.measured, rate.coverage.total)


def _of_prompts(prompts: ByPrompt, searched: Stated, left: int) -> _Drawn:
    returned, seeds = prompts.returned, [each.seeds for each in prompts.seeds]
    if returned.count > searched.count or (searched.count and not returned.count) or returned.n > searched.n:
        raise ValueError(f"{returned.count} of {returned.n} prompts and {searched.count} of {searched.n} generations")
    many = f"{seeds[0]:,} to {seeds[-1]:,}" if len(seeds) > 1 else f"{seeds[0]:,}" if seeds else "no"
    how = "with one generation each" if seeds == [1] else f"in {many} seeds each"
    return _Drawn("prompts", "give a training image back", how, _coverage(returned), returned.count, left)


def _unsaid(name: str, policy: AuditPolicy) -> RuleResult:
    limit = share(policy.max_rate)
    if policy.max_rate >= 1:
        return RuleResult(name, "max_rate", Verdict.PASS, "not stated", limit, "Any rate is allowed.")
    return unmeasured(name, "max_rate", limit, f"The report does not say which generations are of one prompt: {AGAIN}.")


def _judged(name: str, drawn: _Drawn, detection: Detection, policy: AuditPolicy) -> RuleResult:
    n, tail = drawn.coverage.measured, 1 - policy.confidence
    value = rate_of(drawn.left, drawn.coverage, policy.confidence).value
    upper, every = (detection.upper(count, n, tail) for count in (drawn.left, drawn.found))
    outcome = _against_limit(value, upper.value, policy.max_rate)
    figure, how = at_most(upper.value), f"{drawn.how} (n = {n:,})"
    if drawn.left == drawn.found:
        bound = f"at most {figure} of {drawn.what} {drawn.do} {how}"
    else:
        whole, accepted = at_most(every.value), drawn.found - drawn.left
        bound = (
            f"at most {figure} of {drawn.what} {drawn.do} that nobody cleared, and at most {whole} any, with the "
            f"{accepted:,} {drawn.what} whose matches people cleared, {how}"
        )
        figure = f"{figure} not cleared, {whole} in all"
    if outcome is Verdict.PASS:
        ending = "within the limit." if drawn.left == drawn.found else "the first is within the limit."
    elif outcome is Verdict.FAIL:
        ending = f"and the rate found, {share(value)}, is itself above the limit."
    else:  # the only one that takes a search
        ending = f"too few; {_how_many(policy, drawn, detection.of(upper))}"
    sentence = f"With {confident(policy.confidence)} confidence {bound}{detection.by(upper)}: {ending}"
    return RuleResult(name, "max_rate", outcome, figure, share(policy.max_rate), sentence)


def _against_limit(value: float | None, upper: float, limit: float) -> Verdict:
    if upper <= limit:
        return Verdict.PASS
    return Verdict.FAIL if value is not None and value > limit else Verdict.INCONCLUSIVE


def _how_many(policy: AuditPolicy, drawn: _Drawn, detection: Detection) -> str:
    """detection: by the kind that the bound goes by."""
    if not policy.max_rate:
        return f"a rate of 0 cannot be shown by any number of {drawn.what}: allow a small one."
    if any(not detected.found for detected in detection.kinds.values()):
        return f"no number of {drawn.what} shows anything of copies of which none is found."

    def least(count: int) -> str:
        return f"{least_drawn(policy.max_rate, count, policy.confidence, lambda *of: detection.upper(*of).value):,}"

    found = f", or {least(drawn.left)} with {drawn.left:,}" if drawn.left else ""
    return f"to show the limit takes {least(0)} {drawn.what} of which none does{found}."
