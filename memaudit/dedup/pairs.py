"""Near-duplicate pairs: inside and between clusters, every pair scored exactly and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.candidates import CandidateRule, Collected
from memaudit.dedup.clusters import SEEDS, Assigner, Int32, Plan, comparisons, fit, fit_rows
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.results import Cells, Comparison
from memaudit.dedup.room import most_pairs, require_held
from memaudit.similarity import Pairs
from memaudit.similarity.backends import Choice, choose_backend, keep_to_one_thread, threads
from memaudit.similarity.codes import CODE_BYTES, Codes
from memaudit.similarity.join import join
from memaudit.similarity.nominate import Side
from memaudit.similarity.whole import Whole
from memaudit.types import Float32, Int64, Progress

__all__ = ["BLOCK_ROWS", "Clustering", "Comparison", "Found", "Matrix", "PairSearch", "compare"]
BLOCK_ROWS = 8192
CHECK_ROWS = 2048  # rows of the sample that a backend is chosen on


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

    Memory: blocks, 64 bytes a row for sign codes, 4 x probes bytes a row and clustering, and some 40 bytes a pair; of
    pairs below the threshold a million, or those that are held.
    """
    search = PairSearch(matrix, threshold, plan, seed, progress, rule)
    if plan.exhaustive:
        search.compare_all()
    for _ in range(0 if plan.exhaustive else plan.clusterings):
        search.add_clustering(plan.probes)
        for _ in range(plan.probes):
            search.add_probe()
    return search.found()


@dataclass
class Clustering:
    """The nearest clusters of each row (n, most) int32, nearest first, and how many of them were compared."""

    nearest: Int32
    clusters: int
    rounds: int = 0

    def members(self, place: int) -> Iterator[Int64]:
        """For each cluster the positions, rising, whose `place`-th nearest cluster it is."""
        column = self.nearest[:, place]
        order = np.argsort(column, kind="stable")
        bounds = np.searchsorted(column[order], np.arange(self.clusters + 1))
        return (order[low:high] for low, high in pairwise(bounds))

    def compared(self, left: Int64, right: Int64) -> NDArray[np.bool_]:
        """Whether an earlier round compared left[n] with right[n]: one's own cluster is among the other's."""
        seen = np.zeros(len(left), bool)
        for place in range(self.rounds):
            seen |= self.nearest[left, place] == self.nearest[right, 0]
            seen |= self.nearest[right, place] == self.nearest[left, 0]
        return seen

    def twice(self, visitors: Int64, hosts: Int64) -> NDArray[np.bool_]:
        """Whether this very round meets the pair from the other side as well, in a cluster of lower number."""
        home = self.nearest[visitors, 0]
        return np.asarray((self.nearest[hosts, self.rounds] == home) & (home < self.nearest[hosts, 0]))


class _Job(NamedTuple):
    """A block of one cluster's members, to be compared with another block, or (None) with itself."""

    cluster: int
    own: Int64
    others: Int64 | None

    @property
    def size(self) -> int:
        return len(self.own) * (len(self.own) - 1) // 2 if self.others is None else len(self.own) * len(self.others)


