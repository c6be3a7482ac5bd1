"""What a block of rows is compared with another one by, in this process or in others.

There a task is a run of jobs, and its file holds what each of them found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.candidates import CandidateRule, Collected
from memaudit.dedup.matrix import KeptMatrix
from memaudit.dedup.nearest import Int32
from memaudit.similarity import Pairs
from memaudit.similarity.backends import keep_to_one_thread
from memaudit.similarity.codes import BITS, Codes
from memaudit.similarity.join import join
from memaudit.similarity.nominate import (
    Backend,
    FusedProducts,
    HalfProducts,
    Products,
    Side,
    SignCodes,
    cuda_is_there,
    fastest_lossless,
    on_cards,
)
from memaudit.tasks import TASKS_A_PART, Executor, Work, read_found, read_inputs, write_found, write_inputs
from memaudit.types import Float32, Int64

BLOCK_ROWS = 8192
_COLUMNS = ("near", "near_scores", "below", "below_scores")


class Rows(Protocol):
    """Embeddings by position."""

    dim: int

    def __len__(self) -> int: ...

    def take(self, positions: Int64 | slice) -> Float32: ...


@dataclass
class Clustering:
    """The nearest clusters of each row (n, most) int32, nearest first, -1 for one that is too far to hold a
    near-duplicate; and how many of them were compared."""

    nearest: Int32
    clusters: int
    rounds: int = 0

    def members(self, place: int) -> tuple[Int64, Int64]:
        """Positions by their `place`-th nearest cluster, rising within one; and where each cluster begins and ends."""
        column = self.nearest[:, place]
        order = np.argsort(column, kind="stable")
        return order, np.searchsorted(column[order], np.arange(self.clusters + 1))

    def comparisons(self, probes: int) -> int:
        """How many pairs so many rounds look at, counted from both sides after the first."""
        columns = self.nearest[:, :probes].T
        sizes = [np.bincount(column[column >= 0], minlength=self.clusters) for column in columns]
        return int(sizes[0] @ (sizes[0] - 1) // 2 + sum(int(sizes[0] @ visitors) for visitors in sizes[1:]))

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


class Job(NamedTuple):
    """A block of one cluster's members, to be compared with another block, or (None) with itself."""

    cluster: int
    own: Int64
    others: Int64 | None

    @property
    def size(self) -> int:
        return len(self.own) * (len(self.own) - 1) // 2 if self.others is None else len(self.own) * len(self.others)


