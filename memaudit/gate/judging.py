"""Reports + policy (+ baseline, + accepted matches) → the gate's result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from memaudit.errors import InputError, MemauditError
from memaudit.gate.accepted import Accepted
from memaudit.gate.audits import judge_audit
from memaudit.gate.baseline import judge_redrawn_rise, judge_release, judge_rise
from memaudit.gate.batches import batch_of
from memaudit.gate.by_kind import counting
from memaudit.gate.comparison import Audited, Comparison
from memaudit.gate.dedups import judge_dedup
from memaudit.gate.filtering import judge_filter, judge_reweight
from memaudit.gate.findings import Decided, Finding, findings_of, further_of, outcome_of
from memaudit.gate.ledger import Ledger, Look
from memaudit.gate.over_time import Watch
from memaudit.gate.policy import SECTIONS, Policy, own_limits
from memaudit.gate.provenance import (
    ALL_REPORTS,
    Named,
    conclusive,
    judge_provenance,
    required,
    same_training_set,
)
from memaudit.gate.redrawn import RULE as REDRAWN_RULE
from memaudit.gate.redrawn import judge_redrawn
from memaudit.gate.subjects import about_faces
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured, verdict_of
from memaudit.matching.kinds import ALL, FACE, Kind
from memaudit.report.model import AuditResults, ImageMatch, Report
from memaudit.reviews import Merged, pair_of
from memaudit.words import plural


@dataclass(frozen=True)
class GateResult:
    """The verdict and everything it rests on. notes: what a reader must know besides, such as entries without use.
    reports: the names of those that were judged. looks: what is to be added to the ledger, if there is one
    (in_ledger). own_limits: the policy's limits, of what was judged, that are not the default ones."""

    rules: tuple[RuleResult, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    in_ledger: bool = False
    own_limits: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.rules)

    @property
    def headline(self) -> str:
        """The verdict in a line, with every rule that did not pass: what failed first, then what cannot be said."""
        reasons = [
            f"{rule.rule}: {rule.sentence}"
            for outcome in (Verdict.FAIL, Verdict.INCONCLUSIVE)
            for rule in self.rules
            if rule.outcome is outcome
        ]
        reasons += [self.both_counts] if self.reviewed else []
        reasons += [self.not_counted] if self.not_counted else []
        return f"{self.verdict}: {' '.join(reasons)}" if reasons else str(self.verdict)

    @property
    def accepted(self) -> tuple[Finding, ...]:
        """Findings about which a person wrote an entry, expired ones included: they are always shown."""
        return tuple(finding for finding in self.findings if finding.accepted)

    @property
    def reviewed(self) -> tuple[Finding, ...]:
        """Findings whose pictures people have looked at, whatever they said."""
        return tuple(finding for finding in self.findings if finding.review)

    @property
    def counted(self) -> tuple[Finding, ...]:
        """Findings that nobody has cleared."""
        return tuple(finding for finding in self.findings if finding.counts and not finding.waived)

    @property
    def both_counts(self) -> str:
        """How many findings count, and how many there are with those that people have cleared; "" where none is."""
        cleared = sum(finding.counts for finding in self.findings) - len(self.counted)
        if not cleared and not self.reviewed:
            return ""
        counting = plural(len(self.counted), "finding counts", "findings count")
        both = len(self.counted) + cleared
        return f"{counting}, and {both:,} with the {cleared:,} that people have cleared."

    @property
    def not_counted(self) -> str:
        """How many findings are of kinds that do not count; "" where none is."""
        found = Counter(finding.kind for finding in self.findings if not finding.counts)
        each = ", ".join(f"{kind} {found[kind]:,}" for kind in ALL if found[kind])
        return f"Not counted: {each}." if each else ""

    @property
    def new(self) -> tuple[Finding, ...]:
        """Findings that the baseline does not have."""
        return tuple(finding for finding in self.findings if finding.new)


