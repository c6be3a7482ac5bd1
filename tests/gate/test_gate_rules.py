"""The gate: what passes, what fails, and everything that must never pass."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import AS_BY_DEFAULT, SSCD, held, typed
from test_gate_filters import applied, weighed

from memaudit import __version__, gate
from memaudit.errors import InputError, UsageError
from memaudit.gate import (
    DEFAULT_POLICY,
    AuditPolicy,
    BaselinePolicy,
    DedupPolicy,
    FilterPolicy,
    GatePolicy,
    Policy,
    ReweightPolicy,
    RuleResult,
    Verdict,
    read_policy,
    verdict_of,
)
from memaudit.report.document import inconclusive_report
from memaudit.report.model import SCHEMA
from memaudit.statistics import rate_of
from memaudit.types import Coverage

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
Report = dict[str, Any]
FULL_ENCODER = SSCD.as_dict()


HEAD = {
    "schema": SCHEMA,
    "created": "2026-11-27T00:00:00+00:00",
    "memaudit": __version__,
    "digests": {},
    "digest": "0" * 64,
    "encoder": FULL_ENCODER,
}
MATCH = {
    "query_id": "g",
    "reference_id": "t",
    "similarity": 0.9,
    "kind": "near-duplicate",
    "paired": False,
    "near_duplicates": 1,
    "probability": 0.2,
}


def judge(name: str, report: Report, policy: Policy) -> list[RuleResult]:
    return gate.judge(name, typed(report, name), policy)


def judge_all(reports: list[tuple[str, Report]], policy: Policy) -> list[RuleResult]:
    return list(gate.hold([(name, typed(report, name)) for name, report in reports], policy).rules)


def coverage(measured: int, total: int) -> dict[str, Any]:
    """As a report holds it, whose share cannot be above 1 even where its counts are wrong."""
    return {**Coverage(measured, total).as_dict(), "share": min(1.0, Coverage(measured, total).share)}


def rate(count: int, measured: int, total: int | None = None) -> dict[str, Any]:
    total = measured if total is None else total
    return {**rate_of(count, Coverage(measured, total)).as_dict(), "coverage": coverage(measured, total)}


def audit_report(
    findings: int = 0,
    n: int = 5000,
    total: int | None = None,
    *,
    paired: tuple[int, int, int] | None = None,
    references: tuple[int, int] = (1000, 1000),
    controls: int | None = 500,
    conclusive: bool = True,
    listed: int | None = None,
    excluded: int | None = 0,
    threshold: float = 0.75,
    store: str | None = "s1",
) -> Report:
    """An audit's report as far as the gate reads it."""
    control: Report | None = None
    if controls is not None:
        control = {"matched": rate(0, controls), "relabelling_p": None, "greater_rate_p": None, "why_no_p": ""}
    if control and excluded is not None:
        control["excluded_controls"] = excluded
    return {
        **HEAD,
        "kind": "audit",
        "inputs": {"generations": "g", "references": store} if store else {},
        "threshold": threshold,
        "coverage": coverage(n, n if total is None else total),
        "findings": [MATCH] * (findings if listed is None else listed),
        "results": {
            "conclusive": conclusive,
            "reasons": [] if conclusive else ["a shard was missing"],
            "headline": "",
            "searched": rate(findings, n, total),
            "by_prompt": {"returned": rate(findings, n, total), "seeds": [{"seeds": 1, "prompts": n}]},
            "paired": rate(*paired) if paired else None,
            "references": coverage(*references),
            "control": control,
            **AS_BY_DEFAULT,
        },
    }


def dedup_report(
    found: int = 1000,
    true: int = 1000,
    low: float | None = 0.995,
    *,
    measured: int = 1000,
    total: int = 1000,
    sampled: int = 1000,
    census: bool = False,
    added: tuple[int, ...] = (900,),
    conclusive: bool = True,
    threshold: float = 0.75,
    store: str | None = "s1",
) -> Report:
    """A dedup run's report as far as the gate reads it."""
    value = found / true if true else None
    estimate = {"found": found, "total": true, "value": value, "low": low if true else None, "high": 1.0}
    return {
        **HEAD,
        "kind": "dedup",
        "inputs": {"store": store} if store else {},
        "threshold": threshold,
        "coverage": coverage(measured, total),
        "findings": [],
        "results": {
            "conclusive": conclusive,
            "reasons": [] if conclusive else ["cut short"],
            "headline": "",
            **dict.fromkeys(("images", "kept", "dropped", "unreadable"), 0),
            "pairs_added_by_clustering": list(added),
            "recall": {"sampled": sampled, "census": census, "by_pair": estimate, "by_image": estimate},
        },
    }


REFUSED = r"^report r\.json lacks a figure|^r\.json is no valid report: [\w.]+: expected .*, found "


