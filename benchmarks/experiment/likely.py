"""How well a model's own score tells which prompts give a training image back; prompts to the first finding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.record import Figure
from memaudit.audit.prompts import Prompt
from memaudit.release.likely import scores_of
from memaudit.release.run_file import CommandGenerator
from memaudit.statistics import normal_quantile
from memaudit.types import Float64, silent


def figures_of(
    out: Path, command: str, gives: NDArray[np.bool_], copies: NDArray[np.int64], data: str
) -> Iterator[Figure]:
    """out: of a release run; gives, copies (n,): of its prompts, in order. command: with {jobs} and {out}."""
    lines = [json.loads(line) for line in (out / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    prompts = [Prompt(line["prompt"], line["image_id"], line["seed"], 0) for line in lines]
    scores = scores_of(CommandGenerator(command=command), prompts, silent)
    for name, chosen in (("", np.ones(len(gives), bool)), (", of pictures that stand there once", copies == 1)):
        found = auc(scores[chosen], gives[chosen])
        count = int(chosen.sum())
        yield Figure(data, count, f"AUC of the score for coming back{name}", *(found or (None, None, None)))
    if gives.any():
        first = int(gives[np.argsort(-scores, kind="stable")].argmax()) + 1
        yield Figure(data, len(gives), "prompts to the first that gives one back, by score", first)
        expected = (len(gives) + 1) / (int(gives.sum()) + 1)
        yield Figure(data, len(gives), "the same at random, expected", expected)
        by_copies = np.argsort(-copies, kind="stable")
        yield Figure(data, len(gives), "the same, most duplicated first", int(gives[by_copies].argmax()) + 1)


def auc(scores: Float64, truth: NDArray[np.bool_]) -> tuple[float, float, float] | None:
    """Area under the ROC curve with its 95 % interval (Hanley & McNeil 1982); None where all are alike."""
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return None
    area = float((rankdata(scores)[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))
    one, other = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positive - 1) * (one - area**2) + (negative - 1) * (other - area**2)
    reach = normal_quantile(0.975) * float(np.sqrt(max(0.0, spread) / (positive * negative)))
    return area, max(0.0, area - reach), min(1.0, area + reach)
