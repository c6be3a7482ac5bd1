"""Prompts are what is drawn: seeds of one are no draws of their own, in rates, headline, report and comparison."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET
from numpy.typing import NDArray
from vectors import near, random_vectors, vector_store

from memaudit.audit.by_prompt import asked, by_prompt
from memaudit.audit.pairing import Prompted
from memaudit.audit.results import AuditedModel
from memaudit.audit.run import AuditOptions, audit
from memaudit.gate import Audited, AuditPolicy, Ledger, Policy, Verdict, compare, hold, judge
from memaudit.gate.comparison import GENERATIONS, MCNEMAR, PROMPTS
from memaudit.gate.ledger import Fixed
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults, Report
from memaudit.statistics import clopper_pearson_upper
from memaudit.store import Columns, Store

TRAINING = random_vectors(0, 60)
DETECTABLE_ALONE = Policy(AuditPolicy(planted=()))
DETECTABLE = " These are rates of detectable copies: how many of all are detected was not measured (none were planted)."


@pytest.fixture
def training(tmp_path: Path) -> Store:
    return vector_store(tmp_path / "training", TRAINING, prefix="train")


def of_seeds(prompts: int, seeds: int) -> dict[str, Prompted]:
    """gen-00000 to gen-0000s are the seeds of prompt 0, and so on."""
    return {
        f"gen-{p * seeds + s:05d}": Prompted(f"train-{p % 60:05d}", f"prompt {p}", str(s))
        for p in range(prompts)
        for s in range(seeds)
    }


def audited(
    folder: Path,
    training: Store,
    copied: Mapping[int, int],
    pairing: Mapping[str, Prompted],
    rows: int,
    seed: int = 5,
    model: AuditedModel | None = None,
) -> Report:
    """copied: which generation is a copy of which training image."""
    vectors = random_vectors(seed, rows)
    vectors[[*copied]] = near(1, TRAINING[[*copied.values()]], 0.1)
    generations = vector_store(folder / "generations", vectors, prefix="gen")
    options = AuditOptions(model=model)
    result = audit(generations, ExactSearch(training), pairing=pairing, options=options)
    write_audit(result, generations, training, folder)
    return read_report(folder / "report.json")


def results_of(report: Report) -> AuditResults:
    assert isinstance(report.results, AuditResults)
    return report.results


def test_a_hundred_prompts_of_ten_seeds_bound_what_a_hundred_do(tmp_path: Path, training: Store) -> None:
    """Nothing found: 2.95 % of prompts, and the same of generations, not 0.30 % as a thousand draws would."""
    report = audited(tmp_path, training, {}, of_seeds(100, 10), 1000)
    results = results_of(report)
    assert results.by_prompt
    bound = 1 - 0.05 ** (1 / 100)
    assert results.by_prompt.returned.upper == pytest.approx(bound)
    assert results.searched.upper == pytest.approx(bound)
    assert (results.searched.n, results.searched.effective) == (1000, 100)
    assert results.headline.endswith(
        "None of 100 prompts gave a training image back, with 10 seeds each (similarity 0.8 or more, or confirmed on "
        "pixels); with 95% confidence at most 3.0\u00a0% of such prompts do. Of their 1,000 generations none does, "
        f"with 95% confidence at most 3.0\u00a0%; they count as 100 independent ones.{DETECTABLE}"
    )
    rule = next(
        each for each in judge("a", report, Policy(AuditPolicy(max_rate=0.01, planted=()))) if each.rule == "max_rate"
    )
    assert rule.outcome is Verdict.INCONCLUSIVE
    assert rule.figure == "3.0%"
    assert (
        "at most 3.0% of prompts give a training image back in 10 seeds each (n = 100), undetected copies not included"
        in rule.sentence
    )
    assert "takes 299 prompts of which none does" in rule.sentence


def test_a_prompt_that_copies_in_every_seed_is_one_prompt(tmp_path: Path, training: Store) -> None:
    """Three of forty prompts, 30 of 400 generations: the bound is that of prompts."""
    copied = dict.fromkeys(range(10), 7) | dict.fromkeys(range(200, 210), 9) | dict.fromkeys(range(390, 400), 11)
    results = results_of(audited(tmp_path, training, copied, of_seeds(40, 10), 400))
    assert results.by_prompt
    assert (results.by_prompt.returned.count, results.by_prompt.returned.n) == (3, 40)
    assert results.searched.count == 30
    assert results.searched.effective == pytest.approx(39)
    assert results.searched.upper == pytest.approx(clopper_pearson_upper(3 / 40 * 39, 39, 0.05))
    assert "3 of 40 prompts gave a training image back at least once, with 10 seeds each" in results.headline


def test_one_generation_a_prompt_is_what_it_was(tmp_path: Path, training: Store) -> None:
    """Prompts and generations are then the same figures, and the headline says them once."""
    results = results_of(audited(tmp_path, training, {3: 3}, of_seeds(50, 1), 50))
    assert results.by_prompt
    assert results.by_prompt.returned == results.searched
    assert results.headline.endswith("2.0\u00a0%, with 95% confidence at most 9.2\u00a0%." + DETECTABLE)
    assert results.outcomes
    assert results.outcomes.by_prompt
    assert [(each.seeds, each.prompts) for each in results.outcomes.by_prompt.asked] == [(1, 50)]


def test_without_a_pairing_independence_is_taken_and_said(tmp_path: Path, training: Store) -> None:
    """In the headline, on the page and in the gate's line."""
    report = audited(tmp_path, training, {}, {}, 50)
    results = results_of(report)
    assert results.by_prompt is None
    assert "if the generations are independent: no pairing names their prompts" in results.headline
    assert "if the generations are independent" in (tmp_path / "report.html").read_text()
    rule = next(each for each in judge("a", report, Policy(AuditPolicy(planted=()))) if each.rule == "max_rate")
    assert "if they are independent, for no pairing names their prompts" in rule.sentence


