"""Which images are near each other, or candidates for the pixels, and the recall of finding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.clusters import Plan
from memaudit.dedup.enough import find_enough
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.options import DedupOptions, plan_comparison
from memaudit.dedup.pairs import Found, PairSearch, compare
from memaudit.dedup.recall import NOBODY, RecallSample, drawn_rows, recall_of_exhaustive
from memaudit.dedup.results import Comparison, DedupRecall, Estimate, Piloted
from memaudit.dedup.room import require_room
from memaudit.dedup.setup import Setup
from memaudit.dedup.target_recall import Target, reach_recall
from memaudit.similarity import Pairs
from memaudit.types import Int64, Progress


@dataclass(frozen=True)
class Searched:
    """What the comparison of distinct images found; pairs are positions among them. shortfall: why the recall that was
    asked for is not proven. candidate_recall: of the pairs below the threshold too, where those were looked for.
    matrix: what was compared, None for nothing. pilot: what settled how much was."""

    plan: Plan
    found: Found
    recall: DedupRecall
    shortfall: str = ""
    candidate_recall: DedupRecall | None = None
    matrix: Matrix | None = None
    pilot: Piloted | None = None

    def settled(self) -> Searched:
        """What is told of it, without the pairs and the embeddings: they need no memory any more."""
        return replace(self, found=self.found._replace(pairs=Pairs.none()), matrix=None)


def search(setup: Setup, rows: Int64, rule: CandidateRule | None, scratch: Path | None, progress: Progress) -> Searched:
    """Find the pairs among `rows`, and candidates for the pixels below the threshold, and the recall of finding them.

    The recall of the candidates is stated where all of them are still there to be counted.
    """
    options = setup.options
    if not len(rows):  # there is nothing to find
        nothing = Estimate(0, 0, None, None, None)
        recall = DedupRecall(0, True, options.confidence, nothing, nothing, ())
        found = Found(Pairs.none(), [0], Comparison("nothing to compare", "", 0, ()))
        return Searched(Plan(0, 1, 1), found, recall)
    if options.clusters:  # fewer images may be left than there were when the options were looked at
        options = replace(options, clusters=min(options.clusters, len(rows)))
    plan = plan_comparison(len(rows), options)
    matrix = Matrix(scratch, setup.store, rows)
    require_room(setup.store, matrix, setup.threshold, options.seed)
    way = _compared(matrix, setup.threshold, plan, options, progress, rule)
    recall = way.recall or _recall(matrix, way, setup.threshold, options, progress)
    below = None
    if rule is not None and not way.found.left_out:
        below = _recall(matrix, way, rule.floor, options, progress)
    return Searched(way.plan, way.found, recall, way.why_not, below, matrix, way.told)


class _Compared(NamedTuple):
    """What was found by which plan. recall: None, where it is still to be stated; why_not: it is not proven; told, and
    by: what settled the plan, and on which positions, which take no part in the statement."""

    found: Found
    plan: Plan
    recall: DedupRecall | None = None
    why_not: str = ""
    told: Piloted | None = None
    by: Int64 = NOBODY


def _compared(
    matrix: Matrix,
    threshold: float,
    plan: Plan,
    options: DedupOptions,
    progress: Progress,
    rule: CandidateRule | None,
) -> _Compared:
    """As planned, until the recall that was asked for is proven, or, where nothing was said, as much as is enough."""
    if options.target_recall is not None:
        target = Target(options.target_recall, options.recall_sample, options.confidence)
        reached = reach_recall(matrix, threshold, plan, target, options.seed, progress, rule)
        return _Compared(reached.found, reached.plan, reached.recall, reached.why_not)
    if options.fixed or plan.exhaustive:
        return _Compared(compare(matrix, threshold, plan, options.seed, progress, rule), plan)
    search = PairSearch(matrix, threshold, plan, options.seed, progress, rule)
    enough = find_enough(search, matrix, plan, options.seed)
    return _Compared(search.as_planned(), enough.plan, told=enough.told, by=enough.rows)


def _recall(matrix: Matrix, way: _Compared, threshold: float, options: DedupOptions, progress: Progress) -> DedupRecall:
    pairs = way.found.pairs
    if way.plan.lossless:
        near = pairs.where(pairs.similarity >= np.float32(threshold))
        return recall_of_exhaustive(near, len(matrix), threshold, options.confidence)
    rows = drawn_rows(len(matrix), options.recall_sample, options.seed, "recall", without=way.by)
    return RecallSample.of(matrix, rows, threshold, progress, way.plan.executor).recall_of(pairs, options.confidence)
