"""Prompts by a score of the model: the likeliest, and others at random that keep rates honest."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from generator_lines import command
from hypothesis import given
from hypothesis import strategies as st

import memaudit as ma
from memaudit.audit.prompts import Prompt
from memaudit.errors import InputError, UsageError
from memaudit.release.likely import likeliest

SCORER = """\
import json, sys
from pathlib import Path
jobs = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
lines = [{"name": job["name"], "score": %s} for job in jobs]
(Path(sys.argv[2]) / "scores.jsonl").write_text("".join(json.dumps(line) + chr(10) for line in lines))
"""
KNOWN = 'float("copied" in job["prompt"])'


def pool_of(count: int) -> list[Prompt]:
    return [Prompt(f"caption {n}", f"{n}", n, 0) for n in range(count)]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 100))
def test_prompts_stand_for_all_captions(count: int, size: int, seed: int) -> None:
    """Whatever is scored: the weights sum to the captions there are, none twice, and the highest are among them."""
    scores = np.random.default_rng(seed).random(size)
    chosen = likeliest(pool_of(size), scores, count, 10 * size)
    assert len({each.prompt for each in chosen}) == len(chosen) == min(count, size)
    assert str(int(scores.argmax())) in {each.image_id for each in chosen}
    if count > 1 or size == 1:
        assert sum(each.weight for each in chosen) == pytest.approx(10 * size)


@pytest.mark.slow
def test_rates_are_right_on_average() -> None:
    """Of 200 captions 20 give their image back, and the score tells 15 of them: weighted rates of 400 choices."""
    rng = np.random.default_rng(0)
    gives = np.zeros(200, bool)
    gives[:20] = True
    scores = np.where(np.arange(200) < 15, 1.0, 0.0)
    rates = []
    for _ in range(400):
        order = rng.permutation(200)
        pool = [pool_of(200)[place] for place in order]
        chosen = likeliest(pool, scores[order], 60, 200)
        rates.append(sum(each.weight * gives[int(each.image_id)] for each in chosen) / 200)
    assert np.mean(rates) == pytest.approx(0.1, abs=0.003)


def scored(tmp_path: Path, expression: str) -> str:
    (tmp_path / "score.py").write_text(SCORER % expression)
    return f"n = 8\npool = 24\nstrategy = \"likely\"\nscore = '{sys.executable} {tmp_path}/score.py {{jobs}} {{out}}'"


def test_a_command_scores_and_the_audit_weighs(release, tmp_path):
    path = release(command("--jobs {jobs} --out {out}"), prompts=scored(tmp_path, KNOWN))
    run = ma.run_release(path)
    lines = [json.loads(line) for line in (run.folder / "prompts.jsonl").read_text().splitlines()]
    assert [line["stratum"] for line in lines] == ["likely"] * 4 + ["random"] * 4
    assert {line["image_id"] for line in lines} >= {"0003", "0009"}
    assert sum(line["weight"] for line in lines) == pytest.approx(24)
    assert run.audit.results.by_prompt.weighted is not None
    assert run.audit.results.by_prompt.weighted.value == pytest.approx(2 / 24)
    again = ma.run_release(path)
    assert next(stage for stage in again.stages if stage.name == "prompts").as_before


@pytest.mark.parametrize(
    ("expression", "said"),
    [("1 / 0", "ended with exit code 1"), ("float('nan')", "no number"), ("None", "name and score")],
)
def test_a_score_that_fails_stops_the_run(release, tmp_path, expression, said):
    with pytest.raises(InputError, match=said):
        ma.run_release(release(command("--jobs {jobs} --out {out}"), prompts=scored(tmp_path, expression)))


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ('strategy = "likely"', "needs score"),
        ('score = "x {jobs} {out}"', "is for strategy"),
        ('strategy = "likely"\nscore = "x {jobs}"', "has to name"),
        ('strategy = "likely"\nscore = "x {jobs} {out}"\nn = 50\npool = 24', "below n"),
        ('strategy = "likely"\nscore = "x {jobs} {out}"\nby = "image"', "goes with neither"),
    ],
)
def test_what_cannot_be_is_refused(release, prompts, said):
    with pytest.raises(UsageError, match=said):
        ma.run_release(release(command("--jobs {jobs} --out {out}"), prompts=prompts))
