"""Sampled rows compared exactly with all others, in this process or in others: there a task is a run of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from memaudit.dedup.matrix import BLOCK_ROWS, KeptMatrix, Matrix
from memaudit.similarity import Pairs
from memaudit.similarity.backends import keep_to_one_thread, threads
from memaudit.similarity.join import join
from memaudit.similarity.nominate import Backend, HeadProducts, Side, fastest_lossless
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
from memaudit.types import Float32, Int64, Progress

QUERIES = 4096  # sampled images compared with a block at once
_STAGE = "measuring recall"
_TRIED = 512  # rows of either side that a head is chosen on


class Rows(Protocol):
    """Embeddings by position."""

    def __len__(self) -> int: ...

    def take(self, positions: Int64 | slice) -> Float32: ...


def true_pairs(
    matrix: Matrix, rows: Int64, threshold: float, progress: Progress, executor: Executor | None = None
) -> Pairs:
    """Exact pairs (sampled position, other position)."""
    jobs = _Jobs(len(rows), len(matrix))
    if executor is not None and len(jobs):
        return _elsewhere(executor, matrix, rows, threshold, progress)
    parts = []
    for number, pairs in enumerate(_found(matrix, rows, threshold, range(len(jobs)), threads())):
        parts.append(pairs)
        progress(_STAGE, jobs.done(number), len(matrix))
    return Pairs.joined(parts)


class _Jobs(NamedTuple):
    """Each run of queries with each block, one after the other."""

    sampled: int
    rows: int

    def __len__(self) -> int:
        return -(-self.sampled // QUERIES) * self._blocks

    @property
    def _blocks(self) -> int:
        return -(-self.rows // BLOCK_ROWS)

    def starts(self, number: int) -> tuple[int, int]:
        """Of the queries, and of the block."""
        run, block = divmod(number, self._blocks)
        return run * QUERIES, block * BLOCK_ROWS

    def done(self, number: int) -> int:
        """How many rows all of the sample was compared with after it, were it all compared with each in turn."""
        start, low = self.starts(number)
        queries, high = min(QUERIES, self.sampled - start), min(low + BLOCK_ROWS, self.rows)
        return (start * self.rows + queries * high) // self.sampled


def _found(matrix: Rows, rows: Int64, threshold: float, numbers: Sequence[int], workers: int = 1) -> Iterator[Pairs]:
    """What each of these jobs finds."""
    jobs, backend = _Jobs(len(rows), len(matrix)), _backend(matrix, rows, threshold)
    queries = lru_cache(2)(lambda start: matrix.take(rows[start : start + QUERIES]))

    def found(number: int) -> Pairs:
        start, low = jobs.starts(number)
        vectors, parts = matrix.take(slice(low, low + BLOCK_ROWS)), []
        for pairs in join(Side.of(queries(start)), Side.of(vectors), threshold, backend):
            left, right = rows[pairs.left + start], pairs.right + low
            other = left != right
            parts.append(Pairs(left[other], right[other], pairs.similarity[other]))
        return Pairs.joined(parts)

    if workers == 1 or not backend.single_threaded:
        yield from map(found, numbers)
        return
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers, initializer=keep_to_one_thread) as pool:
        yield from pool.map(found, numbers)


def _backend(matrix: Rows, rows: Int64, threshold: float) -> Backend:
    backend: Backend = fastest_lossless(len(rows) * len(matrix), threshold)
    if backend.name != "product":
        return backend
    return HeadProducts.fitted(matrix.take(rows[:_TRIED]), matrix.take(slice(0, _TRIED)), threshold) or backend


def _elsewhere(executor: Executor, matrix: Matrix, rows: Int64, threshold: float, progress: Progress) -> Pairs:
    jobs = _Jobs(len(rows), len(matrix))
    bounds = cut(len(jobs), TASKS_A_PART * executor.parts)
    told = {"embeddings": matrix.keep(executor.folder).name, "dim": matrix.dim, "threshold": threshold}
    work = Work(
        write_inputs(executor.folder, "sample", told, {"rows": rows, "bounds": bounds}), __name__, len(bounds) - 1
    )
    finish(work, executor, lambda done: progress(_STAGE, done * len(matrix) // work.tasks, len(matrix)))
    parts = [Pairs(**read_found(work.folder, number, Pairs._fields)) for number in range(work.tasks)]
    progress(_STAGE, len(matrix), len(matrix))
    return Pairs.joined(parts)


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    matrix, rows = KeptMatrix(folder.parent / told["embeddings"], told["dim"]), np.array(arrays["rows"])
    bounds = arrays["bounds"].tolist()
    for number in numbers:
        jobs = range(bounds[number], bounds[number + 1])
        write_found(folder, number, Pairs.joined(list(_found(matrix, rows, told["threshold"], jobs)))._asdict())