def _jobs(cluster: int, members: Int64, visitors: Int64 | None) -> Iterator[_Job]:
    """Members with each other, or with visitors. A giant cluster is walked in blocks, each with every other."""
    for low in range(0, len(members), BLOCK_ROWS):
        own = members[low : low + BLOCK_ROWS]
        if visitors is None:
            yield _Job(cluster, own, None)
        others = members[low + BLOCK_ROWS :] if visitors is None else visitors
        for start in range(0, len(others), BLOCK_ROWS):
            yield _Job(cluster, own, others[start : start + BLOCK_ROWS])


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
        self._choice = _choose(matrix, self._floor, plan, seed)
        self._codes: Codes | None = None
        self._clusterings: list[Clustering] = []
        self._cells: list[Cells] = []
        self._collected = self._nothing()
        self._added: list[int] = []
        self._compared, self._rounds = 0, 0
        self._most = most_pairs()

    def compare_all(self) -> None:
        """Every row with every other."""
        everything = np.arange(len(self._matrix), dtype=np.int64)
        self._added.append(0)
        jobs = list(_jobs(0, everything, None))
        self._run(jobs, lambda done: self._progress("comparing", done, len(jobs)))

    def add_clustering(self, most_probes: int) -> None:
        """Fit another clustering, on another random subset, and find each row's `most_probes` nearest clusters."""
        clusters, number = self._plan.clusters, len(self._clusterings)
        seed = (self._seed + number) % SEEDS
        assigner = Assigner(fit(self._matrix.take(fit_rows(len(self._matrix), clusters, seed)), clusters, seed))
        clustering = Clustering(self._assigned(assigner, min(most_probes, clusters)), clusters)
        self._clusterings.append(clustering)
        self._cells.append(Cells.of(np.bincount(clustering.nearest[:, 0], minlength=clusters)))
        self._added.append(0)

    def _assigned(self, assigner: Assigner, probes: int) -> Int32:
        """The nearest clusters of all rows; in passing, on the first time, their codes."""
        rows, number = len(self._matrix), len(self._clusterings)
        nearest = np.empty((rows, probes), np.int32)
        coder = self._choice.coder if self._codes is None else None
        codes = np.empty((rows if coder else 0, CODE_BYTES), np.uint8)
        for low, vectors in self._matrix.blocks():
            part, ready = slice(low, low + len(vectors)), Whole.each(vectors)
            nearest[part] = assigner.nearest(ready, probes)
            if coder:
                codes[part] = coder.encode(vectors, ready)
            self._progress(
                "assigning clusters", part.stop + number * rows, max(self._plan.clusterings, number + 1) * rows
            )
        self._codes = codes if coder else self._codes
        return nearest

    def add_probe(self) -> None:
        """Compare each row with its next nearest cluster of the latest clustering; first with its own."""
        clustering = self._clusterings[-1]
        place = clustering.rounds
        visiting = clustering.members(place) if place else [None] * clustering.clusters
        total = clustering.clusters * max(self._plan.clusterings * self._plan.probes, self._rounds + 1)
        begun = clustering.clusters * self._rounds
        pairs_of_cells = enumerate(zip(clustering.members(0), visiting, strict=True))
        jobs = [job for number, (own, visitors) in pairs_of_cells for job in _jobs(number, own, visitors)]
        self._run(jobs, lambda done: self._progress("comparing clusters", begun + jobs[done - 1].cluster + 1, total))
        self._progress("comparing clusters", begun + clustering.clusters, total)
        clustering.rounds += 1
        self._rounds += 1

    def found(self) -> Found:
        """What was found until now."""
        comparison = Comparison(self._choice.backend.phrase, self._choice.note, self._compared, tuple(self._cells))
        return Found(self._collected.in_order(), list(self._added), comparison, self._collected.left_out)

    def _run(self, jobs: list[_Job], report: Callable[[int], None]) -> None:
        """Do the jobs, collect their pairs in order, and report how many are done. Several at once where the backend
        keeps to one thread: threads that share one job wait for each other, and for what else the machine has to do."""
        workers = threads() if self._choice.backend.single_threaded else 1
        with (
            ThreadPoolExecutor(workers, initializer=keep_to_one_thread if workers > 1 else None) as pool,
            closing(cast(Any, pool.map(self._pairs_of, jobs))) as results,  # closing cancels what is left
        ):
            for done, (job, found) in enumerate(zip(jobs, results, strict=True), start=1):
                self._collect(job, found)
                report(done)

    def _nothing(self) -> Collected:
        return Collected(len(self._matrix), self._threshold, self._rule)

    def _pairs_of(self, job: _Job) -> Collected:
        left = self._side(job.own)
        right, targets = (None, job.own) if job.others is None else (self._side(job.others), job.others)

        def wanted(i: Int64, j: Int64) -> NDArray[np.bool_]:
            return self._is_new(job.own[i], targets[j])

        known = wanted if self._clusterings else None
        collected = self._nothing()
        for found in join(left, right, self._floor, self._choice.backend, known):
            collected.add(Pairs(job.own[found.left], targets[found.right], found.similarity))
        return collected

    def _collect(self, job: _Job, found: Collected) -> None:
        self._compared += job.size
        self._collected.merge(found)
        require_held(self._collected.near, self._most, self._threshold)
        self._added[-1] += found.near

    def _is_new(self, hosts: Int64, visitors: Int64) -> NDArray[np.bool_]:
        new = ~self._clusterings[-1].twice(visitors, hosts)
        for clustering in self._clusterings:
            new &= ~clustering.compared(hosts, visitors)
        return new

    def _side(self, positions: Int64) -> Side:
        """With codes the embeddings of a few candidates are needed, else those of all, and more than once."""
        if self._codes is None:
            return Side.of(self._matrix.take(positions))
        return Side(len(positions), _OnDemand(self._matrix, positions).take, self._codes[positions])


class _OnDemand:
    """The embeddings of one block, each read from the scratch file when it is first asked for."""

    def __init__(self, matrix: Matrix, positions: Int64) -> None:
        self._matrix, self._positions = matrix, positions
        self._vectors = np.empty((len(positions), matrix.dim), np.float32)
        self._there = np.zeros(len(positions), bool)

    def take(self, chosen: Int64 | slice) -> Float32:
        asked = np.arange(len(self._positions))[chosen]
        missing = asked[~self._there[asked]]
        self._vectors[missing] = self._matrix.take(self._positions[missing])
        self._there[missing] = True
        return np.asarray(self._vectors[asked])


def _choose(matrix: Matrix, threshold: float, plan: Plan, seed: int) -> Choice:
    def sample() -> Float32:
        size = min(len(matrix), CHECK_ROWS)
        rng = np.random.default_rng([seed, CHECK_ROWS])  # others than those that k-means is fitted on
        return matrix.take(np.sort(rng.choice(len(matrix), size, replace=False)))

    effort = plan.clusterings * comparisons(len(matrix), plan.clusters, plan.probes)
    lossless = plan.exhaustive  # such a run says that it has found everything
    return choose_backend(plan.backend, len(matrix), effort, threshold, sample, seed, lossless=lossless)