def outcomes(results: list[RuleResult]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for result in results:
        found.setdefault(result.rule, []).append(result.outcome)
    return found


def verdict(report: Report, policy: Policy) -> Verdict:
    return verdict_of(judge("report.json", report, policy))


def case(name: str, report: Report, policy: Report, expected: Verdict, **not_passed: list[Verdict]) -> Any:
    """A report, changes to the default policy, the verdict, and the outcomes of the rules that do not pass."""
    return pytest.param(report, policy, expected, not_passed, id=name)


NO_CONTROL = {"min_controls": 0}
FINDING = {"max_findings": [FAIL], "max_near_duplicate": [FAIL]}
UNLISTED = {f"max_{kind}": [OPEN] for kind in ("verbatim", "template", "near_duplicate", "partial")}
AUDITS = [
    case("clean", {}, {}, PASS),
    case("clean with pairs", {"paired": (0, 5000, 5000)}, {}, PASS),
    case("one finding", {"findings": 1}, {}, FAIL, **FINDING),
    case("one finding allowed", {"findings": 1}, {"max_findings": 1}, PASS),
    case("two, one allowed", {"findings": 2}, {"max_findings": 1}, FAIL, **FINDING),
    case("listed but not counted", {"listed": 3}, {}, FAIL, **FINDING),
    case("counted but not listed", {"findings": 3, "listed": 0}, {}, FAIL, max_findings=[FAIL], **UNLISTED),
    case("only the paired test found it", {"paired": (1, 5000, 5000)}, {}, FAIL, max_findings=[FAIL]),
    case("all regurgitated", {"findings": 5000}, {}, FAIL, **FINDING, max_rate=[FAIL]),
    case("all regurgitated, all allowed", {"findings": 5000}, {"max_findings": 5000, "max_rate": 1}, PASS),
    case("rate above the limit", {"findings": 100}, {"max_findings": 999}, FAIL, max_rate=[FAIL]),
    case("rate near the limit", {"findings": 45}, {"max_findings": 999}, OPEN, max_rate=[OPEN]),
    case("rate shown to be below", {"findings": 30}, {"max_findings": 999}, PASS),
    case("too few to show 1 %", {"n": 298}, {}, OPEN, max_rate=[OPEN]),
    case("enough to show 1 %", {"n": 299}, {}, PASS),
    case("too few at 99 %", {"n": 299}, {"confidence": 0.99}, OPEN, max_rate=[OPEN]),
    case("enough at 99 %", {"n": 459}, {"confidence": 0.99}, PASS),
    case("a single generation", {"n": 1}, {}, OPEN, max_rate=[OPEN]),
    case("a single generation, any rate allowed", {"n": 1}, {"max_rate": 1.0}, PASS),
    case("no rate can be shown to be 0", {}, {"max_rate": 0}, OPEN, max_rate=[OPEN]),
    case(
        "a finding where the rate must be 0", {"findings": 1}, {"max_rate": 0, "max_findings": 9}, FAIL, max_rate=[FAIL]
    ),
    case("an absurdly small rate", {}, {"max_rate": 1e-300}, OPEN, max_rate=[OPEN]),
    case("coverage at the limit", {"n": 990, "total": 1000}, {}, PASS),
    case("coverage below", {"n": 989, "total": 1000}, {}, OPEN, min_coverage=[OPEN]),
    case("coverage below, less wanted", {"n": 989, "total": 1000}, {"min_coverage": 0.9}, PASS),
    case("all wanted", {"n": 4999, "total": 5000}, {"min_coverage": 1}, OPEN, min_coverage=[OPEN]),
    case(
        "a finding outweighs low coverage",
        {"findings": 1, "n": 500, "total": 1000},
        {},
        FAIL,
        **FINDING,
        min_coverage=[OPEN],
    ),
    case("nothing measured", {"n": 0, "total": 1000}, {}, OPEN, max_rate=[OPEN], min_coverage=[OPEN]),
    case("nothing at all", {"n": 0, "total": 0}, {}, OPEN, max_rate=[OPEN], min_coverage=[OPEN]),
    case(
        "nothing at all, nothing wanted",
        {"n": 0, "total": 0},
        {"min_coverage": 0, "max_rate": 1, **NO_CONTROL},
        OPEN,
        min_coverage=[OPEN],
    ),
    case(
        "none of a thousand, nothing wanted",
        {"n": 0, "total": 1000},
        {"min_coverage": 0, "max_rate": 1, **NO_CONTROL},
        OPEN,
        min_coverage=[OPEN],
    ),
    case("more measured than there was", {"n": 5000, "total": 4000}, {}, OPEN, min_coverage=[OPEN]),
    case("prompt pairs not measured", {"paired": (0, 900, 1000)}, {}, OPEN, min_coverage=[PASS, OPEN]),
    case("training images not read", {"references": (989, 1000)}, {}, OPEN, min_reference_coverage=[OPEN]),
    case("training images at the limit", {"references": (990, 1000)}, {}, PASS),
    case(
        "no training image", {"references": (0, 0)}, {"min_reference_coverage": 0}, OPEN, min_reference_coverage=[OPEN]
    ),
    case("no control", {"controls": None}, {}, OPEN, min_controls=[OPEN]),
    case("no control wanted", {"controls": None}, NO_CONTROL, PASS),
    case("99 controls", {"controls": 99}, {}, OPEN, min_controls=[OPEN]),
    case("100 controls", {"controls": 100}, {}, PASS),
    case("an empty control", {"controls": 0}, {}, OPEN, min_controls=[OPEN]),
    case("all controls but one usable", {"controls": 100, "excluded": 1}, {}, OPEN, min_controls=[OPEN]),
    case("enough controls left", {"controls": 101, "excluded": 1}, {}, PASS),
    case("no control usable", {"controls": 500, "excluded": 500}, {}, OPEN, min_controls=[OPEN]),
    case("no control usable, none wanted", {"controls": 500, "excluded": 500}, NO_CONTROL, PASS),
    case("a control without exclusions", {"controls": 100, "excluded": None}, {}, PASS),
    case("looked for exact copies only", {"threshold": 1.0}, {}, OPEN, threshold=[OPEN]),
    case("just above the encoder's threshold", {"threshold": 0.7501}, {}, OPEN, threshold=[OPEN]),
    case("below the encoder's threshold", {"threshold": 0.5}, {}, PASS),
    case("above the encoder's, allowed", {"threshold": 0.9}, {"max_threshold": 0.9}, PASS),
    case("the encoder's, less wanted", {}, {"max_threshold": 0.5}, OPEN, threshold=[OPEN]),
    case("any threshold allowed", {"threshold": 1.0}, {"max_threshold": 1}, PASS),
    case(
        "a finding outweighs the threshold",
        {"findings": 1, "threshold": 1.0},
        {},
        FAIL,
        **FINDING,
        threshold=[OPEN],
    ),
    case("calls itself inconclusive", {"conclusive": False}, {}, OPEN, conclusive=[OPEN]),
    case(
        "inconclusive and a finding",
        {"conclusive": False, "findings": 1},
        {},
        FAIL,
        conclusive=[OPEN],
        **FINDING,
    ),
    case(
        "inconclusive whatever the policy",
        {"conclusive": False},
        {"min_coverage": 0, "max_rate": 1, **NO_CONTROL},
        OPEN,
        conclusive=[OPEN],
    ),
]
DEDUPS = [
    case("good recall", {}, {}, PASS),
    case("recall at the limit", {"low": 0.99}, {}, PASS),
    case("bound below, value above", {"low": 0.98}, {}, OPEN, min_recall=[OPEN]),
    case("value below", {"found": 900, "low": 0.88}, {}, FAIL, min_recall=[FAIL]),
    case("value below, less wanted", {"found": 900, "low": 0.88}, {"min_recall": 0.85}, PASS),
    case("nothing found", {"found": 0, "low": 0.0}, {}, FAIL, min_recall=[FAIL]),
    case("no pairs in a census", {"true": 0, "found": 0, "census": True, "added": (0,)}, {}, PASS),
    case("no pairs in the sample, none found", {"true": 0, "found": 0, "added": (0, 0)}, {}, PASS),
    case("no pairs in the sample, some found", {"true": 0, "found": 0, "added": (0, 4)}, {}, OPEN, min_recall=[OPEN]),
    case(
        "no pairs in a small sample",
        {"true": 0, "found": 0, "sampled": 298, "added": (0,)},
        {},
        OPEN,
        min_recall=[OPEN],
    ),
    case("no pairs in as many as show it", {"true": 0, "found": 0, "sampled": 299, "added": (0,)}, {}, PASS),
    case("no sample", {"true": 0, "found": 0, "sampled": 0, "added": (0,)}, {}, OPEN, min_recall=[OPEN]),
    case("images not read", {"measured": 980}, {}, OPEN, min_coverage=[OPEN]),
    case("no image", {"measured": 0, "total": 0}, {}, OPEN, min_coverage=[OPEN]),
    case(
        "low recall outweighs low coverage",
        {"found": 500, "low": 0.45, "measured": 500},
        {},
        FAIL,
        min_recall=[FAIL],
        min_coverage=[OPEN],
    ),
    case("calls itself inconclusive", {"conclusive": False}, {}, OPEN, conclusive=[OPEN]),
    case("looked for exact copies only", {"threshold": 0.99999}, {}, OPEN, threshold=[OPEN]),
    case("exact copies only, allowed", {"threshold": 0.99999}, {"max_threshold": 1}, PASS),
    case("just above the encoder's threshold", {"threshold": 0.7501}, {}, OPEN, threshold=[OPEN]),
    case("below the encoder's threshold", {"threshold": 0.5}, {}, PASS),
    case("the encoder's, less wanted", {}, {"max_threshold": 0.5}, OPEN, threshold=[OPEN]),
]


def exceptions(results: list[RuleResult]) -> dict[str, list[Verdict]]:
    return {rule: found for rule, found in outcomes(results).items() if set(found) != {PASS}}


@pytest.mark.parametrize(("report", "policy", "expected", "not_passed"), AUDITS)
def test_audit_rules(
    report: dict[str, Any], policy: dict[str, Any], expected: Verdict, not_passed: dict[str, list[Verdict]]
) -> None:
    """Each combination of report and policy has the verdict, and the outcome of every rule, that docs promise."""
    results = judge("r", audit_report(**report), Policy(audit=replace(AuditPolicy(), **policy)))
    assert exceptions(results) == not_passed
    assert verdict_of(results) is expected
    assert all(result.sentence.endswith(".") and result.report == "r" for result in results)


@pytest.mark.parametrize(("report", "policy", "expected", "not_passed"), DEDUPS)
def test_dedup_rules(
    report: dict[str, Any], policy: dict[str, Any], expected: Verdict, not_passed: dict[str, list[Verdict]]
) -> None:
    """The same for dedup."""
    results = judge("r", dedup_report(**report), Policy(dedup=replace(DedupPolicy(), **policy)))
    assert exceptions(results) == not_passed
    assert verdict_of(results) is expected
    assert all(result.sentence.endswith(".") for result in results)


EVERYTHING = Policy(
    AuditPolicy(
        max_verbatim=0, min_verified_coverage=1.0, min_face_p=0.01, max_without_face=1.0, max_miss_probability=0.3
    ),
    gate=GatePolicy(max_age_days=30, encoders=("sscd",), training_sets=("s1",), calibrations=("c1",)),
    baseline=BaselinePolicy(release="0" * 64),
)


def judged_with_everything() -> set[str]:
    """The names of all rules, each switched on."""
    audit = {**audit_report(paired=(0, 9, 9)), "created": "2026-01-01T00:00:00+00:00", "encoder": None}
    both = [("a", {**audit, "encoder": FULL_ENCODER}), ("d", {**dedup_report(), "encoder": FULL_ENCODER})]
    every = [*both, ("f", applied()), ("w", weighed())]
    return set(outcomes(list(held(every, EVERYTHING, baseline=both[0][1] | {"digest": "1" * 64}).rules)))


def test_every_rule_of_the_policy_is_judged() -> None:
    """No limit can be written into a policy that nothing looks at."""
    sections = (AuditPolicy(), DedupPolicy(), GatePolicy(), BaselinePolicy(), FilterPolicy(), ReweightPolicy())
    limits = {name for section in sections for name in vars(section)}
    limits -= {"confidence", "max_threshold", "planted", "reviewers", "kinds"}
    assert judged_with_everything() == limits | {"conclusive", "threshold"}


def test_a_rule_without_a_limit_is_not_judged() -> None:
    """What the default policy comments out does not appear, neither as a pass."""
    judged = set(outcomes(judge_all([("a", audit_report()), ("d", dedup_report())], Policy())))
    switched_off = {"min_face_p", "max_age_days", "encoders", "training_sets"}
    switched_off |= {"calibrations", "max_miss_probability"}
    assert judged & switched_off == set()


def test_every_rule_is_documented() -> None:
    """The table of docs/protocols/gate.md has a row for each rule that a result can name."""
    table = (Path(__file__).parents[2] / "docs" / "protocols" / "gate.md").read_text()
    rows = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| "))
    assert {rule for rule in judged_with_everything() if rule not in rows} == set()


def test_sentences_say_what_was_not_shown() -> None:
    """Who reads the verdict learns why, with the figures."""
    results = judge("r", audit_report(threshold=1.0, controls=150, excluded=60), Policy())
    sentences = {result.rule: result.sentence for result in results}
    assert sentences["threshold"] == (
        "The audit looked for similarity >= 1.0; at most 0.75 is asked for: weaker copies would not have been found."
    )
    assert sentences["min_controls"] == (
        "90 held-out images were scored as a control (60 more are near-duplicates of training images, and are no "
        "control); 100 are needed."
    )


A, A2, D, D2 = audit_report(), audit_report(store="s2"), dedup_report(), dedup_report(store="s2")
UNBEGUN_AUDIT, UNBEGUN_DEDUP = (inconclusive_report(kind, "no image was found").content for kind in ("audit", "dedup"))
TOGETHER: list[Any] = [
    # reports, [gate], verdict, outcomes of "require", outcomes of "same_training_set"
    ([A], {}, PASS, [PASS], []),
    ([D], {}, OPEN, [OPEN], []),
    ([], {}, OPEN, [OPEN], []),
    ([], {"require": ()}, OPEN, [], []),
    ([D], {"require": ()}, PASS, [], []),
    ([D], {"require": ("dedup",)}, PASS, [PASS], []),
    ([A], {"require": ("dedup",)}, OPEN, [OPEN], []),
    ([A], {"require": ("audit", "dedup")}, OPEN, [PASS, OPEN], []),
    ([D], {"require": ("dedup", "dedup")}, PASS, [PASS], []),
    ([], {"require": ("audit", "dedup")}, OPEN, [OPEN, OPEN], []),
    ([A, D], {"require": ("audit", "dedup")}, PASS, [PASS, PASS], [PASS]),
    ([A, D], {}, PASS, [PASS], [PASS]),
    ([D, A], {}, PASS, [PASS], [PASS]),
    ([A2, D], {}, OPEN, [PASS], [OPEN]),
    ([A2, D], {"same_training_set": False}, PASS, [PASS], []),
    ([A, A2, D], {}, OPEN, [PASS], [OPEN]),
    ([A, A2, D, D2], {}, PASS, [PASS], [PASS]),
    ([A, D, D2], {}, PASS, [PASS], [PASS]),
    ([A, audit_report(store=None), D], {}, OPEN, [PASS], [OPEN]),
    ([audit_report(store=None), dedup_report(store=None)], {}, OPEN, [PASS], [OPEN]),
    ([audit_report(store="s2", conclusive=False), D], {}, OPEN, [PASS], [OPEN]),
    ([UNBEGUN_AUDIT, D], {}, OPEN, [PASS], []),
    ([A, UNBEGUN_DEDUP], {}, OPEN, [PASS], []),
    ([A, A2, UNBEGUN_AUDIT, D], {}, OPEN, [PASS], [OPEN]),
    ([audit_report(findings=1, store="s2"), D], {}, FAIL, [PASS], [OPEN]),
    ([dedup_report(found=0, low=0.0)], {}, FAIL, [OPEN], []),
]


@pytest.mark.parametrize(("reports", "policy", "expected", "require", "same"), TOGETHER)
def test_rules_on_all_reports(
    reports: list[Report], policy: dict[str, Any], expected: Verdict, require: list[Verdict], same: list[Verdict]
) -> None:
    """A dedup report alone is no audited release, nor are an audit and a dedup run of different training sets."""
    limits = Policy(gate=replace(GatePolicy(), **policy))
    results = judge_all([(f"r{number}.json", report) for number, report in enumerate(reports)], limits)
    assert verdict_of(results) is expected
    assert outcomes(results).get("require", []) == require
    assert outcomes(results).get("same_training_set", []) == same
    together = [result for result in results if result.rule in vars(GatePolicy())]
    assert all(result.report == "all reports" and result.sentence.endswith(".") for result in together)


def test_what_is_missing_is_named() -> None:
    """The kind of report that was not given, and the audit that has no dedup report."""
    (missing,) = judge_all([], Policy())
    assert missing.sentence == "No report of memaudit audit was given, and the policy requires one."
    *_, same = judge_all([("a1.json", A), ("a2.json", A2), ("d.json", D)], Policy())
    assert same.sentence == "No dedup report is about the training set of a2.json."


@pytest.mark.parametrize("report", [A, A2, D, D2, UNBEGUN_AUDIT, UNBEGUN_DEDUP])
def test_judging_together_keeps_the_results_of_each(report: Report) -> None:
    """What is judged across reports comes on top, and takes nothing away."""
    results = judge_all([("r", report), ("s", A)], Policy())
    alone = [*judge("r", report, Policy()), *judge("s", A, Policy())]
    assert results[: len(alone)] == alone
    assert ORDER[verdict_of(results)] >= ORDER[verdict_of(alone)]


@pytest.mark.parametrize("kind", ["audit", "dedup", "filter", "reweight"])
def test_a_run_that_measured_nothing_never_passes(kind: str) -> None:
    """Trap "an empty input scored as perfect": the report of a run that could not begin, under the mildest policy."""
    nothing = FilterPolicy(0.0, False, 1.0, 0.0), ReweightPolicy(0.0, 0.0, 0.0)
    mild = Policy(
        AuditPolicy(10**9, 1.0, 0.5, 0.0, 0.0, 0), DedupPolicy(0.0, 0.0), filter=nothing[0], reweight=nothing[1]
    )
    results = judge("r", inconclusive_report(kind, "a shard is missing").content, mild)
    assert verdict_of(results) is OPEN
    assert "a shard is missing" in results[0].sentence


def test_no_report_is_inconclusive() -> None:
    """Trap "an empty input scored as perfect": no rule judged is no pass."""
    assert verdict_of([]) is OPEN


def test_verdicts_of_several_reports_join() -> None:
    """One failed report fails the release, else one inconclusive report leaves it open."""
    clean, bad, unsure = audit_report(), audit_report(findings=1), dedup_report(low=0.5)
    for reports, expected in (([clean, bad, unsure], FAIL), ([clean, unsure], OPEN), ([clean], PASS)):
        assert verdict_of(judge_all([("r", report) for report in reports], Policy())) is expected


def test_exit_codes() -> None:
    """0 pass, 1 fail, 3 inconclusive: CI tells them apart."""
    assert [v.exit_code for v in (PASS, FAIL, OPEN)] == [0, 1, 3]


# --- monotony ------------------------------------------------------------------------------------------------------

policies = st.builds(
    AuditPolicy,
    st.integers(0, 20),
    st.floats(0, 1),
    st.floats(0.5, 0.999),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 200),
    st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)
