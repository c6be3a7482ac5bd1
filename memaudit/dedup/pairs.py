"""Near-duplicate pairs: inside and between clusters, every pair scored exactly and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np

from memaudit.dedup.assigning import Assigning
from memaudit.dedup.candidates import CandidateRule, Collected
from memaudit.dedup.clusters import Plan, comparisons
from memaudit.dedup.fitting import fit_elsewhere
from memaudit.dedup.joining import Clustering, Jobs, Joiner, block_rows, collected_of, write_work
from memaudit.dedup.kmeans import SEEDS, fit, fit_rows, in_regions
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.nearest import Assigner, Centroids, Int32, margin_for
from memaudit.dedup.results import Cells, Comparison
from memaudit.dedup.room import most_pairs, require_held
from memaudit.similarity import Pairs
from memaudit.similarity.backends import Choice, choose_backend, keep_to_one_thread, threads
from memaudit.similarity.codes import Codes
from memaudit.tasks import finish
from memaudit.types import Float32, Int64, Progress

__all__ = ["Clustering", "Comparison", "Found", "Matrix", "PairSearch", "compare"]
MARGIN_PROBES = 4  # clusters that a margin is measured with
CHECK_ROWS = 2048  # rows of the sample that a backend, and how far rows look, are chosen on


class Found(NamedTuple):
    """All pairs of positions (left < right), sorted; how many at the threshold each clustering added; and how.

    left_out: pairs below the threshold that were found and are not among them.
    """

    pairs: Pairs
    added: list[int]
    comparison: Comparison
    left_out: int = 0


def compare(
    matrix: Matrix, threshold: float, plan: Plan, seed: int, progress: Progress, rule: CandidateRule | None = None
) -> Found:
    """All pairs of positions that the plan compares and that reach the threshold, and candidates below it.

    Memory: blocks, 64 bytes a row for sign codes, 4 x probes bytes a row and clustering, and some 24 bytes a pair; of
    pairs below the threshold a million, or those that are held.
    """
    return PairSearch(matrix, threshold, plan, seed, progress, rule).as_planned()


class PairSearch:
    """A search for pairs that grows: each step compares what no step before it has compared."""

    def __init__(
        self,
        matrix: Matrix,
        threshold: float,
        plan: Plan,
        seed: int,
        progress: Progress,
        rule: CandidateRule | None = None,
    ) -> None:
        self._matrix, self._threshold, self._plan = matrix, threshold, plan
        self._seed, self._progress, self._rule = seed, progress, rule
        self._floor = threshold if rule is None else rule.floor
        self._sample = cache(lambda: _sample(matrix, seed))
        self._choice = _choose(matrix, self._floor, plan, self._sample, seed)
        self._codes: Codes | None = None
        self._fitted: list[Float32] = []
        self._clusterings: list[Clustering] = []
        self._cells: list[Cells] = []
        self._collected = self._nothing()
        self._added: list[int] = []
        self._compared, self._rounds = 0, 0
        self._most = most_pairs()

    def as_planned(self) -> Found:
        """Compare all that the plan says, by the clusterings that are there and those that it takes beside."""
        if self._plan.exhaustive:
            self.compare_all()
        for number in range(0 if self._plan.exhaustive else self._plan.clusterings):
            if number == len(self._clusterings):
                self.add_clustering(self._plan.probes)
            for _ in range(self._plan.probes):
                self.add_probe(number)
        return self.found()

    def settle(self, plan: Plan) -> None:
        """Go by this plan from here on: what it does not need of the clusterings is let go."""
        if plan.lossless:
            self._choice = _choose(self._matrix, self._floor, plan, self._sample, self._seed)
        self._plan, kept = plan, 0 if plan.exhaustive else plan.clusterings
        del self._clusterings[kept:], self._cells[kept:], self._added[kept:]
        for clustering in self._clusterings:
            clustering.nearest = clustering.nearest[:, : plan.probes].copy()

    @property
    def clusterings(self) -> list[Clustering]:
        return self._clusterings

    @property
    def by_codes(self) -> bool:
        """Whether sign codes nominate; known from the first clustering on."""
        return self._codes is not None

    def pairs_of(self, rows: Int64) -> Pairs:
        """All pairs at the threshold of these positions with any others, by what nominates in this search. They are not
        collected. Memory: blocks, and some 40 bytes a pair."""
        jobs, stage = Jobs.of_some(rows, len(self._matrix), self._block), "comparing a pilot"
        found = Collected(len(self._matrix), self._threshold, None)
        alone = replace(self._joiner([]), floor=self._threshold, rule=None)
        for _, part in self._results(alone, jobs, lambda done: self._progress(stage, done, len(jobs))):
            found.merge(part)
            require_held(found.near, self._most, self._threshold)
        pairs = found.in_order()  # those of two of these rows twice, and each row with itself
        again = (np.diff(pairs.left, prepend=-1) == 0) & (np.diff(pairs.right, prepend=-1) == 0)
        return pairs.where(~again & (pairs.left != pairs.right))

    def compare_all(self) -> None:
        """Every row with every other."""
        self._added.append(0)
        jobs = Jobs.of_everything(len(self._matrix), self._block)
        self._run(jobs, 0, lambda done: self._progress("comparing", done, len(jobs)))

    def add_clustering(self, most_probes: int) -> None:
        """Fit another clustering, on another random subset, and find each row's `most_probes` nearest clusters."""
        number = len(self._clusterings)
        if not self._fitted:
            self._fitted = self._fit(number)
        centroids = self._fitted.pop(0)
        clusters = len(centroids)
        nearest = self._assigned(centroids, min(most_probes, clusters))
        self._clusterings.append(Clustering(nearest, clusters))
        self._cells.append(Cells.of(np.bincount(nearest[:, 0], minlength=clusters)))
        self._added.append(0)

    def _fit(self, number: int) -> list[Float32]:
        """Centroids of the number-th clustering; elsewhere of all those that are planned from there on, at once."""
        clusters, executor = self._plan.clusters, self._plan.executor
        last = max(self._plan.clusterings, number + 1) if executor else number + 1
        seeds = [(self._seed + each) % SEEDS for each in range(number, last)]
        samples = [(seed, fit_rows(len(self._matrix), clusters, seed)) for seed in seeds]
        if executor:
            return fit_elsewhere(executor, self._matrix, clusters, samples)
        return [fit(self._matrix.take(rows), clusters, seed) for seed, rows in samples]

    def _assigned(self, centroids: Float32, probes: int) -> Int32:
        """The nearest clusters of all rows; in passing, on the first time, their codes."""
        rows, number = len(self._matrix), len(self._clusterings)
        coder = self._choice.coder if self._codes is None else None
        total = max(self._plan.clusterings, number + 1) * rows
        found = Assigning(*self._where(centroids, probes, number), probes, coder).of_all(
            self._matrix,
            self._plan.executor,
            lambda done: self._progress("assigning clusters", done + number * rows, total),
        )
        self._codes = found.codes if coder else self._codes
        return found.nearest

    def _where(self, centroids: Float32, probes: int, number: int) -> tuple[Centroids, float]:
        """The clusters that rows are held against, and how far behind the nearest one they look: however far, where
        they are to look at all clusters, and else as far whatever their number, so that a search can grow."""
        if len(centroids) <= max(probes, MARGIN_PROBES):
            return Centroids.flat(centroids), float("inf")
        seed = (self._seed + number) % SEEDS
        near = in_regions(centroids, probes, seed)
        return near, margin_for(Assigner(near), self._sample(), self._floor, MARGIN_PROBES, seed)

    def add_probe(self, number: int = -1) -> None:
        """Compare each row with its next nearest cluster of the latest clustering, or that of this number; first with
        its own."""
        number %= len(self._clusterings)
        clustering = self._clusterings[number]
        total = clustering.clusters * max(self._plan.clusterings * self._plan.probes, self._rounds + 1)
        begun = clustering.clusters * self._rounds
        jobs = Jobs.of_round(clustering, self._block)
        clusters = jobs.spans[:, 0]
        stage = "comparing clusters"
        self._run(jobs, number, lambda done: self._progress(stage, begun + int(clusters[done - 1]) + 1, total))
        self._progress("comparing clusters", begun + clustering.clusters, total)
        clustering.rounds += 1
        self._rounds += 1

    def found(self) -> Found:
        """What was found until now."""
        comparison = Comparison(self._choice.backend.phrase, self._choice.note, self._compared, tuple(self._cells))
        return Found(self._collected.in_order(), list(self._added), comparison, self._collected.left_out)

    def _run(self, jobs: Jobs, number: int, report: Callable[[int], None]) -> None:
        """Do the jobs of a clustering of this number, and collect their pairs in order."""
        joiner = self._joiner(self._clusterings[: number + 1])
        for size, found in self._results(joiner, jobs, report):
            self._compared += size
            self._collected.merge(found)
            require_held(self._collected.near, self._most, self._threshold)
            self._added[number] += found.near

    @property
    def _block(self) -> int:
        return block_rows(self._choice.backend)

    def _joiner(self, clusterings: list[Clustering]) -> Joiner:
        codes, backend = self._codes, self._choice.backend
        return Joiner(self._matrix, self._threshold, self._floor, backend, codes, clusterings, self._rule)

    def _results(self, joiner: Joiner, jobs: Jobs, report: Callable[[int], None]) -> Iterator[tuple[int, Collected]]:
        """The comparisons of each job and what it found, in order. report: is told how many jobs are done."""
        spread = self._plan.executor is not None and len(jobs) > 0
        results = self._elsewhere(joiner, jobs, report) if spread else self._here(joiner, jobs)
        for done, result in enumerate(zip(jobs.sizes.tolist(), results, strict=True), start=1):
            yield result
            if not spread or done == len(jobs):
                report(done)

    def _here(self, joiner: Joiner, jobs: Jobs) -> Iterator[Collected]:
        """Several at once where the backend keeps to one thread: threads that share one job wait for each other, and
        for what else the machine has to do."""
        workers = threads() if joiner.backend.single_threaded else joiner.backend.at_once
        with (
            ThreadPoolExecutor(workers, initializer=keep_to_one_thread if workers > 1 else None) as pool,
            closing(cast(Any, pool.map(lambda number: joiner.pairs_of(jobs.job(number)), range(len(jobs))))) as results,
        ):  # closing cancels what is left
            yield from results

    def _elsewhere(self, joiner: Joiner, jobs: Jobs, report: Callable[[int], None]) -> Iterator[Collected]:
        """By the executor's workers. What they did for a run that was killed is there."""
        executor = self._plan.executor
        assert executor is not None
        work = write_work(executor, joiner, jobs, self._matrix.keep(executor.folder))
        finish(work, executor, lambda done: report(max(1, done * len(jobs) // work.tasks)))
        for number in range(work.tasks):
            yield from collected_of(work, number, joiner)

    def _nothing(self) -> Collected:
        return Collected(len(self._matrix), self._threshold, self._rule)


def _sample(matrix: Matrix, seed: int) -> Float32:
    """CHECK_ROWS random rows, others than those that k-means is fitted on."""
    rng = np.random.default_rng([seed, CHECK_ROWS])
    return matrix.take(np.sort(rng.choice(len(matrix), min(len(matrix), CHECK_ROWS), replace=False)))


def _choose(matrix: Matrix, threshold: float, plan: Plan, sample: Callable[[], Float32], seed: int) -> Choice:
    effort = plan.clusterings * comparisons(len(matrix), plan.clusters, plan.probes)
    lossless = plan.lossless  # such a run says that it has found everything
    return choose_backend(plan.backend, len(matrix), effort, threshold, sample, seed, lossless=lossless)
