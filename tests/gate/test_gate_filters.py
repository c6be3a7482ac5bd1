"""Filters and weights at the gate: what was not measured never passes."""

from __future__ import annotations

from typing import Any

import pytest
from reports import SSCD, Report, report_json, typed

from memaudit.errors import InputError
from memaudit.gate import FilterPolicy, GatePolicy, Policy, ReweightPolicy, judge
from memaudit.gate.verdict import Verdict
from memaudit.types import Coverage

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SAID: dict[str, Any] = {"conclusive": True, "reasons": [], "headline": "headline"}


def applied(
    lower: float | None = 0.96, value: float = 0.98, dropped: int = 300, undecided: int = 0, same: bool = True
) -> Report:
    """A filter of 1,000 images. lower: bound of its recall, None: the cut was given."""
    bounds = {"value": value, "low": 0.9, "high": 1.0, "lower": lower or 0.0}
    measured = {
        **dict.fromkeys(("recall", "precision", "positives"), bounds),
        "confidence": 0.95,
        "bound_confidence": 0.96,
        "looks": 1,
        "same_store": same,
        "strata": [],
    }
    results = {
        **SAID,
        "name": "clocks",
        "filter": "f" * 64,
        "cut": 0.5,
        "asked": 0.95,
        "unscored": {},
        "unscored_as": "",
        "decided": {"kept": 1000 - dropped - undecided, "dropped": dropped, "undecided": undecided},
        "measured": measured if lower is not None else None,
        "training": {"rounds": 1, "positive": 9, "negative": 9, "presumed": 0, "text": ""},
        "encoders": [SSCD.as_dict()],
    }
    report = report_json("filter", {"store 1": "s1"}, SSCD, 0.75, Coverage(1000 - undecided, 1000), results, [])
    return {**report, "encoder": None, "threshold": None}


def weighed(effective: float = 800, restored: int = 99, tested: int = 100, gone: int = 0) -> Report:
    """Weights of 1,000 images."""
    results = {
        **SAID,
        "images": 1200,
        "kept": 1000,
        "unmeasured": 0,
        "effective": effective,
        "max_weight": 10.0,
        "heaviest": 2.0,
        "at_limit": 0,
        "beyond": 0.0,
        "told": None,
        "tested": tested,
        "restored": restored,
        "gone": gone,
    }
    return report_json("reweight", {"store": "s1"}, SSCD, 0.75, Coverage(1200, 1200), results, [])


def not_passed(report: Report, policy: Policy | None = None) -> dict[str, Verdict]:
    results = judge("r", typed(report), policy or Policy())
    return {each.rule: each.outcome for each in results if each.outcome is not PASS}


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (applied(), {}),
        (applied(lower=0.94), {"min_recall": OPEN}),
        (applied(lower=0.8, value=0.9), {"min_recall": FAIL}),
        (applied(lower=None), {"min_recall": OPEN, "same_store": OPEN}),
        (applied(same=False), {"same_store": OPEN}),
        (applied(dropped=501), {"max_dropped": FAIL}),
        (applied(dropped=500), {}),
        (applied(dropped=495, undecided=9), {"max_dropped": OPEN}),
        (applied(undecided=20), {"min_coverage": OPEN}),
        (weighed(), {}),
        (weighed(effective=499), {"min_effective": FAIL}),
        (weighed(restored=94), {"min_restored": FAIL}),
        (weighed(restored=0, tested=0), {"min_restored": OPEN}),
    ],
)
def test_what_does_not_pass(report: Report, expected: dict[str, Verdict]) -> None:
    assert not_passed(report) == expected


def test_limits_are_the_policys() -> None:
    lax = Policy(
        filter=FilterPolicy(min_recall=0.5, same_store=False, max_dropped=1.0),
        reweight=ReweightPolicy(min_effective=0.1, min_restored=0.0),
    )
    assert not_passed(applied(lower=0.6, dropped=900, same=False), lax) == {}
    assert not_passed(weighed(effective=150, restored=1), lax) == {}


def test_each_encoder_of_a_filter_must_be_named_and_its_training_set() -> None:
    report = applied()
    report["results"]["encoders"].append({**SSCD.as_dict(), "name": "another"})
    pinned = Policy(gate=GatePolicy(encoders=(SSCD.identity,), training_sets=("s1",), calibrations=("c",)))
    found = [(each.rule, each.outcome) for each in judge("r", typed(report), pinned) if each.rule == "encoders"]
    assert found == [("encoders", PASS), ("encoders", OPEN)]
    assert not_passed(weighed(), pinned) == {}


@pytest.mark.parametrize("impossible", [{"effective": 1100.0}, {"restored": 101}])
def test_impossible_figures_are_refused(impossible: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has it wrong"):
        judge("r", typed(weighed(**impossible)), Policy())
