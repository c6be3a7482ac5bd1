"""How large a sample must be: what a gate then passes, and one prompt less does not."""

from __future__ import annotations

import json
import math

import pytest

import memaudit as ma
from memaudit.cli.app import run
from memaudit.errors import UsageError
from memaudit.images.copy_kinds import PLANTED, copies_for
from memaudit.statistics import Detected, clopper_pearson_upper, melded_upper


@pytest.mark.parametrize(("rate", "recall"), [(0.01, 1.0), (0.001, 0.95), (0.5, 0.2)])
def test_so_many_prompts_show_the_rate_of_copies_that_can_be_detected(rate: float, recall: float) -> None:
    """With nothing, one and two found, where nothing is planted."""
    plan = ma.plan_sample(rate, seeds=4, recall=recall, planted=0)
    for count, prompts in enumerate((plan.prompts, plan.with_one, plan.with_two)):
        assert clopper_pearson_upper(count, prompts, 0.05) <= rate * recall
        assert clopper_pearson_upper(count, prompts - 1, 0.05) > rate * recall
    assert (plan.generations, plan.copies) == (4 * plan.prompts, 0)


@pytest.mark.parametrize(("recall", "planted"), [(1.0, 100), (0.9, 200), (0.5, 1000)])
def test_so_many_prompts_show_the_rate_of_all_copies(recall: float, planted: int) -> None:
    """With as many planted copies of each of the kinds, of which that share is found."""
    plan = ma.plan_sample(0.01, recall=recall, planted=planted)
    detected = Detected(round(recall * planted / len(PLANTED)), planted // len(PLANTED))
    for count, prompts in enumerate((plan.prompts, plan.with_one, plan.with_two)):
        assert melded_upper(count, prompts, detected, 0.05) <= 0.01
        assert melded_upper(count, prompts - 1, detected, 0.05) > 0.01
    assert plan.copies == planted


@pytest.mark.parametrize(("seeds", "recall"), [(1, 1.0), (4, 0.95), (20, 0.8), (100, 0.6)])
@pytest.mark.parametrize("rate", [0.02, 0.001])
def test_what_was_planned_passes_the_gate(rate: float, seeds: int, recall: float) -> None:
    """The audit of so many plants what the plan says, by itself; `recall` of the hardest kind is then enough."""
    plan = ma.plan_sample(rate, seeds=seeds, recall=recall)
    assert plan.copies == copies_for(plan.generations)
    own = plan.copies // len(PLANTED)
    assert melded_upper(0, plan.prompts, Detected(math.floor(recall * own + 1e-9), own), 0.05) <= rate


def test_too_few_copies_show_no_recall() -> None:
    for planted, recall in ((4, 1.0), (50, 0.05)):
        with pytest.raises(UsageError, match="plant more"):
            ma.plan_sample(0.01, recall=recall, planted=planted)


def test_one_generation_alone_takes_twenty_controls_each() -> None:
    """1 ÷ (n + 1) must reach 0.05 ÷ prompts."""
    plan = ma.plan_sample(0.01)
    assert 1 / (plan.controls_for_one + 1) <= 0.05 / plan.prompts < 1 / plan.controls_for_one


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0.0},
        {"rate": 1.0},
        {"rate": 0.1, "seeds": 0},
        {"rate": 0.1, "recall": 0.0},
        {"rate": 0.1, "planted": -1},
    ],
)
def test_what_cannot_be_shown_is_refused(options: dict[str, float]) -> None:
    """In a line that names the option."""
    with pytest.raises(UsageError, match="out of range"):
        ma.plan_sample(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("planted", [None, 0])
def test_more_prompts_than_are_counted_are_not_called_enough(planted: int | None) -> None:
    """10^12 prompts were said to show a rate of which they are not expected to hold one."""
    with pytest.raises(UsageError, match="--rate 1e-14: 1,000,000,000,000 prompts do not show it"):
        ma.plan_sample(1e-14, planted=planted)


def test_the_command_takes_shares_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    """0.1% is 0.001; what is no share is exit code 2."""
    assert run(["plan", "sample", "--rate", "0.1%", "--seeds", "4", "--recall", "0.95", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ma.plan_sample(0.001, seeds=4, recall=0.95).as_dict()
    assert run(["plan", "sample", "--rate", "1%", "--planted", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompts"] == 299
    assert run(["plan", "sample", "--rate", "little"]) == 2
