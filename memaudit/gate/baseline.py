"""The rule that holds an audit against that of an earlier model."""

from __future__ import annotations

from msgspec import UNSET

from memaudit.gate.comparison import FISHER, PROMPTS, Audited, Comparison, caveat, compare, obstacle, of_other_versions
from memaudit.gate.policy import BaselinePolicy
from memaudit.gate.provenance import ALL_REPORTS
from memaudit.gate.rates import confident
from memaudit.gate.subjects import looked_at_faces, measured_by, of_subject, training_set_of
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report.model import AuditResults, Report


def judge_rise(name: str, new: Audited, old: Audited, policy: BaselinePolicy) -> tuple[RuleResult, Comparison | None]:
    """Whether the rate rose by more than the policy's margin, and the comparison it was told from.

    Passes if the upper bound of the rise is within the margin; fails if the rise found is above it and more than chance
    explains; else inconclusive, as it is where the two audits cannot be compared.
    """
    why = _why_not(old.report, new.report) or _not_allowed(old.report, new.report, policy)
    if why:
        sentence = f"The baseline cannot be compared with this audit: {why}."
        return unmeasured(name, "max_rise", f"{policy.max_rise:.4%}", sentence), None
    found = compare(old, new, max(0.0, 2 * policy.confidence - 1))  # of one side, so twice the error on both
    outcome = _outcome(found, policy)
    accepted = [len(of_subject(each.report, each.accepted)) for each in (new, old)]
    without = f" Without the {accepted[0]:,} matches that people cleared, and {accepted[1]:,} of the baseline."
    but = f" But {caveat(old.report, new.report)} (the policy allows it)." if caveat(old.report, new.report) else ""
    versions = of_other_versions(old.report, new.report)
    but += f" But {versions}." if versions else ""
    sentence = f"{_figures(found)}; {_ending(found, outcome, policy)}{without if any(accepted) else ''}{but}"
    result = RuleResult(name, "max_rise", outcome, f"{found.rise.high:+.4%}", f"{policy.max_rise:+.4%}", sentence)
    return result, found


def _not_allowed(old: Report, new: Report, policy: BaselinePolicy) -> str:
    """Another training set is compared with where the policy names it: who gates a release must have meant that."""
    named = training_set_of(old) in (policy.training_sets or ())
    said = caveat(old, new)
    return f"{said}, or name that of the baseline in training_sets of [baseline]" if said and not named else ""


def judge_release(old: Report | None, policy: BaselinePolicy) -> RuleResult:
    """Whether the baseline is the release that the policy names: one that moves with every look lets a rate grow
    without end, a margin at a time. With a ledger it must name one."""
    found = old.digest[:12] if old else "none"
    outcome, sentence = Verdict.INCONCLUSIVE, f"The policy names another release than the baseline, {found}."
    if policy.release is None:
        digest = old.digest if old else ""
        sentence = f"With a ledger the policy must name the release: release = {digest!r} in [baseline]."
    elif old is None:
        sentence = "The policy names a release to hold audits against, and no --baseline was given."
    elif old.digest == policy.release:
        outcome, sentence = Verdict.PASS, "The baseline is the release that the policy names."
    return RuleResult(ALL_REPORTS, "release", outcome, found, (policy.release or "named")[:12], sentence)


def _without_prompts(report: Report) -> bool:
    results = measured_by(report)
    return isinstance(results, AuditResults) and results.by_prompt is UNSET


def _why_not(old: Report, new: Report) -> str:
    if old.digest == new.digest:
        return "it is this very report"
    if old.kind == "audit" and not old.results.conclusive:
        return "the baseline calls itself inconclusive"
    if looked_at_faces(old) != looked_at_faces(new):
        return "one of them looked at faces and the other did not"
    if _without_prompts(old) or _without_prompts(new):
        return "not both reports say which generations are of one prompt: audit again with this version"
    return obstacle(old, new)


def _outcome(found: Comparison, policy: BaselinePolicy) -> Verdict:
    if found.rise.high <= policy.max_rise:
        return Verdict.PASS
    more_than_chance = found.p_rise <= 1 - policy.confidence
    return Verdict.FAIL if found.rise.value > policy.max_rise and more_than_chance else Verdict.INCONCLUSIVE


def _figures(found: Comparison) -> str:
    if found.test == FISHER:
        before, after = found.old, found.new
        return (
            f"{after.count:,} of {after.coverage.measured:,} {found.unit} match, "
            f"{before.count:,} of {before.coverage.measured:,} did (Fisher's exact p = {found.p_rise:.2g}; {found.why})"
        )
    return (
        f"Of {found.n:,} {_same(found)} {found.gained:,} match that did not, "
        f"{found.lost:,} no longer do (McNemar's exact p = {found.p_rise:.2g})"
    )


def _same(found: Comparison) -> str:
    return "prompts with the same seeds" if found.unit == PROMPTS else "generations with the same prompts and seeds"


def _ending(found: Comparison, outcome: Verdict, policy: BaselinePolicy) -> str:
    bound = f"with {confident(policy.confidence)} confidence the rate rose by at most {found.rise.high:.4%}"
    return {
        Verdict.PASS: f"{bound}.",
        Verdict.FAIL: f"the rise of {found.rise.value:.4%} is above the margin, and more than chance explains.",
        Verdict.INCONCLUSIVE: f"{bound}: too few {found.unit} to show that it stays within the margin.",
    }[outcome]


def judge_redrawn_rise(name: str, comparison: Comparison, policy: BaselinePolicy) -> RuleResult:
    """The same of generations that are re-drawn, each one for itself: prompts are not compared with themselves."""
    rule, margin = "max_redrawn_rise", policy.max_redrawn_rise
    limit = f"{margin:+.4%}"
    if isinstance(comparison.redrawn, str):
        sentence = f"The baseline cannot be compared with this audit by re-drawn generations: {comparison.redrawn}."
        return unmeasured(name, rule, limit, sentence)
    found = comparison.redrawn
    before, after, rise = found.old, found.new, found.rise
    outcome = Verdict.PASS if rise.high <= margin else Verdict.INCONCLUSIVE
    if outcome is not Verdict.PASS and rise.value > margin and found.p_rise <= 1 - policy.confidence:
        outcome = Verdict.FAIL
    sentence = (
        f"{after.count:,} of {after.coverage.measured:,} generations are re-drawn, {before.count:,} of "
        f"{before.coverage.measured:,} were (Fisher's exact p = {found.p_rise:.2g}); with {policy.confidence:.0%} "
        f"confidence the rate rose by at most {rise.high:.4%}."
    )
    return RuleResult(name, rule, outcome, f"{rise.high:+.4%}", limit, sentence)
