"""Training images drawn anew at the gate: a limit of their own, against what held-out images give."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from reports import Report, audit, finding, held, redrawn, sealed

from memaudit.gate import DEFAULT_POLICY, Accepted, AuditPolicy, Policy, RuleResult, Verdict
from memaudit.gate.redrawn import RULE

POLICY = Policy()


def anew(number: int) -> Report:
    return finding(f"anew-{number:04d}.png", kind="re-drawn", paired=False, probability=0.9)


def reported(count: int, n: int = 1000, copies: int = 0, days_old: float = 0, **more: Any) -> Report:
    """An audit with so many re-drawn generations, each listed."""
    report = audit(n, [*range(copies)], days_old=days_old, redrawn=redrawn(count, n, **more))
    report["findings"] += [anew(number) for number in range(count)]
    return sealed(report)


def rule(report: Report, policy: Policy = POLICY, **more: Any) -> RuleResult:
    (found,) = (each for each in held([("a", report)], policy, **more).rules if each.rule == RULE)
    return found


@pytest.mark.parametrize(
    ("count", "n", "controls", "alike", "outcome"),
    [
        (0, 300, 100, 0, Verdict.PASS),
        (1, 300, 100, 0, Verdict.PASS),
        (3, 300, 100, 0, Verdict.INCONCLUSIVE),  # may be chance
        (30, 300, 300, 0, Verdict.FAIL),
        (30, 300, 300, 30, Verdict.INCONCLUSIVE),  # held-out images are called so as often
        (30, 1000, 3000, 90, Verdict.PASS),
        (0, 1000, 3000, 300, Verdict.INCONCLUSIVE),  # what calls one in ten of them so tells nothing apart
        (30, 300, 50, 0, Verdict.INCONCLUSIVE),  # too few held-out images for a p
        (30, 300, None, 0, Verdict.INCONCLUSIVE),
        (0, 300, None, 0, Verdict.PASS),  # chance gives no less than nothing
    ],
)
def test_it_is_judged_by_what_lies_beyond_chance(
    count: int, n: int, controls: int | None, alike: int, outcome: Verdict
) -> None:
    found = rule(reported(count, n, controls=controls, alike=alike))
    assert found.outcome is outcome, found.sentence


def test_it_is_in_no_figure_of_the_copies() -> None:
    """Sixty re-drawn generations, and not one copy: of the limits for copies all are kept."""
    result = held([("a", reported(60))], POLICY)
    assert {each.rule for each in result.rules if each.outcome is Verdict.FAIL} == {RULE}
    figures = {each.rule: each.figure for each in result.rules}
    assert figures["max_findings"] == "0"
    assert figures["max_rate"] == rule_of(audit(1000), "max_rate").figure
    assert all(each.outcome is Verdict.FAIL for each in result.findings)


def rule_of(report: Report, name: str) -> RuleResult:
    (found,) = (each for each in held([("a", report)], POLICY).rules if each.rule == name)
    return found


def test_copies_are_in_none_of_its_figures() -> None:
    result = held([("a", reported(0, copies=3))], POLICY)
    assert rule(reported(0, copies=3)).outcome is Verdict.PASS
    assert next(each for each in result.rules if each.rule == "max_findings").outcome is Verdict.FAIL


NOT_LOOKED_FOR = {"measured": False, "why_not": "no pixels", "headline": "Re-drawn: not measured"}


@pytest.mark.parametrize("found", [None, NOT_LOOKED_FOR])
def test_what_was_not_looked_for_is_not_none(found: Report | None) -> None:
    report = audit(1000, redrawn=found) if found else _earlier()
    assert rule(report).outcome is Verdict.INCONCLUSIVE
    assert rule(report).figure == "none measured"
    allowed = Policy(audit=AuditPolicy(max_redrawn_rate=1.0))
    assert RULE not in {each.rule for each in held([("a", report)], allowed).rules}


def _earlier() -> Report:
    """A report of before anything was said of it."""
    report = audit(1000)
    del report["results"]["redrawn"]
    return sealed(report)


def test_of_generations_that_could_not_be_looked_at_nothing_is_known() -> None:
    report = audit(1000, redrawn=redrawn(0, 500, 1000))
    rules = [each for each in held([("a", report)], POLICY).rules if "re-drawn" in each.sentence]
    assert [each.rule for each in rules if each.outcome is Verdict.INCONCLUSIVE] == ["min_coverage"]


def test_a_person_can_accept_it_by_its_kind_alone() -> None:
    report = reported(30, 300)
    assert rule(report).outcome is Verdict.FAIL

    def entries(kind: str | None) -> list[Accepted]:
        names = [each["query_id"] for each in report["findings"]]
        return [Accepted(f"train-{n}", n, None, "A", "licensed", date(2999, 1, 1), kind) for n in names]

    assert rule(report, accepted=entries(None)).outcome is Verdict.FAIL
    assert rule(report, accepted=entries("verbatim")).outcome is Verdict.FAIL
    accepted = rule(report, accepted=entries("re-drawn"))
    assert accepted.outcome is Verdict.PASS
    assert accepted.sentence.startswith("0 of 300 generations are training images drawn anew")
    assert "(30 more were cleared by people)" in accepted.sentence


def test_seeds_of_a_prompt_count_as_many_as_are_independent() -> None:
    """Ten prompts of a hundred seeds each are no thousand draws."""
    report = reported(0)
    assert rule(report).outcome is Verdict.PASS
    report = audit(1000, redrawn={**redrawn(0), "searched": {**redrawn(0)["searched"], "effective": 10.0}})
    assert rule(report).outcome is Verdict.INCONCLUSIVE


def test_the_default_policy_has_a_limit() -> None:
    assert f"{RULE} = 0.02 " in DEFAULT_POLICY


def test_two_audits_are_compared_by_it_too() -> None:
    """Beside the copies: their rise is as it was."""
    old, new = reported(5, days_old=2), reported(60)
    result = held([("new", new)], POLICY, old)
    rules = {each.rule: each for each in result.rules}
    assert rules["max_redrawn_rise"].outcome is Verdict.FAIL
    assert rules["max_rise"].outcome is Verdict.PASS
    assert sum(bool(each.new) for each in result.findings) == 55
    assert held([("new", reported(5))], POLICY, old).verdict is Verdict.PASS


@pytest.mark.parametrize("old", [{"cut": 0.4}, {"source": "another model"}, NOT_LOOKED_FOR])
def test_what_was_told_otherwise_is_not_compared(old: Report) -> None:
    result = held([("new", reported(5))], POLICY, audit(1000, redrawn={**redrawn(0), **old}, days_old=2))
    (found,) = (each for each in result.rules if each.rule == "max_redrawn_rise")
    assert found.outcome is Verdict.INCONCLUSIVE
    assert next(each for each in result.rules if each.rule == "max_rise").outcome is Verdict.PASS
