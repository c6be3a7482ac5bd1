"""Prompts that are likely to give a training image back, by a score of the model itself, and others at random.

The score: how far the model's first prediction moves when it is told the caption (Wen et al., ICLR 2024). One whose
image a model knows by heart pulls at once. What is scored is a random sample of the captions, and those that are not
among the highest keep their chance: each prompt stands for as many captions as its weight says, so a rate stays one.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memaudit.audit.prompts import Prompt
from memaudit.errors import InputError
from memaudit.files import text_lines
from memaudit.release.command import said_of
from memaudit.release.jobs import Job, write_jobs
from memaudit.release.run_file import CommandGenerator
from memaudit.types import Float64, Progress

LIKELY = "likely"
SCORES = "scores.jsonl"
_AT_ONCE = 256  # captions of one call


def scores_of(command: CommandGenerator, pool: Sequence[Prompt], progress: Progress) -> Float64:
    """A score for each prompt, (n,). The command is given {jobs}, and leaves `SCORES` in {out}: a line with name and
    score for each job. Raises InputError where it fails, or scores not all."""
    scores = []
    for low in range(0, len(pool), _AT_ONCE):
        part = pool[low : low + _AT_ONCE]
        with tempfile.TemporaryDirectory() as folder:
            scores += _scored(command, part, Path(folder))
        progress("scoring captions", low + len(part), len(pool))
    return np.array(scores)


def _scored(command: CommandGenerator, part: Sequence[Prompt], folder: Path) -> list[float]:
    listed, jobs = folder / "jobs.jsonl", [Job(f"{n:06d}", each.prompt, each.seed) for n, each in enumerate(part)]
    write_jobs(listed, jobs)
    failed = said_of(command, {"jobs": str(listed), "out": str(folder)})
    if failed:
        raise InputError(f"[prompts] score failed: {failed}")
    try:
        read = [json.loads(line) for line in text_lines(folder / SCORES)]
        found = {str(line["name"]): float(line["score"]) for line in read}
        scores = [found[job.name] for job in jobs]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"[prompts] score left no {SCORES} with a line of name and score for each job: {error!r}"
        ) from None
    if not all(map(math.isfinite, scores)):
        raise InputError("[prompts] score gave what is no number")
    return scores


def likeliest(pool: Sequence[Prompt], scores: Float64, count: int, distinct: int) -> list[Prompt]:
    """Half of `count` by the highest scores, the others at random; all of the pool where it has no more.

    pool: captions in random order, of `distinct` in all. The order of equal scores is that of the pool.
    """
    highest = set(np.argsort(-scores, kind="stable")[: (count + 1) // 2].tolist())
    rest = [place for place in range(len(pool)) if place not in highest]
    drawn = rest[: count - len(highest)]
    each = max(1.0, distinct / len(pool))
    for_rest = each * len(rest) / max(1, len(drawn))
    chosen = [pool[place]._replace(strategy=LIKELY, stratum=LIKELY, weight=each) for place in sorted(highest)]
    return chosen + [pool[place]._replace(strategy=LIKELY, stratum="random", weight=for_rest) for place in drawn]
