"""Which images are near each other, or candidates for the pixels, and the recall of finding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.clusters import Plan
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.options import DedupOptions, plan_comparison
from memaudit.dedup.pairs import Found, compare
from memaudit.dedup.recall import measure_recall, recall_of_exhaustive
from memaudit.dedup.results import Comparison, DedupRecall, Estimate
from memaudit.dedup.room import require_room
from memaudit.dedup.setup import Setup
from memaudit.dedup.target_recall import Reached, Target, reach_recall
from memaudit.similarity import Pairs
from memaudit.types import Int64, Progress


@dataclass(frozen=True)
class Searched:
    """What the comparison of distinct images found; pairs are positions among them. shortfall: why the recall that was
    asked for is not proven. candidate_recall: of the pairs below the threshold too, where those were looked for.
    matrix: what was compared, None for nothing."""

    plan: Plan
    found: Found
    recall: DedupRecall
    shortfall: str = ""
    candidate_recall: DedupRecall | None = None
    matrix: Matrix | None = None

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
        return Searched(Plan(0, 1, options.clusterings), found, recall)
    if options.clusters:  # fewer images may be left than there were when the options were looked at
        options = replace(options, clusters=min(options.clusters, len(rows)))
    plan = plan_comparison(len(rows), options)
    matrix = Matrix(scratch, setup.store, rows)
    require_room(setup.store, matrix, setup.threshold, options.seed)
    reached = _search(matrix, setup.threshold, plan, options, progress, rule)
    below = None
    if rule is not None and not reached.found.left_out:
        below = _recall(matrix, reached.found.pairs, rule.floor, reached.plan, options, progress)
    return Searched(reached.plan, reached.found, reached.recall, reached.why_not, below, matrix)


def _search(
    matrix: Matrix,
    threshold: float,
    plan: Plan,
    options: DedupOptions,
    progress: Progress,
    rule: CandidateRule | None,
) -> Reached:
    if options.target_recall is not None:
        target = Target(options.target_recall, options.recall_sample, options.confidence)
        return reach_recall(matrix, threshold, plan, target, options.seed, progress, rule)
    found = compare(matrix, threshold, plan, options.seed, progress, rule)
    return Reached(found, _recall(matrix, found.pairs, threshold, plan, options, progress), plan)


def _recall(
    matrix: Matrix, pairs: Pairs, threshold: float, plan: Plan, options: DedupOptions, progress: Progress
) -> DedupRecall:
    if plan.exhaustive:
        near = pairs.where(pairs.similarity >= np.float32(threshold))
        return recall_of_exhaustive(near, len(matrix), threshold, options.confidence)
    return measure_recall(
        matrix,
        pairs,
        threshold,
        sample=options.recall_sample,
        confidence=options.confidence,
        seed=options.seed,
        progress=progress,
        executor=plan.executor,
    )