def hold(
    reports: Sequence[Named],
    policy: Policy,
    *,
    baseline: Report | None = None,
    accepted: Sequence[Accepted] = (),
    reviews: Merged | None = None,
    ledger: Ledger | None = None,
    now: datetime | None = None,
) -> GateResult:
    """Hold the named reports against the policy, and the audits among them against the baseline's.

    accepted, reviews: what people have decided on single findings. ledger: of all looks so far: the error is shared
    among them, and audits of one model are pooled.
    Raises InputError for a report that lacks a figure which its rules need.
    """
    now = now or datetime.now(UTC)
    day = now.astimezone(UTC).date()
    kinds = policy.audit.kinds
    reports = [(name, counting(report, kinds)) for name, report in reports]
    baseline = baseline and counting(baseline, kinds)
    decided = Decided(accepted, reviews, policy.gate.reviewers)
    findings = [findings_of(name, report, decided, day) for name, report in reports]
    waived = [{finding.place for finding in found if finding.waived} for found in findings]
    watch = None if ledger is None else _watch(ledger, reports, findings, policy, day)
    policies = {name: watch.policy(name, policy) if watch else policy for name, _ in reports}
    rules = [
        _over_time(watch, result, report, places, policy) if watch else result
        for (name, report), places in zip(reports, waived, strict=True)
        for result in judge(name, report, policies[name], accepted=places, now=now)
    ]
    rules += _judge_together(reports, policy)
    if baseline is not None:
        old = Audited(baseline, _waived_in(baseline, decided, day))
        rises, findings = _judge_rises(reports, findings, waived, old, policies)
        rules += rises
    if policy.baseline.release is not None or (watch and baseline):
        rules.append(judge_release(baseline, policy.baseline))
    told = [replace(finding, outcome=outcome_of(finding, rules)) for found in findings for finding in found]
    notes = (
        *_unjudged(reports, policy),
        *(_if_independent(reports, rules) if policy.audit.max_rate < 1 else ()),
        *_notes(accepted, told, day),
        *_unmatched(reports, reviews),
    )
    looks = watch.entries(rules, policy, now) if watch else ()
    judged = {report.kind for _, report in reports} | {"gate"} | ({"baseline"} if baseline else set())
    return GateResult(
        tuple(rules),
        tuple(told),
        notes,
        tuple(name for name, _ in reports),
        tuple(looks),
        watch is not None,
        own_limits(policy, [section for section in SECTIONS if section in judged]),
    )


def judge(
    name: str,
    report: Report,
    policy: Policy,
    *,
    accepted: Collection[int] = (),
    now: datetime | None = None,
) -> list[RuleResult]:
    """Apply the policy's rules for this kind of report. `name` is how the results call the report.

    accepted: the places of its findings that a person has accepted.
    Raises InputError for a report that lacks a figure which its rules need.
    """
    with complaining(name):
        return [
            conclusive(name, report.results),
            *judge_provenance(name, report, policy.gate, now or datetime.now(UTC)),
            *_of_its_kind(name, report, policy, accepted),
        ]


def _over_time(watch: Watch, rule: RuleResult, report: Report, places: Collection[int], policy: Policy) -> RuleResult:
    """The rule, or what takes its place where the gate looks again and again."""
    if rule.rule != REDRAWN_RULE or not isinstance(report.results, AuditResults):
        return watch.judged(rule, policy)
    again = judge_redrawn(rule.report, report, report.results, places, watch.of_look(rule.report, policy).audit)
    return next(each for each in again if each.rule == REDRAWN_RULE)


def _of_its_kind(name: str, report: Report, policy: Policy, accepted: Collection[int]) -> Iterator[RuleResult]:
    if report.kind == "audit":
        return judge_audit(name, report, policy.audit, accepted)
    if report.kind == "dedup":
        return judge_dedup(name, report, policy.dedup)
    if report.kind == "filter":
        return judge_filter(name, report, policy.filter)
    if report.kind == "reweight":
        return judge_reweight(name, report, policy.reweight)
    return iter([without_rules(name, report)])


def without_rules(name: str, report: Report) -> RuleResult:
    """What cannot be judged is no pass."""
    sentence = f"The gate has no rules for a run of {report.kind}: what it found is to be read by a person."
    return RuleResult(name, "rules", Verdict.INCONCLUSIVE, "none", "none", sentence)


@contextmanager
def complaining(name: str) -> Iterator[None]:
    """Whatever is wrong with a figure becomes one line about the report."""
    try:
        yield
    except (MemauditError, ValueError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"report {name} lacks a figure that its rules need, or has it wrong: {error}") from None


def _watch(
    ledger: Ledger, reports: Sequence[Named], findings: Sequence[Sequence[Finding]], policy: Policy, day: date
) -> Watch:
    batches = []
    for (name, report), found in zip(reports, findings, strict=True):
        if isinstance(report.results, AuditResults):
            with complaining(name):
                batches.append((name, batch_of(report, report.results, found, policy.audit)))
    return Watch.of(ledger, batches, day)


def _judge_together(reports: Sequence[Named], policy: Policy) -> list[RuleResult]:
    results = [required(kind, reports) for kind in dict.fromkeys(policy.gate.require)]
    same = same_training_set(reports) if policy.gate.same_training_set else None
    return [*results, *([same] if same else [])]