ORDER = {PASS: 0, OPEN: 1, FAIL: 2}


@st.composite
def audits(draw: st.DrawFn) -> dict[str, Any]:
    total = draw(st.integers(1, 5000))
    n = draw(st.integers(0, total))
    paired_total = draw(st.integers(1, 1000))
    paired_n = draw(st.integers(0, paired_total))
    with_pairs = draw(st.booleans())
    controls = draw(st.none() | st.integers(0, 300))
    return {
        "findings": draw(st.integers(0, min(n, 30))),
        "n": n,
        "total": total,
        "paired": (draw(st.integers(0, min(paired_n, 5))), paired_n, paired_total) if with_pairs else None,
        "references": (draw(st.integers(0, 100)), 100),
        "controls": controls,
        "excluded": draw(st.integers(0, controls or 0)),
        "threshold": draw(st.sampled_from([0.3, 0.6, 0.75, 0.9])),
        "conclusive": draw(st.booleans()),
    }


@settings(max_examples=300, deadline=None)
@given(audits(), policies)
def test_one_finding_more_never_improves_the_verdict(report: dict[str, Any], policy: AuditPolicy) -> None:
    """A fail never becomes a pass or open, and an open one never a pass, by finding more."""
    if report["findings"] == report["n"]:
        return
    before = verdict(audit_report(**report), Policy(audit=policy))
    after = verdict(audit_report(**{**report, "findings": report["findings"] + 1}), Policy(audit=policy))
    assert ORDER[after] >= ORDER[before]


