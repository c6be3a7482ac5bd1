"""Target recall: a search that grows until the recall it can prove is the one that was asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.clusters import Plan
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import Found, PairSearch, compare
from memaudit.dedup.recall import RecallSample, recall_of_exhaustive
from memaudit.dedup.results import DedupRecall
from memaudit.errors import UsageError
from memaudit.tasks import Executor
from memaudit.types import Progress

MOST_PROBES = 8
MOST_CLUSTERINGS = 5
MOST_SAMPLED = 50_000
_SPARE = 1.5  # images sampled beyond the least that could prove the target: a few misses must not sink it


@dataclass(frozen=True)
class Target:
    """The recall whose lower bound, by pair and by image, a search is to reach; and how it is measured."""

    recall: float
    sample: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.recall < 1:
            raise UsageError(f"target recall {self.recall:g} is out of range: expected between 0 and 1")

    def reached_by(self, recall: DedupRecall) -> bool:
        """A sample without near-duplicates proves nothing, unless it is a census: then there is nothing to miss."""
        lows = (recall.by_pair.low, recall.by_image.low)
        return all(recall.census if low is None else low >= self.recall for low in lows)

    def least_images(self) -> int:
        """Images with near-duplicates that a sample needs, to prove the target if none of their pairs is missed.

        The Clopper-Pearson bound without misses is (1 - confidence)^(1 / n); the first statement has half the risk.
        """
        return math.ceil(math.log((1 - self.confidence) / 2) / math.log(self.recall))


@dataclass(frozen=True)
class Reached:
    """What was found, the recall that is stated of it, and what was done for it.

    plan: with the probes and clusterings that were needed. why_not: empty if the target was reached.
    """

    found: Found
    recall: DedupRecall
    plan: Plan
    why_not: str = ""

    @property
    def reached(self) -> bool:
        return not self.why_not


def reach_recall(
    matrix: Matrix,
    threshold: float,
    plan: Plan,
    target: Target,
    seed: int,
    progress: Progress,
    rule: CandidateRule | None = None,
) -> Reached:
    """Compare as planned, then with more probes, then with more clusterings, until the target is reached.

    One sample (the pilot) decides when to stop. What is stated comes from another one: on the pilot the last step may
    have passed by luck. Should a statement fall short, the search goes on, and the k-th statement, from a sample of its
    own, takes 1 / 2^k of the risk: all together are wrong no more often than `confidence` allows.
    All of it is about pairs at the threshold: candidates below it are found in passing.
    """
    if plan.exhaustive:
        return _exhausted(compare(matrix, threshold, plan, seed, progress, rule), matrix, threshold, plan, target)
    search = PairSearch(matrix, threshold, plan, seed, progress, rule)
    samples = _Samples(matrix, threshold, target, seed, progress, plan.executor)
    if samples.pilot_is_census:  # all was compared with all: so be it
        everything = replace(plan, clusters=0, probes=1, clusterings=1, name="", remark="")
        found = compare(matrix, threshold, everything, seed, progress, rule)
        return _exhausted(found, matrix, threshold, everything, target)
    for tried in _steps(search, plan):
        found, statement = search.found(), None
        if samples.pilot_passes(found):
            statement = samples.statement(found)
            if target.reached_by(statement):
                return Reached(found, statement, tried)
        if not samples.can_prove:  # however much is found
            break
    recall = statement or samples.statement(found)
    return Reached(found, recall, tried, _why_not(recall, target, tried, samples))


def _steps(search: PairSearch, plan: Plan) -> Iterator[Plan]:
    """Do one step more each time, and say what has been done."""
    most = min(max(MOST_PROBES, plan.probes), plan.clusters)
    for clusterings in range(1, max(MOST_CLUSTERINGS, plan.clusterings) + 1):
        search.add_clustering(most)
        for probes in range(1, most + 1):
            search.add_probe()
            if clusterings == 1 and probes >= plan.probes and plan.clusterings == 1:
                yield replace(plan, probes=probes)
        if clusterings > 1 and clusterings >= plan.clusterings:
            yield replace(plan, probes=most, clusterings=clusterings)


class _Samples:
    """The pilot, and a fresh sample for each statement."""

    def __init__(
        self,
        matrix: Matrix,
        threshold: float,
        target: Target,
        seed: int,
        progress: Progress,
        executor: Executor | None = None,
    ) -> None:
        self._matrix, self._threshold, self._target = matrix, threshold, target
        self._seed, self._progress, self._executor = seed, progress, executor
        self.statements = 0
        self.pilot = self._large_enough(self._drawn(_first_sample(target), "pilot"))

    @property
    def pilot_is_census(self) -> bool:
        return len(self.pilot.rows) == len(self._matrix)

    @property
    def can_prove(self) -> bool:
        """Whether the pilot holds as many images with near-duplicates as it takes."""
        return self.pilot.with_duplicates >= self._target.least_images()

    def pilot_passes(self, found: Found) -> bool:
        return self._target.reached_by(self.pilot.recall_of(found.pairs, self._target.confidence))

    def statement(self, found: Found) -> DedupRecall:
        self.statements += 1
        risk = (1 - self._target.confidence) / 2**self.statements
        sample = self._drawn(len(self.pilot.rows), f"statement {self.statements}")
        return replace(sample.recall_of(found.pairs, 1 - risk), confidence=self._target.confidence)

    def _large_enough(self, pilot: RecallSample) -> RecallSample:
        """A larger pilot, if too few of its images have near-duplicates to prove anything."""
        needed, rows = _SPARE * self._target.least_images(), len(pilot.rows)
        if pilot.with_duplicates >= needed or rows == len(self._matrix):
            return pilot
        size = rows * needed / max(1, pilot.with_duplicates)
        return self._drawn(max(rows, min(MOST_SAMPLED, math.ceil(size))), "large pilot")

    def _drawn(self, size: int, purpose: str) -> RecallSample:
        given = self._matrix, self._threshold, size, self._seed, self._progress, purpose
        return RecallSample.drawn(*given, self._executor)


def _first_sample(target: Target) -> int:
    """About half of the images of a training set have a near-duplicate, at most."""
    return max(target.sample, min(2 * target.least_images(), MOST_SAMPLED))


def _exhausted(found: Found, matrix: Matrix, threshold: float, plan: Plan, target: Target) -> Reached:
    near = found.pairs.where(found.pairs.similarity >= np.float32(threshold))
    recall = recall_of_exhaustive(near, len(matrix), threshold, target.confidence)
    return Reached(found, recall, plan)


def _why_not(recall: DedupRecall, target: Target, tried: Plan, samples: _Samples) -> str:
    if not samples.can_prove and not recall.census:
        return (
            f"a recall of {target.recall:.2%} cannot be proven: only {samples.pilot.with_duplicates:,} of "
            f"{len(samples.pilot.rows):,} sampled images have near-duplicates, it takes {target.least_images():,}"
        )
    lows = " and ".join(
        f"{e.low or 0:.2%} by {name}" for name, e in (("pair", recall.by_pair), ("image", recall.by_image))
    )
    return f"recall of at least {target.recall:.2%} was not reached, only {lows}, with {tried.describe()}"
