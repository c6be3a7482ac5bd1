"""The rules for single kinds of findings: which of them count, and how many of each there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from msgspec import UNSET, UnsetType, structs

from memaudit.gate.detection import AGAIN
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.rates import open_count
from memaudit.gate.subjects import counts, subject_places
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.matching.kinds import ALL, COPIES, Kind, left_out_of
from memaudit.report.model import (
    AuditFinding,
    AuditMeasures,
    AuditResults,
    ByPrompt,
    Finding,
    ImageMatch,
    Planted,
    PlantedKind,
    Rate,
    Report,
    rate_of,
)
from memaudit.statistics import rate_of as computed
from memaudit.statistics import weighted_rate
from memaudit.types import Coverage
from memaudit.words import plural

RULES = {
    Kind.VERBATIM: "max_verbatim",
    Kind.TEMPLATE: "max_template",
    Kind.NEAR: "max_near_duplicate",
    Kind.PARTIAL: "max_partial",
}
_NOUNS = {
    Kind.VERBATIM: ("verbatim copy was confirmed on pixels", "verbatim copies were confirmed on pixels"),
    Kind.TEMPLATE: (
        "template (the same picture but for a part) was confirmed on pixels",
        "templates (the same picture but for a part) were confirmed on pixels",
    ),
    Kind.NEAR: (
        "near-duplicate was found that is of no graver kind",
        "near-duplicates were found that are of no graver kind",
    ),
    Kind.PARTIAL: ("partial copy was confirmed on pixels", "partial copies were confirmed on pixels"),
}


def judge_kinds(
    name: str, report: Report, results: AuditMeasures, accepted: Collection[int], policy: AuditPolicy
) -> Iterator[RuleResult]:
    """A limit for each kind of copy that counts, for the less grave ones that of all findings unless the policy has
    another. Re-drawn generations have one of their own.

    A finding that nobody compared on pixels may be of any kind, so it is no proof of few of one.
    """
    matches = report.matches
    findings = [matches[place] for place in subject_places(report) if place not in accepted]
    unlisted = max(0, open_count(report, results, accepted) - len(findings))
    told = [each for each in findings if _told(each)]
    unknown = unlisted + len(findings) - len(told)
    by_kind = Counter(each.kind for each in told)
    by_kind[Kind.NEAR] += len(findings) - len(told)
    for kind in COPIES:
        if kind in policy.kinds:
            open_ = unlisted if kind is Kind.NEAR else unknown
            limit: int | None = getattr(policy, RULES[kind])
            yield _limited(name, kind, by_kind[kind], open_, policy.max_findings if limit is None else limit)


def _told(finding: AuditFinding) -> bool:
    """Whether its kind is what pixels say."""
    if not isinstance(finding, ImageMatch):
        return False
    return finding.verified or (finding.kind == Kind.NEAR and finding.probability is not None)


def _limited(name: str, kind: Kind, count: int, unknown: int, limit: int) -> RuleResult:
    outcome, ending = Verdict.PASS, ""
    if count > limit:
        outcome = Verdict.FAIL
    elif count + unknown > limit:
        more = plural(unknown, "more finding was", "more findings were")
        outcome, ending = Verdict.INCONCLUSIVE, f" {more} not compared on pixels."
    sentence = f"{plural(count, *_NOUNS[kind])}; {plural(limit, 'is', 'are')} allowed.{ending}"
    return RuleResult(name, RULES[kind], outcome, f"{count:,}", f"{limit:,}", sentence)


def kinds_rule(name: str, results: AuditMeasures, policy: AuditPolicy) -> Iterator[RuleResult]:
    """Said wherever not every kind counts: what the audit did not count cannot be judged."""
    if not isinstance(results, AuditResults) or (results.counted_kinds is UNSET and len(policy.kinds) == len(ALL)):
        return
    audited = ALL if results.counted_kinds is UNSET else results.counted_kinds
    missing = [kind for kind in policy.kinds if kind not in audited]
    left_out = left_out_of(policy.kinds)
    if not (missing or left_out):
        return
    limit = ", ".join(policy.kinds)
    if missing:
        sentence = f"The audit was told not to count {', '.join(missing)} (--kinds): {AGAIN}, or name less in kinds."
        yield unmeasured(name, "kinds", limit, sentence)
        return
    sentence = f"Not counted, as kinds of the policy has it: {', '.join(left_out)}."
    yield RuleResult(name, "kinds", Verdict.PASS, limit, limit, sentence)


def counting(report: Report, kinds: Collection[str]) -> Report:
    """The report as if the audit had counted these kinds alone: the others' findings are marked, and its rates are
    those without them. A generation that has another match counts with that; what may be of any kind counts."""
    results = report.results
    if not isinstance(results, AuditResults) or set(ALL) <= set(kinds):
        return report
    complete = results.counted_kinds is not UNSET
    findings = [_held(each, kinds, complete=complete) for each in report.findings]
    before = {each.query_id for each in report.matches if counts(each) and each.kind != Kind.REDRAWN}
    after = {each.query_id for each in findings if isinstance(each, ImageMatch) and counts(each)}
    gone = before - after
    audited = [kind for kind in results.counted_kinds or ALL if kind in kinds]
    planted = _detected_by(results.planted, kinds) if results.planted else results.planted
    results = structs.replace(
        _without(results, report, gone) if gone else results, counted_kinds=audited, planted=planted
    )
    return structs.replace(report, findings=findings, results=results)


def _detected_by(planted: Planted, kinds: Collection[str]) -> Planted:
    """What the audit detects of planted copies by these kinds alone: nothing is known where it does not say by which
    kinds it found them."""
    if set(COPIES) <= set(kinds):
        return planted
    return structs.replace(planted, kinds=[_by(each, kinds) for each in planted.kinds])


def _by(each: PlantedKind, kinds: Collection[str]) -> PlantedKind:
    if each.found is None or each.matched is UNSET:
        return structs.replace(each, found=None)
    others = sum(count for kind, count in each.matched.items() if kind and kind not in kinds)
    return structs.replace(each, found=_less(each.found, others))


def _held(finding: Finding, kinds: Collection[str], *, complete: bool) -> Finding:
    """complete: the report names all kinds of a generation's matches, where there are several."""
    if not isinstance(finding, ImageMatch) or finding.counted is False:
        return finding
    own = [finding.kind] if finding.kinds is UNSET else finding.kinds
    sure = finding.kind == Kind.REDRAWN or (_told(finding) and (complete or finding.matches <= 1))
    if finding.kind in kinds or not sure:
        return finding
    left = [kind for kind in COPIES if kind in own and kind in kinds]
    return structs.replace(finding, kind=str(left[0])) if left else structs.replace(finding, counted=False)