@settings(max_examples=300, deadline=None)
@given(audits(), policies, st.sampled_from(["n", "references", "controls", "excluded", "threshold", "paired"]))
def test_measuring_less_never_leads_to_a_pass(report: dict[str, Any], policy: AuditPolicy, what: str) -> None:
    """Fewer generations, pairs, training images, controls, or a higher threshold never turn a gate into a pass."""
    less = dict(report)
    if what == "n" and report["n"] > report["findings"]:
        less["n"] -= 1
    elif what == "references" and report["references"][0]:
        less["references"] = (report["references"][0] - 1, 100)
    elif what == "controls" and (report["controls"] or 0) > report["excluded"]:
        less["controls"] -= 1
    elif what == "excluded" and (report["controls"] or 0) > report["excluded"]:
        less["excluded"] += 1
    elif what == "threshold":
        less["threshold"] += 0.1
    elif what == "paired" and report["paired"] and report["paired"][1] > report["paired"][0]:
        less["paired"] = (report["paired"][0], report["paired"][1] - 1, report["paired"][2])
    before, after = (verdict(audit_report(**r), Policy(audit=policy)) for r in (report, less))
    if before is not PASS:
        assert after is not PASS


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([A, A2, D, D2, UNBEGUN_AUDIT, UNBEGUN_DEDUP]), max_size=4),
    st.lists(st.sampled_from(["audit", "dedup"]), max_size=2).map(tuple),
    st.sampled_from([1, 5000]),
)
def test_a_finding_or_a_further_rule_never_helps(
    reports: list[Report], require: tuple[str, ...], findings: int
) -> None:
    """Among several reports: neither a finding in one of them nor a rule switched on makes the verdict better."""
    strict, lenient = Policy(gate=GatePolicy(require)), Policy(gate=GatePolicy((), same_training_set=False))
    named = [(f"r{number}", report) for number, report in enumerate(reports)]
    before = ORDER[verdict_of(judge_all(named, strict))]
    assert before >= ORDER[verdict_of(judge_all(named, lenient))]
    worse = [(name, audit_report(findings) if report is A else report) for name, report in named]
    assert ORDER[verdict_of(judge_all(worse, strict))] >= before


