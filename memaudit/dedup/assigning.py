"""Rows assigned to clusters, in this process or in others: there a task is a run of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from memaudit.dedup.matrix import BLOCK_ROWS, KeptMatrix, Matrix
from memaudit.dedup.nearest import Assigner, Centroids, Int32
from memaudit.similarity.backends import keep_to_one_thread, threads
from memaudit.similarity.codes import CODE_BYTES, Coder, Codes
from memaudit.similarity.whole import Whole
from memaudit.tasks import (
    TASKS_A_PART,
    Executor,
    Work,
    cut_in_blocks,
    finish,
    read_found,
    read_inputs,
    write_found,
    write_inputs,
)
from memaudit.types import Float32


class Assigned(NamedTuple):
    """The nearest clusters of rows (n, probes), nearest first, -1 for one that is too far, and their codes, of no rows
    where there is no coder."""

    nearest: Int32
    codes: Codes

    @classmethod
    def empty(cls, rows: int, probes: int, *, coded: bool) -> Assigned:
        """Columns to be filled."""
        return cls(np.empty((rows, probes), np.int32), np.empty((rows if coded else 0, CODE_BYTES), np.uint8))

    def put(self, low: int, found: Assigned) -> None:
        """Write these from row `low` on."""
        self.nearest[low : low + len(found.nearest)] = found.nearest
        self.codes[low : low + len(found.codes)] = found.codes


@dataclass(frozen=True)
class Assigning:
    """What rows are assigned by. margin: how far behind the nearest a cluster may lie; coder: None makes no codes."""

    centroids: Centroids
    margin: float
    probes: int
    coder: Coder | None

    def of_all(self, matrix: Matrix, executor: Executor | None, report: Callable[[int], None]) -> Assigned:
        """All rows. report: is told how many are done."""
        found = Assigned.empty(len(matrix), self.probes, coded=self.coder is not None)
        for low, part in self._elsewhere(matrix, executor, report) if executor else self._here(matrix):
            found.put(low, part)
            report(low + len(part.nearest))
        return found

    def _here(self, matrix: Matrix) -> Iterator[tuple[int, Assigned]]:
        """A block by each thread: most of the work is not in the products, which alone would be shared."""
        assigner = Assigner(self.centroids)

        def found(low: int) -> Assigned:
            return self.of_block(assigner, matrix.take(slice(low, low + BLOCK_ROWS)))

        lows, workers = range(0, len(matrix), BLOCK_ROWS), threads()  # asked first: FAISS is limited as well, below
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers, initializer=keep_to_one_thread) as pool:
            yield from zip(lows, pool.map(found, lows), strict=True)

    def of_block(self, assigner: Assigner, vectors: Float32) -> Assigned:
        """assigner: by the centroids."""
        ready = Whole.each(vectors)
        none = np.empty((0, CODE_BYTES), np.uint8)
        return Assigned(
            assigner.nearest(ready, self.probes, self.margin), self.coder.encode(vectors, ready) if self.coder else none
        )

    def _elsewhere(
        self, matrix: Matrix, executor: Executor, report: Callable[[int], None]
    ) -> Iterator[tuple[int, Assigned]]:
        bounds = cut_in_blocks(len(matrix), BLOCK_ROWS, TASKS_A_PART * executor.parts)
        told = {
            "embeddings": matrix.keep(executor.folder).name,
            "dim": matrix.dim,
            "margin": None if self.margin == inf else self.margin,
            "probes": self.probes,
            "radius": self.coder.radius if self.coder else None,
        }
        arrays: dict[str, NDArray[Any]] = {"bounds": bounds, **self.centroids._asdict()}
        arrays |= self.coder.as_arrays() if self.coder else {}
        work = Work(write_inputs(executor.folder, "assign", told, arrays), __name__, len(bounds) - 1)
        finish(work, executor, lambda done: report(int(bounds[done])))
        for number in range(work.tasks):
            yield int(bounds[number]), Assigned(**read_found(work.folder, number, Assigned._fields))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    rows, bounds = KeptMatrix(folder.parent / told["embeddings"], told["dim"]), arrays["bounds"]
    coder = None if told["radius"] is None else Coder.of_arrays(arrays, told["radius"])
    centroids = Centroids(*(np.array(arrays[name]) for name in Centroids._fields))
    margin = inf if told["margin"] is None else told["margin"]
    assigning, assigner = Assigning(centroids, margin, told["probes"], coder), Assigner(centroids)
    for number in numbers:
        low, high = bounds[number : number + 2].tolist()
        found = Assigned.empty(high - low, told["probes"], coded=coder is not None)
        for start in range(low, high, BLOCK_ROWS):
            block = rows.take(slice(start, min(start + BLOCK_ROWS, high)))
            found.put(start - low, assigning.of_block(assigner, block))
        write_found(folder, number, found._asdict())
