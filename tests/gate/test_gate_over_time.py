"""Looks again and again: what is pooled, what is not and why, and how the error is shared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gated import Gate
from reports import Report, audit, dedup, finding, planted, sealed, typed

from memaudit.gate import AuditPolicy, BaselinePolicy, GateResult, Ledger, Policy, RuleResult, hold
from memaudit.gate.accepted import Accepted
from memaudit.gate.ledger import Fixed
from memaudit.gate.redrawn import RULE
from memaudit.matching.kinds import ALL

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"
A, B = "a" * 64, "b" * 64
POLICY = Policy(AuditPolicy(max_findings=99, planted=()))
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def night(n: int, found: Sequence[int | Report] = (), *, start: int = 0, model: str | None = A, **more: Any) -> Report:
    """An audit of n prompts, numbered from `start`, which a night before may have asked already."""
    named = {"model": {"name": "painter 2", "digest": model}} if model else {}
    report = audit(n, found, **named, **more)
    if model:
        prompts = [hashlib.sha256(f"prompt {number}".encode()).hexdigest()[:12] for number in range(start, start + n)]
        report["results"]["outcomes"]["by_prompt"]["prompts"] = prompts
    return sealed(report)


class Nights:
    """A ledger that goes on from call to call."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy, self.ledger = policy, Ledger(Fixed.of(policy))

    def look(self, *reports: Report, rule: str = "max_rate", **more: Any) -> list[RuleResult]:
        named = [(f"r{number}", typed(report)) for number, report in enumerate(reports)]
        self.result: GateResult = hold(named, self.policy, ledger=self.ledger, now=more.pop("now", NOW), **more)
        self.ledger = Ledger(self.ledger.fixed, (*self.ledger.looks, *self.result.looks), "")
        return [each for each in self.result.rules if each.rule == rule]

    def one(self, report: Report, **more: Any) -> RuleResult:
        (rule,) = self.look(report, **more)
        return rule


def test_prompts_of_one_model_are_pooled() -> None:
    """380 prompts with nothing found show 1 % with the error that the first attempt has."""
    nights = Nights()
    first = nights.one(night(200))
    assert first.outcome == OPEN
    assert "n = 200 drawn anew in an audit of painter 2, 0 found; attempt 1" in first.sentence
    assert "takes 380 prompts" in first.sentence
    second = nights.one(night(200, start=200))
    assert second.outcome == PASS
    assert "n = 400 drawn anew in 2 audits" in second.sentence
    assert "96.9% confidence, whenever one looks" in second.sentence


def test_prompts_of_last_night_are_no_new_draws() -> None:
    """However often they are asked; what they gave back this time is said."""
    nights, first, second = Nights(), night(200), night(200, [3])
    for report in (first, first, second, second):
        rule = nights.one(report)
    assert rule.outcome == OPEN
    assert "n = 200 drawn anew" in rule.sentence
    assert "200 of its prompts were asked before and are no new draws, though 1 of them gave one back" in rule.sentence
    assert len(nights.ledger.looks) == 2  # the same report again is no new look


def test_seeds_are_no_draws() -> None:
    """A prompt of four seeds is one draw, and the bound is said to be about the fewest seeds."""
    report = night(200)
    report["results"]["outcomes"]["by_prompt"]["asked"] = [{"seeds": 4, "prompts": 200}]
    rule = Nights().one(sealed(report))
    assert "in 4 seeds each, or more (n = 200 drawn anew" in rule.sentence


def test_another_model_is_another_attempt() -> None:
    """Its error is a quarter of the first one's, and it starts from nothing."""
    nights = Nights()
    nights.one(night(1000))
    rule = nights.one(night(400, model=B))
    assert rule.outcome == OPEN
    assert "n = 400 drawn anew in an audit" in rule.sentence
    assert "attempt 2" in rule.sentence
    assert "99.2% confidence" in rule.sentence
    assert "attempt 1" in nights.one(night(500, start=1000)).sentence


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (night(1000, model=None), "it names no model"),
        (night(1000, conclusive=False), "it calls itself inconclusive"),
        (night(1000, total=1200), "1,000 of its 1,200 prompts were measured"),
        (night(1000, by_prompt=None), "its prompts are not known"),
    ],
)
def test_what_is_not_pooled_is_an_attempt_of_its_own(report: Report, why: str) -> None:
    nights = Nights()
    nights.one(night(500))
    rule = nights.one(report)
    assert f"It is attempt 2 of the ledger, pooled with no other report: {why}" in rule.sentence
    assert "99.2%" in rule.sentence
    assert "n = 700 drawn anew in 2 audits" in nights.one(night(700, start=0)).sentence


def test_prompts_of_unequal_weight_are_not_pooled() -> None:
    weighted = {"value": 0.0, "low": 0.0, "high": 0.01, "upper": 0.01, "largest": 0.001, "confidence": 0.95}
    report = night(1000)
    report["results"]["by_prompt"] |= {"weighted": weighted, "strategies": ["mixed"]}
    report["results"]["outcomes"]["by_prompt"]["shares"] = []
    assert "unequal numbers of captions" in Nights().one(sealed(report)).sentence
    report["results"]["by_prompt"] |= {"weighted": None, "strategies": ["most-duplicated"]}
    assert "most duplicated images" in Nights().one(sealed(report)).sentence