@settings(max_examples=200, deadline=None)
@given(audits(), policies)
def test_an_inconclusive_audit_never_passes(report: dict[str, Any], policy: AuditPolicy) -> None:
    """Whatever the figures and the policy."""
    assert verdict(audit_report(**{**report, "conclusive": False}), Policy(audit=policy)) is not PASS


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 500), st.data(), st.floats(0, 1), st.floats(0, 1))
def test_missing_one_pair_more_never_improves_the_verdict(
    true: int, data: st.DataObject, min_recall: float, low: float
) -> None:
    """Nor does a lower bound of the recall that is lower."""
    found = data.draw(st.integers(1, true))
    policy = Policy(dedup=DedupPolicy(min_recall=min_recall))
    bound = low * found / true
    before = verdict(dedup_report(found, true, bound), policy)
    assert ORDER[verdict(dedup_report(found - 1, true, bound * (found - 1) / found), policy)] >= ORDER[before]


# --- reports that are not what they should be ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r["results"].pop("references"),
        lambda r: r["results"].pop("control"),
        lambda r: r["results"].pop("paired"),
        lambda r: r["results"].update(searched={}),
        lambda r: r["results"].update(searched=[]),
        lambda r: r["results"].update(searched=None),
        lambda r: r["results"].update(searched="none"),
        lambda r: r["results"].update(paired={"count": "x"}),
        lambda r: r["results"].update(control={"matched": {"n": None}}),
        lambda r: r["results"]["control"].update(excluded_controls=None),
        lambda r: r["results"]["control"].update(excluded_controls="3"),
        lambda r: r["results"]["control"].update(excluded_controls=-1),
        lambda r: r["results"]["control"].update(excluded_controls=501),
        lambda r: r["results"]["control"].update(excluded_controls=float("nan")),
        lambda r: r.pop("threshold"),
        lambda r: r.update(threshold=None),
        lambda r: r.update(threshold="0.75"),
        lambda r: r.update(encoder=None),
        lambda r: r["results"]["searched"]["coverage"].update(measured=10**400),
        lambda r: r["results"]["searched"].update(count="5"),
        lambda r: r["results"]["searched"].update(count=True),
        lambda r: r["results"]["searched"].update(count=-1),
        lambda r: r["results"].update(references={"measured": True, "total": True}),
        lambda r: r["results"].update(references={"measured": 1, "total": "many"}),
    ],
)
def test_a_report_without_the_figures_is_one_line(change: Any) -> None:
    """The schema lets an inconclusive report lack its figures: an InputError, no traceback and no pass."""
    report = audit_report(conclusive=False)
    change(report)
    with pytest.raises(InputError, match=REFUSED) as caught:
        judge("r.json", report, Policy())
    assert "\n" not in str(caught.value)