def _waived_in(report: Report, decided: Decided, day: date) -> set[int]:
    found = findings_of("of the baseline", report, decided._replace(listed_alone=True), day)
    return {finding.place for finding in found if finding.waived}


def _judge_rises(
    reports: Sequence[Named],
    findings: Sequence[list[Finding]],
    waived: Sequence[set[int]],
    old: Audited,
    policies: Mapping[str, Policy],
) -> tuple[list[RuleResult], list[list[Finding]]]:
    """The rule for each audit, and the findings, told whether they are new."""
    results, told = [], []
    for (name, report), found, places in zip(reports, findings, waived, strict=True):
        if report.kind == "audit" and not about_faces(report):
            with complaining(name):
                result, comparison = judge_rise(name, Audited(report, places), old, policies[name].baseline)
            results += [result, *_of_redrawn(name, comparison, policies[name])]
            found = _with_news(found, comparison)
        told.append(found)
    if not results:
        sentence = "A baseline was given, and no audit to hold against it."
        results.append(unmeasured(ALL_REPORTS, "max_rise", "none", sentence))
    return results, told


def _of_redrawn(name: str, comparison: Comparison | None, policy: Policy) -> list[RuleResult]:
    """Where the two cannot be compared at all, that was said."""
    judged = comparison is not None and policy.baseline.max_redrawn_rise < 1
    return [judge_redrawn_rise(name, comparison, policy.baseline)] if judged and comparison else []


def _with_news(findings: Sequence[Finding], comparison: Comparison | None) -> list[Finding]:
    if comparison is None:
        return list(findings)
    redrawn, copies = comparison.redrawn, set(comparison.gained_matches)
    of_redrawn = None if isinstance(redrawn, str) else set(redrawn.gained)
    gained: dict[str, set[tuple[str, str]] | None] = {FACE: None, Kind.REDRAWN: of_redrawn}
    told = []
    for each in findings:
        among = gained.get(each.kind, copies)
        told.append(each if among is None else replace(each, new=(each.query_id, each.reference_id) in among))
    return told


def _unjudged(reports: Sequence[Named], policy: Policy) -> Iterator[str]:
    for name, report in reports:
        faces = sum(each.kind == FACE for each in report.matches)
        if faces and policy.audit.min_face_p is None and not about_faces(report):
            yield f"{name} has {faces:,} findings of faces, and the policy no limit for them (min_face_p): not judged."


def _if_independent(reports: Sequence[Named], rules: Sequence[RuleResult]) -> Iterator[str]:
    """A rate that passes by an assumption: the verdict alone does not say so."""
    passed = {rule.report for rule in rules if rule.rule == "max_rate" and rule.outcome is Verdict.PASS}
    for name, report in reports:
        if name in passed and isinstance(report.results, AuditResults) and report.results.by_prompt is None:
            yield (
                f"max_rate of {name} holds if its generations are independent, which nobody knows: seeds of one prompt "
                "are not. Audit with --pairing."
            )


def _notes(accepted: Sequence[Accepted], findings: Sequence[Finding], day: date) -> Iterator[str]:
    used = {finding.accepted for finding in findings}
    for entry in accepted:
        if entry not in used:
            yield f"The accepted match {entry.pair} (by {entry.who}) {_why_unused(entry, findings, day)}."


def _unmatched(reports: Sequence[Named], reviews: Merged | None) -> Iterator[str]:
    """Reviews of pairs that are no findings, and findings that no review can be about."""
    if reviews is None:
        return
    named = [(name, match) for name, report in reports for match in report.matches]
    pairs = {pair_of(match.query_sha256 or "", match.reference_sha256 or "") for _, match in named}
    pairs.update(pair for _, match in named if isinstance(match, ImageMatch) for pair in further_of(match).pairs)
    unused = [pair for pair in (reviews.said.keys() | reviews.faces.keys()) if pair not in pairs]
    if unused:
        yield f"{len(unused):,} reviewed pairs are among no report's findings."
    without = [name for name, match in named if not match.query_sha256 or not match.reference_sha256]
    for name in dict.fromkeys(without):
        yield (
            f"{name} does not say of which files {without.count(name):,} of its findings are: no review is about them; "
            "audit again with this version."
        )


def _why_unused(entry: Accepted, findings: Sequence[Finding], day: date) -> str:
    """An entry that another outlasts is not said to be without a match."""
    kinds = {each.kind for each in findings if entry.names(each) and not entry.covers(each, entry.training_set)}
    if kinds:
        return f"does not cover what was found: {', '.join(sorted(kinds))} (its kind: {entry.kind or 'none'})"
    expired = "" if entry.holds_on(day) else f", and expired on {entry.until}"
    return f"is among no report's findings{expired}"