@pytest.mark.parametrize("change", [{"threshold": 0.7}, {"store": "s2"}, {"views": ["whole"]}, {"verified": None}])
def test_what_counts_as_a_match_must_be_the_same(change: dict[str, Any]) -> None:
    nights = Nights()
    nights.one(night(300))
    assert "n = 300 drawn anew in an audit of painter 2" in nights.one(night(300, start=300, **change)).sentence


def of_kinds(*kinds: str) -> Policy:
    return replace(POLICY, audit=replace(POLICY.audit, kinds=kinds))


def partial_copies() -> Report:
    """Fifty of a thousand prompts gave a part of a training image back."""
    found = [finding(number, kind="partial", verified=True) for number in range(50)]
    return night(1000, found, counted_kinds=[*map(str, ALL)])


def test_other_kinds_that_count_are_another_attempt() -> None:
    """What a look by verbatim copies alone passed over counts in a later look at the same report that counts all."""
    nights, report, every = Nights(of_kinds("verbatim")), partial_copies(), POLICY
    assert nights.one(report).outcome == PASS
    nights.policy = every
    rule = nights.one(report)
    assert rule.outcome == FAIL
    assert "50 found; attempt 2" in rule.sentence
    assert "n = 1,000 drawn anew in an audit" in rule.sentence
    assert [(look.attempt, len(look.found)) for look in nights.ledger.looks] == [(1, 0), (2, 50)]
    nights.policy = of_kinds("verbatim")
    assert "0 found; attempt 1" in nights.one(report).sentence
    assert len(nights.ledger.looks) == 2  # each was looked at before, by its kinds


def test_what_is_accepted_by_some_kinds_is_accepted_by_these_alone() -> None:
    """A generation of which the verbatim match is accepted counts with its partial one."""
    both = [finding("gen-0001.png", "verbatim", kind="verbatim", verified=True)]
    both += [finding("gen-0001.png", "partial", kind="partial", verified=True)]
    report = night(800, both, counted_kinds=[*map(str, ALL)])
    report["results"]["outcomes"] |= {"found": ["gen-0001.png"]}
    report["results"]["outcomes"]["by_prompt"] |= {"found": [1]}
    for rate in (report["results"]["searched"], report["results"]["by_prompt"]["returned"]):
        rate["count"] = 1
    entry = Accepted("verbatim", "gen-0001.png", None, "A", "our own", NOW.date(), "verbatim")
    nights = Nights()
    assert nights.one(sealed(report), accepted=[entry]).outcome == OPEN
    nights.policy = of_kinds("verbatim")
    assert "not accepted" in nights.one(sealed(report), accepted=[entry]).figure
    nights.policy = POLICY
    assert nights.one(sealed(report), accepted=[entry]).outcome == OPEN


def test_a_rate_above_the_limit_fails() -> None:
    rule = Nights().one(night(300, [1, 2, 3, 4]))
    assert rule.outcome == FAIL
    assert "the rate found, 1.3%, is itself above" in rule.sentence


def test_prompts_that_are_not_known_are_left_out() -> None:
    report = night(300)
    report["results"]["outcomes"]["by_prompt"]["prompts"][:2] = ["", ""]
    rule = Nights().one(sealed(report))
    assert "n = 298 drawn anew" in rule.sentence
    assert "2 of its prompts are not known and are not pooled" in rule.sentence


ENTRY = Accepted("train-gen-0001.png", "gen-0001.png", None, "A", "our own", NOW.date())


def test_both_bounds_with_and_without_accepted_matches() -> None:
    """After the last day of an acceptance it counts again, also for what was pooled before."""
    nights = Nights()
    rule = nights.one(night(800, [1]), accepted=[ENTRY])
    assert rule.outcome == PASS
    assert "not accepted" in rule.figure
    assert "that nobody accepted, and at most" in rule.sentence
    later = nights.one(night(10, start=800), accepted=[ENTRY], now=NOW.replace(day=29))
    assert later.outcome == OPEN
    assert "not accepted" not in later.figure


def test_what_is_accepted_later_is_written_down() -> None:
    """The report is judged again with the entry: it draws nothing, and its match is accepted from now on."""
    nights, report = Nights(), night(800, [1])
    assert nights.one(report).outcome == OPEN
    assert nights.one(report, accepted=[ENTRY]).outcome == PASS
    assert [len(look.drawn) for look in nights.ledger.looks] == [800, 0]
    assert nights.one(night(5, start=800)).outcome == PASS
    assert nights.one(report).outcome == OPEN  # nobody says so any more
    assert len(nights.ledger.looks) == 4