def test_a_dedup_report_without_the_figures_is_one_line() -> None:
    """The same for a recall without its bound."""
    report = dedup_report(low=None)
    with pytest.raises(InputError, match=REFUSED):
        judge("r.json", report, Policy())


@pytest.mark.parametrize(
    "change",
    [
        {"found": 1001},
        {"found": 500},
        {"value": 0.5},
        {"low": 1.0, "found": 999, "value": 0.999},
        {"total": 0, "found": 0},
        {"total": True},
        {"total": 10**13},
        {"low": float("nan")},
        {"value": None},
    ],
)
def test_a_recall_that_its_counts_do_not_give_is_refused(change: dict[str, Any]) -> None:
    """Found of total, value and bound say one thing, or nothing is judged."""
    report = dedup_report()
    report["results"]["recall"]["by_pair"].update(change)
    with pytest.raises(InputError, match=REFUSED):
        judge("r.json", report, Policy())


def test_impossible_counts_are_no_pass() -> None:
    """Five findings of three generations is refused, and not a rate of 167 %."""
    report = audit_report()
    report["results"]["searched"]["count"] = 5001
    with pytest.raises(InputError, match="impossible"):
        judge("r.json", report, Policy())


# --- policies ------------------------------------------------------------------------------------------------------


def policy_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_default_policy_text_is_the_default_policy(tmp_path: Path) -> None:
    """What --init writes changes nothing until somebody edits it."""
    assert read_policy(policy_file(tmp_path, DEFAULT_POLICY)) == Policy()