@dataclass(frozen=True)
class Jobs:
    """Jobs as spans (n, 5): the cluster, from where to where in `own`, and in `others`; -1 and -1: with itself."""

    own: Int64
    others: Int64
    spans: Int64

    def __len__(self) -> int:
        return len(self.spans)

    @classmethod
    def of_everything(cls, rows: int, block: int = 0) -> Jobs:
        """All rows with each other. block: rows of a job at most, as for the others (0: BLOCK_ROWS)."""
        everything = np.arange(rows, dtype=np.int64)
        return cls(everything, everything, _table(list(_spans(0, 0, rows, None, block))))

    @classmethod
    def of_some(cls, some: Int64, rows: int, block: int = 0) -> Jobs:
        """These positions with all, themselves included."""
        return cls(some, np.arange(rows, dtype=np.int64), _table(list(_spans(0, 0, len(some), (0, rows), block))))

    @classmethod
    def of_round(cls, clustering: Clustering, block: int = 0) -> Jobs:
        """Each cluster's members with each other, in later rounds with those whose next nearest cluster it is."""
        own, bounds = clustering.members(0)
        others, visiting = clustering.members(clustering.rounds) if clustering.rounds else (own, None)
        spans = list[tuple[int, ...]]()
        for number, (low, high) in enumerate(pairwise(bounds.tolist())):
            ends = None if visiting is None else (int(visiting[number]), int(visiting[number + 1]))
            spans += _spans(number, low, high, ends, block)
        return cls(own, others, _table(spans))

    def job(self, number: int) -> Job:
        cluster, low, high, first, last = self.spans[number].tolist()
        return Job(cluster, self.own[low:high], None if first < 0 else self.others[first:last])

    @property
    def sizes(self) -> Int64:
        """Comparisons of each."""
        own, others = self.spans[:, 2] - self.spans[:, 1], self.spans[:, 4] - self.spans[:, 3]
        return np.where(self.spans[:, 3] < 0, own * (own - 1) // 2, own * others)

    def tasks(self, count: int) -> Int64:
        """Where each of at most `count` tasks of about equal size begins, and the last one ends."""
        done = np.cumsum(np.maximum(self.sizes, 1))
        ends = np.searchsorted(done, done[-1] * np.arange(1, count + 1) / count)
        return np.unique(np.r_[0, ends + 1]).clip(max=len(self))


def block_rows(backend: Backend) -> int:
    """Rows of a job at most. A card gets as many as it takes at once: what surrounds a product of 8,192 takes longer
    there than the product does."""
    return backend.tile[0] if isinstance(backend, FusedProducts) else BLOCK_ROWS


def _spans(
    cluster: int, low: int, high: int, visitors: tuple[int, int] | None, block: int = 0
) -> Iterator[tuple[int, ...]]:
    """Members with each other, or with visitors. A giant cluster is walked in blocks, each with every other."""
    block = block or BLOCK_ROWS
    for start in range(low, high, block):
        stop = min(start + block, high)
        if visitors is None:
            yield cluster, start, stop, -1, -1
        first, last = (stop, high) if visitors is None else visitors
        for other in range(first, last, block):
            yield cluster, start, stop, other, min(other + block, last)


def _table(spans: list[tuple[int, ...]]) -> Int64:
    return np.array(spans, dtype=np.int64).reshape(-1, 5)


@dataclass(frozen=True)
class Joiner:
    """Compares blocks of rows: what it finds depends on the two blocks and on what earlier rounds compared."""

    rows: Rows
    threshold: float
    floor: float
    backend: Backend
    codes: Codes | None
    clusterings: list[Clustering]
    rule: CandidateRule | None

    def pairs_of(self, job: Job) -> Collected:
        left = self._side(job.own)
        right, targets = (None, job.own) if job.others is None else (self._side(job.others), job.others)

        def wanted(i: Int64, j: Int64) -> NDArray[np.bool_]:
            return self._is_new(job.own[i], targets[j])

        collected = Collected(len(self.rows), self.threshold, self.rule)
        for found in join(left, right, self.floor, self.backend, wanted if self.clusterings else None):
            collected.add(Pairs(job.own[found.left], targets[found.right], found.similarity))
        return collected

    def _is_new(self, hosts: Int64, visitors: Int64) -> NDArray[np.bool_]:
        new = ~self.clusterings[-1].twice(visitors, hosts)
        for clustering in self.clusterings:
            new &= ~clustering.compared(hosts, visitors)
        return new

    def _side(self, positions: Int64) -> Side:
        """With codes the embeddings of a few candidates are needed, else those of all, and more than once."""
        if self.codes is None:
            return Side.of(self.rows.take(positions))
        return Side(len(positions), _OnDemand(self.rows, positions).take, self.codes[positions])


class _OnDemand:
    """The embeddings of one block, each read from the scratch file when it is first asked for."""

    def __init__(self, rows: Rows, positions: Int64) -> None:
        self._rows, self._positions = rows, positions
        self._vectors = np.empty((len(positions), rows.dim), np.float32)
        self._there = np.zeros(len(positions), bool)

    def take(self, chosen: Int64 | slice) -> Float32:
        asked = np.arange(len(self._positions))[chosen]
        missing = asked[~self._there[asked]]
        self._vectors[missing] = self._rows.take(self._positions[missing])
        self._there[missing] = True
        return np.asarray(self._vectors[asked])


# --- the same in other processes ------------------------------------------------------------------------------------


def write_work(executor: Executor, joiner: Joiner, jobs: Jobs, embeddings: Path) -> Work:
    """Runs of jobs, of about equal cost, as tasks."""
    bounds = jobs.tasks(TASKS_A_PART * executor.parts)
    rule = joiner.rule
    arrays: dict[str, NDArray[Any]] = {"own": jobs.own, "others": jobs.others, "spans": jobs.spans, "bounds": bounds}
    arrays |= {f"nearest-{number}": each.nearest for number, each in enumerate(joiner.clusterings)}
    arrays |= {"codes": joiner.codes} if joiner.codes is not None else {}
    arrays |= {"place": rule.place, "apart": rule.apart} if rule is not None else {}
    told = {
        "embeddings": embeddings.name,
        "dim": joiner.rows.dim,
        "threshold": joiner.threshold,
        "floor": joiner.floor,
        "backend": _backend_as_dict(joiner.backend),
        "clusterings": [[each.clusters, each.rounds] for each in joiner.clusterings],
        "rule": None if rule is None else [rule.floor, rule.most],
    }
    return Work(write_inputs(executor.folder, "join", told, arrays), __name__, len(bounds) - 1)


def _backend_as_dict(backend: Backend) -> dict[str, Any]:
    told = {"name": backend.name}
    if isinstance(backend, SignCodes):
        return {**told, "radius": backend.radius}
    return {**told, "device": backend.device} if isinstance(backend, HalfProducts) else told  # fused: its name will do


def _backend_of(told: dict[str, Any], threshold: float) -> Backend:
    if told["name"] == "signs":
        return SignCodes(told["radius"], BITS)
    if told["name"] in ("fused", "cuda"):  # another machine may have other cards, or none
        if not cuda_is_there():
            return fastest_lossless(float("inf"), threshold)
        return on_cards(threshold) if told["name"] == "fused" else HalfProducts.on(told["device"], threshold)
    return HalfProducts.on(told["device"], threshold) if "device" in told else Products(threshold)


def read_work(folder: Path) -> tuple[Joiner, Jobs, Int64]:
    """What `write_work` wrote, and where each task begins."""
    told, arrays = read_inputs(folder)
    clusterings = [Clustering(arrays[f"nearest-{number}"], *each) for number, each in enumerate(told["clusterings"])]
    rule = None
    if told["rule"] is not None:
        floor, most = told["rule"]
        rule = CandidateRule(floor, most, arrays["place"], arrays["apart"])
    backend = _backend_of(told["backend"], told["floor"])
    rows = KeptMatrix(folder.parent / told["embeddings"], told["dim"])
    joiner = Joiner(rows, told["threshold"], told["floor"], backend, arrays.get("codes"), clusterings, rule)
    return joiner, Jobs(arrays["own"], arrays["others"], arrays["spans"]), arrays["bounds"]


def do_task(folder: Path, joiner: Joiner, jobs: Jobs, bounds: Int64, number: int) -> None:
    """Write what each job of a task found, one after the other, so that it is collected as if it were found here."""
    places = range(int(bounds[number]), int(bounds[number + 1]))
    found = [joiner.pairs_of(jobs.job(place)).as_arrays() for place in places]
    counts = np.array([[len(each[0]), len(each[2]), each[4]] for each in found], dtype=np.int64).reshape(-1, 3)
    columns = {name: np.concatenate([each[column] for each in found]) for column, name in enumerate(_COLUMNS)}
    write_found(folder, number, {"counts": counts, **columns})


def collected_of(work: Work, number: int, joiner: Joiner) -> Iterator[Collected]:
    """What each job of a task found. Raises InconclusiveError for a file that is damaged."""
    found = read_found(work.folder, number, ("counts", *_COLUMNS))
    counts, (near, near_scores, below, below_scores) = found["counts"], (found[name] for name in _COLUMNS)
    ends = np.cumsum(counts, axis=0)
    for (many, few, left_out), (high, top, _) in zip(counts.tolist(), ends.tolist(), strict=True):
        first, second = slice(high - many, high), slice(top - few, top)
        arrays = near[first], near_scores[first], below[second], below_scores[second], left_out
        yield Collected.of_arrays(len(joiner.rows), joiner.threshold, joiner.rule, *arrays)


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    joiner, jobs, bounds = read_work(folder)
    if joiner.backend.single_threaded:
        keep_to_one_thread()
    for number in numbers:
        do_task(folder, joiner, jobs, bounds, number)
