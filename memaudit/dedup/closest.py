"""Of each of some rows of a store the most similar others, in this process or in others: there a task is a run of
blocks, each with all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.dedup import task_stores
from memaudit.similarity import Pairs, top_k
from memaudit.store import Block, Store
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
from memaudit.types import Int64, Progress

ROWS = 4096  # at once
_STAGE = "looking for the most similar images"


class Closest(NamedTuple):
    """Rows, rising; `most` others of each, of a similarity from `floor` on and below `near`."""

    store: Store
    rows: Int64
    most: int
    floor: float
    near: float

    def pairs(self, executor: Executor | None, progress: Progress) -> Pairs:
        """Positions in `rows`, sorted, each pair once. executor: None is this process. Memory: a block, and the
        pairs."""

        def report(done: int) -> None:
            progress(_STAGE, done, len(self.rows))

        found = self._elsewhere(executor, report) if executor and len(self.rows) else self.of(0, len(self.rows), report)
        joined = Pairs.joined([Pairs.none(), *found])
        _, first = np.unique(joined.left.astype(np.int64) * max(1, len(self.rows)) + joined.right, return_index=True)
        return joined.where(first)

    def of(self, first: int, last: int, report: Callable[[int], None]) -> Iterator[Pairs]:
        """Those of the rows from the first to before the last, block by block; some are there twice."""
        floor, near = np.float32(self.floor), np.float32(self.near)
        for low in range(first, last, ROWS):
            part = self.rows[low : min(low + ROWS, last)]
            best = top_k(self.store.embeddings(part), self._blocks(), self.most + 1, 1.0)
            own = np.repeat(np.arange(low, low + len(part)), best.rows.shape[1])
            other, similarity = np.searchsorted(self.rows, best.rows.ravel()), best.similarity.ravel()
            chosen = (best.rows.ravel() >= 0) & (own != other) & (similarity >= floor) & (similarity < near)
            left, right = np.sort([own[chosen], other[chosen]], axis=0)
            yield Pairs(left, right, similarity[chosen])
            report(low + len(part))

    def _blocks(self) -> Iterator[Block]:
        for low in range(0, len(self.rows), ROWS):
            part = self.rows[low : low + ROWS]
            yield Block(part, self.store.embeddings(part))

    def _elsewhere(self, executor: Executor, report: Callable[[int], None]) -> Iterator[Pairs]:
        bounds = cut_in_blocks(len(self.rows), ROWS, TASKS_A_PART * executor.parts)
        numbers = {"most": self.most, "floor": self.floor, "near": self.near}
        told = {"store": task_stores.told_of(self.store), **numbers}
        folder = write_inputs(executor.folder, "closest", told, {"rows": self.rows, "bounds": bounds})
        work = Work(folder, __name__, len(bounds) - 1)
        finish(work, executor, lambda done: report(int(bounds[done])))
        for number in range(work.tasks):
            yield Pairs(**read_found(work.folder, number, Pairs._fields))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    rows = np.array(arrays["rows"])
    closest = Closest(task_stores.opened(told["store"]), rows, told["most"], told["floor"], told["near"])
    for number in numbers:
        low, high = arrays["bounds"][number : number + 2].tolist()
        found = Pairs.joined([Pairs.none(), *closest.of(low, high, lambda done: None)])
        write_found(folder, number, found._asdict())
