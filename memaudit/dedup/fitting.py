"""Clusterings fitted by other processes: a task fits one, on the sample that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memaudit.dedup.kmeans import fit
from memaudit.dedup.matrix import KeptMatrix, Matrix
from memaudit.tasks import Executor, Work, finish, read_found, read_inputs, write_found, write_inputs
from memaudit.types import Float32, Int64


def fit_elsewhere(
    executor: Executor, matrix: Matrix, clusters: int, samples: Sequence[tuple[int, Int64]]
) -> list[Float32]:
    """The centroids of a clustering for each seed and positions of its sample."""
    embeddings, seeds = matrix.keep(executor.folder), [seed for seed, _ in samples]
    told = {"embeddings": embeddings.name, "dim": matrix.dim, "clusters": clusters, "seeds": seeds}
    arrays = {f"rows-{number}": rows for number, (_, rows) in enumerate(samples)}
    work = Work(write_inputs(executor.folder, "fit", told, arrays), __name__, len(samples))
    finish(work, executor, lambda done: None)
    return [read_found(work.folder, number, ("centroids",))["centroids"] for number in range(work.tasks)]


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    rows = KeptMatrix(folder.parent / told["embeddings"], told["dim"])
    for number in numbers:
        sample = rows.take(np.array(arrays[f"rows-{number}"]))
        write_found(folder, number, {"centroids": fit(sample, told["clusters"], told["seeds"][number])})