def test_every_rule_that_is_off_can_be_switched_on(tmp_path: Path) -> None:
    """Taking the "# " away, as the default policy says, gives a policy with all of them."""
    text = re.sub(r"^# (\w+ =)", r"\1", DEFAULT_POLICY, flags=re.MULTILINE)
    read = read_policy(policy_file(tmp_path, text))
    assert all(limit is not None for section in vars(read).values() for limit in vars(section).values())
    assert read.audit.max_verbatim == 0


def test_an_empty_policy_is_the_default_one(tmp_path: Path) -> None:
    """A rule that is not written has its default, and is not switched off."""
    assert read_policy(policy_file(tmp_path, "")) == Policy()
    assert read_policy(policy_file(tmp_path, "[gate]\n[audit]\n[dedup]\n")) == Policy()


def test_limits_are_read(tmp_path: Path) -> None:
    """Whole numbers are shares as well: 1 means all."""
    read = read_policy(policy_file(tmp_path, "[audit]\nmax_rate = 1\nmax_findings = 7\n[dedup]\nmin_recall = 0.5\n"))
    assert read == Policy(AuditPolicy(max_findings=7, max_rate=1), DedupPolicy(min_recall=0.5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[gate]\nrequire = []\n", Policy(gate=GatePolicy(require=()))),
        ('[gate]\nrequire = ["dedup"]\n', Policy(gate=GatePolicy(require=("dedup",)))),
        ('[gate]\nrequire = ["dedup", "audit"]\n', Policy(gate=GatePolicy(require=("dedup", "audit")))),
        ("[gate]\nsame_training_set = false\n", Policy(gate=GatePolicy(same_training_set=False))),
        ("[audit]\nmax_threshold = 0.9\n", Policy(AuditPolicy(max_threshold=0.9))),
        ("[audit]\nmax_threshold = 0\n", Policy()),
    ],
)
def test_rules_of_other_types_are_read(tmp_path: Path, text: str, expected: Policy) -> None:
    """Lists of kinds, true and false."""
    assert read_policy(policy_file(tmp_path, text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[audit]\nmax_finding = 3\n", "unknown rule in [audit] 'max_finding': did you mean 'max_findings'?"),
        ("[audit]\nmin_recall = 0.9\n", "unknown rule in [audit] 'min_recall'"),
        ("[dedup]\nmin_recal = 0.9\n", "did you mean 'min_recall'?"),
        ("[dedup]\nzzz = 1\n", "expected one of min_recall, min_coverage, copy_detection, max_threshold"),
        ("[audits]\n", "unknown section 'audits': did you mean 'audit'?"),
        ("max_rate = 0.1\n", "unknown section 'max_rate'"),
        ("audit = 3\n", "audit must be a section [audit]"),
        ("audit = [1]\n", "audit must be a section [audit]"),
        ("[[audit]]\nmax_rate = 0.1\n", "audit must be a section [audit]"),
        ("[audit]\nmax_rate = 1.5\n", "max_rate = 1.5 must be a share between 0 and 1"),
        ("[audit]\nmax_rate = -0.1\n", "max_rate = -0.1 must be a share"),
        ("[audit]\nmax_rate = nan\n", "max_rate = nan must be a share"),
        ("[audit]\nmax_rate = inf\n", "max_rate = inf must be a share"),
        ('[audit]\nmax_rate = "0.01"\n', "max_rate = '0.01' must be a share"),
        ("[audit]\nmax_rate = true\n", "max_rate = True must be a share"),
        ("[audit]\nmin_coverage = 99\n", "min_coverage = 99 must be a share"),
        ("[audit]\nmax_findings = 1.5\n", "max_findings = 1.5 must be a whole number"),
        ("[audit]\nmax_findings = -1\n", "max_findings = -1 must be a whole number"),
        ("[audit]\nmax_findings = false\n", "max_findings = False must be a whole number"),
        ("[audit]\nmax_findings = inf\n", "max_findings = inf must be a whole number"),
        ("[audit]\nmin_controls = [100]\n", "min_controls = [100] must be a whole number"),
        ("[audit]\nconfidence = 1\n", "confidence = 1 must be at least 0.5 and below 1"),
        ("[audit]\nconfidence = 0.0\n", "confidence = 0.0 must be at least 0.5 and below 1"),
        ("[audit]\nconfidence = 0.01\n", "confidence = 0.01 must be at least 0.5"),
        ("[baseline]\nconfidence = 0.49\n", "confidence = 0.49 must be at least 0.5"),
        ("[dedup]\nmin_recall = 2024-01-01\n", "must be a share"),
        ("[audit]\nmax_threshold = 1.1\n", "max_threshold = 1.1 must be a share"),
        ("[audit]\nmax_threshold = -0.1\n", "max_threshold = -0.1 must be a share"),
        ("[audit]\nmax_threshold = true\n", "max_threshold = True must be a share"),
        ('[audit]\nmax_threshold = "0.5"\n', "max_threshold = '0.5' must be a share"),
        ("[audit]\nmax_threshold = [0.5]\n", "max_threshold = [0.5] must be a share"),
        ("gate = true\n", "gate must be a section [gate]"),
        ("[gates]\n", "unknown section 'gates': did you mean 'gate'?"),
        ("[gate]\nrequires = []\n", "did you mean 'require'?"),
        ("[gate]\nmax_findings = 1\n", "unknown rule in [gate] 'max_findings'"),
        ('[gate]\nrequire = "audit"\n', "require = 'audit' must be a list of 'audit', 'dedup', 'faces'"),
        ('[gate]\nrequire = ["audits"]\n', "require = ['audits'] must be a list of"),
        ('[gate]\nrequire = ["audit", 1]\n', "require = ['audit', 1] must be a list of"),
        ('[gate]\nrequire = [["audit"]]\n', "require = [['audit']] must be a list of"),
        ('[gate]\nrequire = [{audit = "audit"}]\n', "must be a list of"),
        ("[gate]\nrequire = {audit = true}\n", "must be a list of"),
        ("[gate]\nrequire = true\n", "require = True must be a list of"),
        ("[gate]\nrequire = 1\n", "require = 1 must be a list of"),
        ("[gate]\nsame_training_set = 1\n", "same_training_set = 1 must be true or false"),
        ("[gate]\nsame_training_set = 0.0\n", "same_training_set = 0.0 must be true or false"),
        ('[gate]\nsame_training_set = "true"\n', "same_training_set = 'true' must be true or false"),
        ("[gate]\nsame_training_set = []\n", "same_training_set = [] must be true or false"),
    ],
)
def test_a_wrong_limit_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """A rule that is misspelt would otherwise be a rule that is not there."""
    with pytest.raises(UsageError) as caught:
        read_policy(policy_file(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[audit", "a = ", b"\xff\xfe", "[audit]\nmax_rate = 0.1\nmax_rate = 0.2\n"])
def test_what_is_no_toml_is_one_line(tmp_path: Path, text: str | bytes) -> None:
    """Damaged files, other encodings, a rule given twice."""
    with pytest.raises(InputError, match="policy") as caught:
        read_policy(policy_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_absent_policy_is_one_line(tmp_path: Path) -> None:
    """A policy that is named and not there is not the default one."""
    for path in (tmp_path / "no.toml", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_policy(path)


# --- lightness -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["memaudit.gate", "memaudit.report.document", "memaudit.statistics"])
def test_a_job_that_only_gates_stays_light(module: str) -> None:
    """Neither torch nor faiss, open_clip or onnxruntime are loaded to hold a report against a policy."""
    code = f"import sys, {module}; print(*{{'torch', 'faiss', 'open_clip', 'onnxruntime'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_a_share_is_rounded_down() -> None:
    """98.9996 % does not look like the 99 % that it falls short of."""
    results = {each.rule: each for each in judge("r", audit_report(n=989_996, total=1_000_000), Policy())}
    assert (results["min_coverage"].figure, results["min_coverage"].outcome) == ("98.99%", OPEN)
