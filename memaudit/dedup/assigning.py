"""Rows assigned to clusters, in this process or in others: there a task is a run of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.clusters import Assigner, Int32
from memaudit.dedup.matrix import BLOCK_ROWS, KeptMatrix, Matrix
from memaudit.similarity.codes import CODE_BYTES, Coder, Codes
from memaudit.similarity.whole import Whole
from memaudit.tasks import (
    TASKS_A_PART,
    Executor,
    Work,
    cut,
    finish,
    read_found,
    read_inputs,
    write_found,
    write_inputs,
)
from memaudit.types import Float32


class Assigned(NamedTuple):
    """The nearest clusters of rows (n, probes), nearest first, and their codes, of no rows where there is no coder."""

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
    """What rows are assigned by. centroids: (clusters, dim); coder: None makes no codes."""

    centroids: Float32
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
        assigner = Assigner(self.centroids)
        for low, vectors in matrix.blocks():
            yield low, self.of_block(assigner, vectors)

    def of_block(self, assigner: Assigner, vectors: Float32) -> Assigned:
        """assigner: by the centroids."""
        ready = Whole.each(vectors)
        none = np.empty((0, CODE_BYTES), np.uint8)
        return Assigned(assigner.nearest(ready, self.probes), self.coder.encode(vectors, ready) if self.coder else none)

    def _elsewhere(
        self, matrix: Matrix, executor: Executor, report: Callable[[int], None]
    ) -> Iterator[tuple[int, Assigned]]:
        bounds = BLOCK_ROWS * cut(-(-len(matrix) // BLOCK_ROWS), TASKS_A_PART * executor.parts)
        told = {
            "embeddings": matrix.keep(executor.folder).name,
            "dim": matrix.dim,
            "probes": self.probes,
            "radius": self.coder.radius if self.coder else None,
        }
        arrays: dict[str, NDArray[Any]] = {"centroids": self.centroids, "bounds": bounds}
        arrays |= self.coder.as_arrays() if self.coder else {}
        work = Work(write_inputs(executor.folder, "assign", told, arrays), __name__, len(bounds) - 1)
        finish(work, executor, lambda done: report(min(int(bounds[done]), len(matrix))))
        for number in range(work.tasks):
            yield int(bounds[number]), Assigned(**read_found(work.folder, number, Assigned._fields))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    rows, bounds = KeptMatrix(folder.parent / told["embeddings"], told["dim"]), arrays["bounds"]
    coder = None if told["radius"] is None else Coder.of_arrays(arrays, told["radius"])
    centroids = np.array(arrays["centroids"])
    assigning, assigner = Assigning(centroids, told["probes"], coder), Assigner(centroids)
    for number in numbers:
        low, high = int(bounds[number]), min(int(bounds[number + 1]), len(rows))
        found = Assigned.empty(high - low, told["probes"], coded=coder is not None)
        for start in range(low, high, BLOCK_ROWS):
            block = rows.take(slice(start, min(start + BLOCK_ROWS, high)))
            found.put(start - low, assigning.of_block(assigner, block))
        write_found(folder, number, found._asdict())