def _without(results: AuditResults, report: Report, gone: set[str]) -> AuditResults:
    """The rates without these generations, where the report says which of them it counts."""
    outcomes = results.outcomes
    if outcomes is None:
        return results
    kept = [place for place, query in enumerate(outcomes.found) if query not in gone]
    paired = results.paired
    if paired is not None:
        mine = {each.query_id for each in report.matches if each.paired and each.query_id in gone}
        paired = _less(paired, len(mine))
    by_prompt = outcomes.by_prompt
    prompts = results.by_prompt
    if by_prompt and prompts:
        numbers = [by_prompt.found[place] for place in kept]
        shares = [by_prompt.shares[place] for place in kept] if by_prompt.shares else UNSET
        prompts = _prompts(prompts, len(set(by_prompt.found)) - len(set(numbers)), numbers, shares)
        by_prompt = structs.replace(by_prompt, found=numbers, shares=shares)
    return structs.replace(
        results,
        searched=_less(results.searched, len(outcomes.found) - len(kept)),
        by_prompt=prompts,
        paired=paired,
        outcomes=structs.replace(outcomes, found=[outcomes.found[place] for place in kept], by_prompt=by_prompt),
    )


def _prompts(prompts: ByPrompt, fewer: int, numbers: list[int], shares: list[float] | UnsetType) -> ByPrompt:
    """What prompts gave back, with so many fewer of them. numbers, shares: of the generations that are left."""
    weighted = prompts.weighted
    if weighted is not None and shares is not UNSET:
        left = weighted_rate(dict(zip(numbers, shares, strict=True)).values(), weighted.largest, weighted.confidence)
        bounds = {name: getattr(left, name) for name in ("value", "low", "high", "upper")}
        weighted = structs.replace(weighted, **bounds, all_copies=UNSET)
    return structs.replace(prompts, returned=_less(prompts.returned, fewer), weighted=weighted)


def _less(rate: Rate, fewer: int) -> Rate:
    coverage = Coverage(rate.coverage.measured, rate.coverage.total)
    effective = rate.effective or None
    return rate_of(computed(max(0, rate.count - fewer), coverage, rate.confidence, effective))
