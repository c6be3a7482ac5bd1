"""Kinds at the gate: each has a limit, and `kinds` says which count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gated import Gate
from reports import Report, audit, finding, held, redrawn, sealed

from memaudit.gate import AuditPolicy, GateResult, Policy, Verdict
from memaudit.matching.kinds import ALL, COPIES, Kind

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
RULES = {
    Kind.VERBATIM: "max_verbatim",
    Kind.TEMPLATE: "max_template",
    Kind.NEAR: "max_near_duplicate",
    Kind.PARTIAL: "max_partial",
}


def of_kind(number: int, kind: str, **more: Any) -> Report:
    return finding(number, kind=str(kind), verified=kind != Kind.NEAR, **more)


def counted(*kinds: str, **limits: Any) -> Policy:
    return Policy(audit=replace(AuditPolicy(), kinds=tuple(map(str, kinds)), **limits))


def outcomes(result: GateResult) -> dict[str, Verdict]:
    return {rule.rule: rule.outcome for rule in result.rules if rule.outcome is not PASS}


@pytest.mark.parametrize("kind", RULES)
def test_a_finding_is_named_by_the_limit_of_its_kind(kind: Kind) -> None:
    """And by no other's: who reads the table learns what came back."""
    result = held([("a", audit(found=[of_kind(1, kind)]))], Policy())
    assert outcomes(result) == {"max_findings": FAIL, RULES[kind]: FAIL}
    assert {rule.rule for rule in result.rules}.issuperset([*RULES.values(), "max_redrawn_rate"])


@pytest.mark.parametrize(
    ("kind", "passes"), [(Kind.VERBATIM, False), (Kind.TEMPLATE, False), (Kind.NEAR, True), (Kind.PARTIAL, True)]
)
def test_the_graver_are_held_to_more_than_all_findings_are(kind: Kind, passes: bool) -> None:
    """Where a policy allows findings, it allows no verbatim copy and no template until it says so."""
    allowing = held([("a", audit(found=[of_kind(1, kind)]))], counted(*ALL, max_findings=3))
    assert (allowing.verdict is PASS) == passes
    named = held([("a", audit(found=[of_kind(1, kind)]))], counted(*ALL, max_findings=3, **{RULES[kind]: 1}))
    assert named.verdict is PASS


def test_what_nobody_compared_is_no_proof_of_few_of_a_kind() -> None:
    unseen = held([("a", audit(found=[finding(1, probability=None)]))], counted(*ALL, max_findings=3))
    assert outcomes(unseen) == {"max_verbatim": OPEN, "max_template": OPEN}


@pytest.mark.parametrize("kind", [Kind.VERBATIM, Kind.TEMPLATE, Kind.PARTIAL])
def test_a_kind_that_does_not_count_stands_in_no_rule_and_is_said(kind: Kind) -> None:
    """Its rate goes as well, and it is listed all the same."""
    report = audit(300, [of_kind(n, kind) for n in range(4)], counted_kinds=[*map(str, ALL)])
    others = [each for each in ALL if each is not kind]
    result = held([("a", report)], counted(*others))
    assert outcomes(result) == {}
    assert result.headline == f"pass: Not counted: {kind} 4."
    assert RULES[kind] not in {rule.rule for rule in result.rules}
    assert len(result.findings) == 4
    assert not result.counted
    assert all(each.label.endswith("not counted") for each in result.findings)
    (rate,) = [rule for rule in result.rules if rule.rule == "max_rate"]
    assert "at most 1" in rate.sentence
    assert held([("a", report)], Policy()).verdict is FAIL


def test_what_may_be_of_any_kind_counts() -> None:
    """A near-duplicate that nobody compared may be verbatim; so may the second match of a generation, in a report that
    does not say."""
    unseen = held([("a", audit(found=[finding(1, probability=None)]))], counted(Kind.VERBATIM, Kind.TEMPLATE))
    assert outcomes(unseen)["max_findings"] is FAIL
    two = of_kind(1, Kind.PARTIAL, matches=2)
    assert held([("a", audit(found=[two]))], counted(Kind.VERBATIM)).verdict is FAIL
    told = audit(found=[two], counted_kinds=[*map(str, ALL)])
    assert held([("a", told)], counted(Kind.VERBATIM)).verdict is PASS


def test_what_is_of_several_kinds_counts_as_the_gravest_that_does() -> None:
    both = of_kind(1, Kind.VERBATIM, matches=2, kinds=["verbatim", "partial"])
    result = held([("a", audit(found=[both], counted_kinds=[*map(str, ALL)]))], counted(Kind.PARTIAL))
    assert outcomes(result) == {"max_findings": FAIL, "max_partial": FAIL}


def test_re_drawn_generations_need_not_count() -> None:
    report = audit(300, redrawn=redrawn(30, 300, controls=300))
    report["findings"] += [finding(f"anew-{n}.png", kind="re-drawn", paired=False) for n in range(30)]
    assert held([("a", sealed(report))], Policy()).verdict is FAIL
    without = held([("a", sealed(report))], counted(*COPIES))
    assert without.headline == "pass: Not counted: re-drawn 30."


def test_an_audit_that_counted_less_than_the_policy_counts_is_inconclusive() -> None:
    less = audit(counted_kinds=["verbatim", "template"], not_counted={"near-duplicate": 2, "partial": 0})
    assert outcomes(held([("a", less)], Policy())) == {"kinds": OPEN}
    same = held([("a", less)], counted(Kind.VERBATIM, Kind.TEMPLATE))
    assert same.verdict is PASS
    assert "kinds" in {rule.rule for rule in same.rules}


def test_one_finding_of_several_prompts_is_taken_off_the_prompts_rate() -> None:
    """Of a prompt with a copy of another kind the prompt stays."""
    found = [of_kind(1, Kind.PARTIAL), of_kind(2, Kind.VERBATIM)]
    report = audit(1000, found, counted_kinds=[*map(str, ALL)])
    report["results"]["outcomes"]["by_prompt"]["found"] = [7, 7]
    report["results"]["by_prompt"]["returned"] = {**audit(1000, [1])["results"]["searched"]}
    result = held([("a", sealed(report))], counted(Kind.VERBATIM, max_findings=1, max_verbatim=1))
    (rate,) = [rule for rule in result.rules if rule.rule == "max_rate"]
    assert outcomes(result) == {}
    assert rate.figure == next(
        each.figure
        for each in held([("a", audit(1000, [of_kind(2, Kind.VERBATIM)]))], Policy()).rules
        if each.rule == "max_rate"
    )


def test_the_command_names_kinds_over_the_policy(gate: Gate, tmp_path: Path) -> None:
    report = audit(300, [of_kind(1, Kind.PARTIAL)], counted_kinds=[*map(str, ALL)])
    assert gate(report).code == 1
    named = gate(report, "--kinds", "verbatim,template,near-duplicate,re-drawn")
    assert named.code == 0
    assert "Not counted: partial 1." in named.out
    policy = '[audit]\nkinds = ["verbatim"]\n'
    assert gate(report, policy=policy).code == 0
    assert gate(report, "--kinds", "all", policy=policy).code == 1
    wrong = gate(report, "--kinds", "verbatm")
    assert (wrong.code, "did you mean 'verbatim'?" in wrong.err) == (2, True)
    refused = gate(report, policy='[audit]\nkinds = ["faces"]\n')
    assert (refused.code, "kinds = ['faces'] must be a list" in refused.err) == (2, True)