def test_prompts_are_known_by_text_then_by_image_and_numbered_by_their_generations() -> None:
    """Missing ones count, and a generation without a line is a prompt of its own."""
    pairing = {
        "a": Prompted("x", "A  clock"),
        "b": Prompted("y", "A clock"),
        "c": Prompted("z"),
        "d": Prompted("z"),
        "e": Prompted("z"),
    }
    names: NDArray[np.object_] = np.array(["a", "b", "c", "d", "alone"], dtype=object)
    found = asked(names, np.arange(5), pairing, ("e",))
    assert found.prompt.tolist() == [1, 1, 2, 2, 0]
    assert found.of_missing.tolist() == [2]
    assert found.sizes.tolist() == [1, 2, 3]


def test_a_lost_prompt_is_not_measured(tmp_path: Path, training: Store) -> None:
    """One whose generations are all missing lowers the coverage of prompts; one of which some are there does not."""
    results = results_of(audited(tmp_path, training, {}, of_seeds(20, 2), 37))
    assert results.by_prompt
    coverage = results.by_prompt.returned.coverage
    assert (coverage.measured, coverage.total) == (19, 20)
    assert [(each.seeds, each.prompts) for each in results.by_prompt.seeds] == [(1, 1), (2, 18)]


def test_two_models_are_compared_on_prompts(tmp_path: Path, training: Store) -> None:
    """Five prompts copy in the earlier one and five others in the later one, in every of ten seeds: no 50 and 50."""
    old_rows = {row: row // 10 for row in range(50)}
    new_rows = {row: row // 10 for row in range(50, 100)}
    old = audited(tmp_path / "a", training, old_rows, of_seeds(50, 10), 500)
    new = audited(tmp_path / "b", training, new_rows, of_seeds(50, 10), 500, seed=6)
    found = compare(Audited(old), Audited(new))
    assert (found.test, found.unit, found.n, found.gained, found.lost) == (MCNEMAR, PROMPTS, 50, 5, 5)
    assert (found.old.count, found.old.coverage.measured) == (5, 50)


def test_other_numbers_of_seeds_are_compared_as_so_many_draws(tmp_path: Path, training: Store) -> None:
    """A prompt that may copy in ten seeds is no match for one that may in two: rates of generations are."""
    old = audited(tmp_path / "a", training, {0: 1}, of_seeds(40, 2), 80)
    new = audited(tmp_path / "b", training, dict.fromkeys(range(10), 1), of_seeds(40, 10), 400, seed=6)
    found = compare(Audited(old), Audited(new))
    assert found.unit == GENERATIONS
    assert found.new.effective == pytest.approx(39)
    assert found.p_rise > 0.3


def weighted(strategy: str, *weights: float) -> dict[str, Prompted]:
    return {
        f"gen-{number:05d}": Prompted(f"train-{number % 60:05d}", f"prompt {number}", "0", strategy, weight)
        for number, weight in enumerate(weights)
    }


def test_prompts_count_for_the_captions_they_stand_for(tmp_path: Path, training: Store) -> None:
    """Twenty of a hundred repeated captions copy, none of a hundred that stand for 49 each: 20 of 5,000, not 10 %."""
    pairing = weighted("mixed", *[1.0] * 100, *[49.0] * 100)
    report = audited(tmp_path, training, {row: row % 60 for row in range(20)}, pairing, 200)
    results = results_of(report)
    assert results.by_prompt
    assert results.by_prompt.weighted
    assert results.by_prompt.weighted.value == pytest.approx(20 / 5000)
    assert results.by_prompt.weighted.largest == pytest.approx(49 / 5000)
    assert "20 of 200 prompts gave a training image back" in results.headline
    assert "By the captions that each stands for 0.40\u00a0% of all do, with 95% confidence at most" in results.headline
    page = (tmp_path / "report.html").read_text()
    assert "each prompt counts for those that it stands for" in page
    assert "Not weighted: no rate of the model" in page
    rule = next(
        each for each in judge("a", report, Policy(AuditPolicy(max_rate=0.05, planted=()))) if each.rule == "max_rate"
    )
    assert rule.outcome is Verdict.PASS
    places = [place for place, each in enumerate(report.findings)]
    open_rule = next(
        each for each in judge("a", report, Policy(AuditPolicy(planted=())), accepted=places) if each.rule == "max_rate"
    )
    assert open_rule.figure == "3.0%"  # nothing that nobody accepted: three times the largest


def test_of_the_most_duplicated_no_rate_follows(tmp_path: Path, training: Store) -> None:
    """The headline and the page say it, and the gate judges none."""
    report = audited(tmp_path, training, {3: 3}, weighted("most-duplicated", *[0.0] * 50), 50)
    results = results_of(report)
    assert results.by_prompt
    assert results.by_prompt.weighted is None
    assert "of the most duplicated images; no rate of the model follows" in results.headline
    assert "no rate of the model follows" in (tmp_path / "report.html").read_text()
    rule = next(each for each in judge("a", report, Policy(AuditPolicy(max_rate=1))) if each.rule == "max_rate")
    assert rule.outcome is Verdict.INCONCLUSIVE


def test_equal_weights_are_none(tmp_path: Path, training: Store) -> None:
    """Prompts drawn at random stand for as many captions each."""
    results = results_of(audited(tmp_path, training, {3: 3}, weighted("random", *[20.0] * 50), 50))
    assert results.by_prompt
    assert results.by_prompt.weighted is None
    assert results.by_prompt.strategies == ["random"]


def test_random_prompts_speak_of_all_captions(tmp_path: Path, training: Store) -> None:
    """Forty of 4,000 captions, five seeds each: two copied once, one twice, one in all; by hand."""
    lines = of_seeds(40, 5).items()
    pairing = {
        k: Prompted(line.reference_id, line.prompt, line.seed, "random", 100.0, distinct=4000.0) for k, line in lines
    }
    copied = {0: 1, 5: 2, 10: 3, 11: 3, **dict.fromkeys(range(15, 20), 4)}
    report = audited(tmp_path, training, copied, pairing, 200)
    results = results_of(report)
    assert results.by_prompt
    found = results.by_prompt.extrapolated
    assert found
    assert found.captions == 4000
    assert found.one_draw == pytest.approx(4000 * 9 / 200)
    assert found.at_least == pytest.approx(4000 * results.by_prompt.returned.low)
    assert found.estimate == pytest.approx(100 * (4 + 4 / 5 * 2 * 1 / (2 * (1 + 1))))
    assert found.next_seed == pytest.approx(2 / 5)
    assert "Of about 4,000 distinct captions" in (tmp_path / "report.html").read_text()


def test_joined_and_cut_prompts_speak_of_as_many_captions_as_there_are(training: Store) -> None:
    """Not of what their weights come to: of twenty captions that fifteen were drawn of twice, or the first five."""
    columns = training.all_columns()
    for prompts in (19, 5):
        names = np.array([f"gen-{n:05d}" for n in range(prompts)], object)
        rows, counted = Columns(*(column[:prompts] for column in columns)), np.ones(prompts, bool)
        for distinct in (20.0, None):
            pairing = {n: Prompted("train-00001", n, "", "random", 20 / 15, distinct=distinct) for n in names}
            told = by_prompt(asked(names, np.arange(prompts), pairing, []), rows, counted, names == "gen-00001")
            assert told
            assert (told.extrapolated.captions if told.extrapolated else None) == distinct


@pytest.mark.parametrize("weight", [None, 1.0])
def test_held_out_prompts_stand_for_no_captions(tmp_path: Path, training: Store, weight: float | None) -> None:
    """Whatever their weight: a hundred and as many held-out ones bound what a hundred do."""
    control = vector_store(tmp_path / "control", random_vectors(9, 60), prefix="held")
    pairing = {f"gen-{n:05d}": Prompted(f"train-{n % 60:05d}", f"prompt {n}", weight=weight) for n in range(100)}
    held_out = {f"gen-{n:05d}": Prompted("held-00001", f"prompt {n}", "", "", weight, True) for n in range(100, 200)}
    generations = vector_store(tmp_path / "generations", random_vectors(5, 200), prefix="gen")
    result = audit(generations, ExactSearch(training), pairing=pairing | held_out, control=control)
    assert result.by_prompt
    assert result.by_prompt.weighted
    assert result.by_prompt.weighted.largest == pytest.approx(1 / 100)
    assert result.by_prompt.weighted.upper == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-3)


def test_nothing_is_extrapolated_from_prompts_that_nobody_drew(tmp_path: Path, training: Store) -> None:
    """A pairing that says neither strategy nor weight, and strata."""
    for name, pairing in (("a", of_seeds(40, 5)), ("b", weighted("mixed", *[1.0] * 100, *[9.0] * 100))):
        by_prompt = results_of(audited(tmp_path / name, training, {0: 1}, pairing, 200)).by_prompt
        assert by_prompt
        assert by_prompt.extrapolated is None


def test_prompts_of_a_named_model_are_told_apart_by_their_text(tmp_path: Path, training: Store) -> None:
    """White space aside, and whatever generations are called; without a model nothing of them is kept."""
    model = AuditedModel("painter", "5" * 64)
    pairing = {f"gen-{n:05d}": Prompted("train-00001", f"a  clock \n at {n // 2}", str(n)) for n in range(8)}
    results = results_of(audited(tmp_path / "a", training, {}, pairing, 10, model=model))
    assert results.model
    assert (results.model.name, results.model.digest) == model
    assert results.outcomes
    assert results.outcomes.by_prompt
    named = [hashlib.sha256(f"prompt a clock at {n}".encode()).hexdigest()[:12] for n in range(4)]
    assert results.outcomes.by_prompt.prompts == ["", "", *named]
    without = results_of(audited(tmp_path / "b", training, {}, pairing, 10))
    assert without.model is UNSET
    assert without.outcomes
    assert without.outcomes.by_prompt
    assert without.outcomes.by_prompt.prompts is UNSET


def test_a_ledger_pools_audits_of_one_model(tmp_path: Path, training: Store) -> None:
    """Six seeds of ten prompts,
    then of five of these and five others: fifteen draws, of which two gave images back."""
    looks = Ledger(Fixed.of(DETECTABLE_ALONE))
    for night, start in enumerate((0, 5)):
        pairing = {f"gen-{n:05d}": Prompted("train-00001", f"clock {start + n // 6}", str(n)) for n in range(60)}
        report = audited(
            tmp_path / str(night), training, {57: 4, 58: 4}, pairing, 60, model=AuditedModel("p", "5" * 64)
        )
        result = hold([("r", report)], DETECTABLE_ALONE, ledger=looks)
        looks = Ledger(looks.fixed, (*looks.looks, *result.looks))
    (rule,) = [rule for rule in result.rules if rule.rule == "max_rate"]
    assert "in 6 seeds each, or more (n = 15 drawn anew in 2 audits of p, 2 found; attempt 1" in rule.sentence
    assert "5 of its prompts were asked before" in rule.sentence
