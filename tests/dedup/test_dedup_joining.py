"""Blocks compared by other processes: in any order, twice, killed and begun again, with the pairs of one process."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_workers import in_this_process, stand_in_for_slurm
from vectors import families, random_vectors, vector_store

import memaudit as ma
from memaudit.cli.app import run
from memaudit.dedup import assigning, joining
from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.clusters import Plan
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import Found, PairSearch, compare
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.store import Store
from memaudit.tasks import Executor, Work, executors, finish
from memaudit.types import silent

THRESHOLD = 0.8


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    vectors = np.concatenate([families(0, [12] * 12, dim=64, noise=0.45), random_vectors(5, 60, 64)])
    order = np.random.default_rng(0).permutation(len(vectors))
    return vector_store(tmp_path_factory.mktemp("joined") / "s", vectors[order])


@pytest.fixture(scope="module")
def matrix(store: Store) -> Matrix:
    return Matrix(None, store, store.comparable_rows())


def same(left: Found, right: Found) -> bool:
    pairs = all(np.array_equal(a, b) for a, b in zip(left.pairs, right.pairs, strict=True))
    return pairs and (left.added, left.comparison, left.left_out) == (right.added, right.comparison, right.left_out)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(0, 1, 1),
        Plan(5, 2, 3, backend="product"),
        Plan(5, 3, 2, backend="signs"),
    ],
    ids=str,
)
@pytest.mark.parametrize("candidates", [False, True])
def test_tasks_find_what_one_process_finds(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan, candidates: bool
) -> None:
    """Bit for bit, with what each clustering added, how much was compared, and candidates below the threshold."""
    monkeypatch.setattr(joining, "BLOCK_ROWS", 17)
    monkeypatch.setattr(assigning, "BLOCK_ROWS", 17)
    monkeypatch.setattr(executors, "_local", in_this_process)
    rule = CandidateRule(0.6, 3, np.arange(len(matrix)), np.array([[0, 1]])) if candidates else None
    expected = compare(matrix, THRESHOLD, plan, 0, silent, rule)
    assert len(expected.pairs.left) > 100
    for parts in (1, 3):
        spread = replace(plan, executor=Executor("local", parts, tmp_path / f"{parts}"))
        assert same(compare(matrix, THRESHOLD, spread, 0, silent, rule), expected)


def test_what_is_done_is_not_done_again(matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed goes on; another question has another folder."""
    monkeypatch.setattr(joining, "BLOCK_ROWS", 17)
    monkeypatch.setattr(executors, "_local", in_this_process)
    plan = Plan(0, 1, 1, executor=Executor("local", 2, tmp_path))
    first = compare(matrix, THRESHOLD, plan, 0, silent)

    def never(*given: Any) -> None:
        raise AssertionError("a task is done again")

    monkeypatch.setattr(joining, "do_task", never)
    assert same(compare(matrix, THRESHOLD, plan, 0, silent), first)
    with pytest.raises(AssertionError, match="done again"):
        compare(matrix, THRESHOLD + 0.01, plan, 0, silent)