def test_two_reports_in_one_call_share_a_pool() -> None:
    rules = Nights().look(night(200), night(200, start=200))
    assert [rule.outcome for rule in rules] == [PASS, PASS]


def test_a_dedup_is_no_look() -> None:
    nights = Nights()
    nights.look(dedup())
    assert nights.ledger.looks == ()


def test_thirty_nights_of_a_rate_at_the_limit() -> None:
    """As long as it is not above chance, one bound for all: the last line says what the pool is."""
    nights = Nights()
    for number in range(30):
        rule = nights.one(night(100, [number] if number % 10 == 0 else [], start=100 * number))
    assert "n = 3,000 drawn anew in 30 audits of painter 2, 3 found; attempt 1" in rule.sentence
    look = nights.ledger.looks[-1]
    assert (look.pooled, look.found_in_all, look.attempt, look.number) == (3000, 3, 1, 30)
    assert look.outcome == rule.outcome
    assert 0.003 < look.upper < 0.005


def released(baseline: Report, named: str | None) -> Policy:
    return Policy(POLICY.audit, baseline=BaselinePolicy(release=named or str(baseline["digest"])))


def test_a_rise_is_held_against_the_named_release() -> None:
    """Each look has its part of the error; last night's report in place of the release is inconclusive."""
    release, last = audit(3000), night(3000, [1])
    nights = Nights(released(release, None))
    for number in range(3):
        rule = nights.one(night(3000, start=number), baseline=typed(release), rule="max_rise")
        assert rule.outcome == PASS
    assert "99.66% confidence" in rule.sentence
    assert nights.one(night(3000, start=8), baseline=typed(release), rule="release").outcome == PASS
    other = nights.one(night(3000, start=9), baseline=typed(last), rule="release")
    assert other.outcome == OPEN
    assert "names another release" in other.sentence
    none = nights.one(night(3000, start=10), rule="release")
    assert none.outcome == OPEN
    assert "no --baseline was given" in none.sentence


def test_with_a_ledger_the_release_must_be_named() -> None:
    release = audit(3000)
    rule = Nights().one(night(3000), baseline=typed(release), rule="release")
    assert rule.outcome == OPEN
    assert str(release["digest"]) in rule.sentence


@pytest.mark.parametrize("spoilt", [{"prompts": ["0" * 12]}, {"left_out": [7]}])
def test_outcomes_that_cannot_be(spoilt: dict[str, Any], gate: Gate, tmp_path: Path) -> None:
    report = night(300)
    report["results"]["outcomes"]["by_prompt"] |= spoilt
    called = gate(sealed(report), "--ledger", tmp_path / "ledger")
    assert called.code == 2
    assert called.err.count("\n") == 1
    assert not (tmp_path / "ledger").exists()


def test_a_prompt_is_accepted_only_with_all_its_matches() -> None:
    two = [finding("gen-0001.png"), finding("gen-0002.png")]
    report = night(800, two)
    report["results"]["outcomes"]["by_prompt"] |= {"asked": [{"seeds": 2, "prompts": 800}], "found": [1, 1]}
    report["results"]["by_prompt"]["returned"]["count"] = 1
    rule = Nights().one(sealed(report), accepted=[ENTRY])
    assert "not accepted" not in rule.figure


def test_who_accepts_a_face_accepts_no_copy() -> None:
    """Nor does who accepts one of two training images that a generation shows."""
    for other in (finding("gen-0001.png", kind="face"), finding("gen-0001.png", "another")):
        report = night(800, [1])
        report["findings"].append(other)
        entry = Accepted(other["reference_id"], "gen-0001.png", None, "A", "why", NOW.date(), other["kind"])
        assert "not accepted" not in Nights().one(sealed(report), accepted=[entry]).figure


def test_pictures_drawn_anew_are_judged_with_the_error_of_their_look() -> None:
    """By each night alone, so that the nights of one model share an error, though they are one attempt."""
    nights = Nights()
    said = [nights.one(night(300, start=300 * number), rule=RULE).sentence for number in range(2)]
    assert "with 97% confidence" in said[0]
    assert "with 99% confidence" in said[1]
    assert "96.9" in nights.result.rules[[each.rule for each in nights.result.rules].index("max_rate")].sentence


def test_pooled_bounds_count_copies_that_go_undetected() -> None:
    """By the lower end of what is detected of planted copies, each bound with half of the error."""
    nights = Nights(Policy(AuditPolicy(max_findings=99)))
    some = night(200, planted=planted(40, 40, mirrored=(36, 40)))
    rule = nights.one(some)
    assert rule.outcome == OPEN
    assert "undetected copies included (36 of 40 planted ones that are mirrored were found)" in rule.sentence
    assert float(rule.figure[:-1]) > float(Nights().one(some).figure[:-1])
    assert nights.one(night(600, start=200, planted=planted(40, 40, mirrored=(36, 40)))).outcome == PASS
    none = Nights(Policy(AuditPolicy(max_findings=99))).one(night(200, planted=planted(0, 0)))
    assert "planted no copies" in none.sentence
