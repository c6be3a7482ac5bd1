"""How large a sample must be: what a gate then passes, and one prompt less does not."""

from __future__ import annotations

import json

import pytest

import memaudit as ma
from memaudit.cli.app import run
from memaudit.errors import UsageError
from memaudit.statistics import clopper_pearson_upper


@pytest.mark.parametrize(("rate", "recall"), [(0.01, 1.0), (0.001, 0.95), (0.5, 0.2)])
def test_so_many_prompts_show_the_rate(rate: float, recall: float) -> None:
    """With nothing, one and two found, for the copies that are detected."""
    plan = ma.plan_sample(rate, seeds=4, recall=recall)
    for count, prompts in enumerate((plan.prompts, plan.with_one, plan.with_two)):
        assert clopper_pearson_upper(count, prompts, 0.05) <= rate * recall
        assert clopper_pearson_upper(count, prompts - 1, 0.05) > rate * recall
    assert plan.generations == 4 * plan.prompts


def test_copies_all_found_show_the_recall() -> None:
    """59 of 59 are at least 95 %."""
    assert ma.plan_sample(0.01, recall=0.95).copies == 59
    assert ma.plan_sample(0.01).copies == 0


def test_one_generation_alone_takes_twenty_controls_each() -> None:
    """1 ÷ (n + 1) must reach 0.05 ÷ prompts."""
    plan = ma.plan_sample(0.01)
    assert 1 / (plan.controls_for_one + 1) <= 0.05 / plan.prompts < 1 / plan.controls_for_one


@pytest.mark.parametrize(
    "options", [{"rate": 0.0}, {"rate": 1.0}, {"rate": 0.1, "seeds": 0}, {"rate": 0.1, "recall": 0.0}]
)
def test_what_cannot_be_shown_is_refused(options: dict[str, float]) -> None:
    """In a line that names the option."""
    with pytest.raises(UsageError, match="out of range"):
        ma.plan_sample(**options)  # type: ignore[arg-type]


def test_the_command_takes_shares_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    """0.1% is 0.001; what is no share is exit code 2."""
    assert run(["plan", "sample", "--rate", "0.1%", "--seeds", "4", "--recall", "0.95", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ma.plan_sample(0.001, seeds=4, recall=0.95).as_dict()
    assert run(["plan", "sample", "--rate", "little"]) == 2