def test_a_damaged_file_is_one_line(matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_local", in_this_process)
    plan = Plan(0, 1, 1, executor=Executor("local", 1, tmp_path))
    compare(matrix, THRESHOLD, plan, 0, silent)
    (path,) = tmp_path.glob("join-*/task-000000.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InconclusiveError, match=r"task-000000.npz is damaged .*: remove it and run again"):
        compare(matrix, THRESHOLD, plan, 0, silent)


def test_tasks_hold_all_jobs_once() -> None:
    """Of clusters of any sizes, empty ones among them, and of more tasks than jobs."""
    clustering = joining.Clustering(np.repeat([0, 2, 3], [40, 1, 19]).astype(np.int32)[:, None], 4)
    jobs = joining.Jobs.of_round(clustering)
    assert [jobs.job(number).size for number in range(len(jobs))] == jobs.sizes.tolist()
    for count in (1, 2, 3, 50):
        bounds = jobs.tasks(count)
        assert (bounds[0], bounds[-1]) == (0, len(jobs))
        assert (np.diff(bounds) > 0).all()
        assert len(bounds) - 1 <= count


@pytest.mark.parametrize("elsewhere", [False, True])
def test_cards_get_whole_blocks(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: bool
) -> None:
    """Two devices that are none: a pair of blocks is a job, however small other jobs are; the pairs are the same."""
    expected = compare(matrix, THRESHOLD, Plan(0, 1, 1, backend="product"), 0, silent)
    sizes = []

    def near_pairs(left: np.ndarray, right: np.ndarray, threshold: float, *_: object) -> tuple[np.ndarray, ...]:
        sizes.append((len(left), len(right)))
        return np.nonzero(left @ right.T >= threshold - 1e-5)

    for name in ("nominate", "backends"):
        monkeypatch.setattr(f"memaudit.similarity.{name}.fused_devices", lambda: ("cuda:0", "cuda:1"))
    monkeypatch.setattr("memaudit.similarity.backends.cuda_is_there", lambda: True)
    monkeypatch.setattr(joining, "cuda_is_there", lambda: True)
    monkeypatch.setattr("memaudit.similarity.nominate.near_pairs", near_pairs)
    monkeypatch.setattr(joining, "BLOCK_ROWS", 17)
    monkeypatch.setattr(executors, "_local", in_this_process)
    executor = Executor("local", 1, tmp_path) if elsewhere else None
    found = compare(matrix, THRESHOLD, Plan(0, 1, 1, backend="fused", executor=executor), 0, silent)
    assert all(np.array_equal(a, b) for a, b in zip(found.pairs, expected.pairs, strict=True))
    assert sizes == [(len(matrix), len(matrix))]


@pytest.mark.parametrize("backend", ["fused", "cuda"])
def test_a_worker_without_a_card_compares_on_its_processor(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str
) -> None:
    """Who began the run has one: what is found is the same."""
    expected = compare(matrix, THRESHOLD, Plan(0, 1, 1, backend="product"), 0, silent)
    for name in ("nominate", "backends"):
        monkeypatch.setattr(f"memaudit.similarity.{name}.fused_devices", lambda: ("cuda:0",))
    monkeypatch.setattr("memaudit.similarity.backends.cuda_is_there", lambda: True)
    monkeypatch.setattr("memaudit.similarity.nominate.cuda_is_there", lambda: False)
    monkeypatch.setattr(joining, "cuda_is_there", lambda: False)
    monkeypatch.setattr(executors, "_local", in_this_process)
    plan = Plan(0, 1, 1, backend=backend, executor=Executor("local", 2, tmp_path))
    found = compare(matrix, THRESHOLD, plan, 0, silent)
    assert all(np.array_equal(a, b) for a, b in zip(found.pairs, expected.pairs, strict=True))


# --- real processes ---------------------------------------------------------------------------------------------------


def decided(folder: Path) -> dict[str, bytes]:
    names = ("pairs.parquet", "groups.parquet", "decisions.parquet", "keep.txt", "drop.txt")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def alone(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("alone")
    ma.run_dedup(store, out)
    return decided(out)


def test_processes_that_are_killed_are_replaced(
    store: Store, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two workers one gets SIGKILL at once: the decisions are those of a single process, and no task is left."""
    started, popen = list[subprocess.Popen[bytes]](), subprocess.Popen

    def killing(*given: Any, **named: Any) -> subprocess.Popen[bytes]:
        worker = popen(*given, **named)
        started.append(worker)
        if len(started) == 1:
            os.kill(worker.pid, signal.SIGKILL)
        return worker

    monkeypatch.setattr(executors.subprocess, "Popen", killing)
    monkeypatch.setattr(joining, "TASKS_A_PART", 1)
    monkeypatch.setattr(joining, "BLOCK_ROWS", 50)
    ma.run_dedup(store, tmp_path / "out", executor="local:2")
    assert len(started) > 2
    assert decided(tmp_path / "out") == alone
    assert not (tmp_path / "out-tasks").exists()


def test_a_job_array_decides_the_same(
    store: Store, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for sbatch runs the indices from the last to the first, and loses one the first time."""
    stand_in_for_slurm(tmp_path, monkeypatch)
    monkeypatch.setattr(joining, "TASKS_A_PART", 1)
    monkeypatch.setattr(joining, "BLOCK_ROWS", 50)
    ma.run_dedup(store, tmp_path / "out", executor="slurm:2")
    assert decided(tmp_path / "out") == alone


def test_tasks_that_fail_again_say_why(tmp_path: Path) -> None:
    """Two rounds without progress, and it is given up, with the last words of a worker."""
    work = Work(tmp_path, "memaudit.dedup.joining", 3)
    with pytest.raises(
        InconclusiveError, match=r"3 of 3 tasks were not done, twice over: log-0.txt ends with .*inputs.json"
    ):
        finish(work, Executor("local", 1, tmp_path), lambda done: None)


def test_no_sbatch_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    work = Work(tmp_path, "memaudit.dedup.joining", 1)
    with pytest.raises(InputError, match="--executor slurm: sbatch cannot be run"):
        finish(work, Executor("slurm", 1, tmp_path), lambda done: None)


@pytest.mark.parametrize("wrong", ["local", "local:0", "local:-1", "local:x", "ray:0", "slurm:99999", ":4", "local:²"])
def test_an_impossible_executor_is_refused(store: Store, tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match="--executor"):
        ma.run_dedup(store, tmp_path / "out", executor=wrong)
    assert run(["dedup", str(store.folder), "--out", str(tmp_path / "out"), "--executor", wrong]) == 2


def test_search_goes_on_with_an_executor(matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step, as a target recall asks for it."""
    monkeypatch.setattr(executors, "_local", in_this_process)
    found = []
    for executor in (None, Executor("local", 2, tmp_path)):
        search = PairSearch(matrix, THRESHOLD, Plan(4, 1, 1, executor=executor), 0, silent)
        search.add_clustering(3)
        search.add_probe()
        search.add_probe()
        found.append(search.found())
    assert same(*found)
