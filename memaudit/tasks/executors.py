"""Who does tasks: processes of this machine, a Slurm job array, or a Ray cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from memaudit import machine
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.tasks import ray_cluster
from memaudit.tasks.work import STARTED_BY, Work, log_of

KINDS = ("local", "slurm", "ray")
MOST_PARTS = 10_000
_ROUNDS_WITHOUT_PROGRESS = 2
_THREADS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")

Report = Callable[[int], None]


@dataclass(frozen=True)
class Executor:
    """Who does tasks. kind: one of KINDS; parts: processes, indices of a Slurm array, or tasks of Ray at a time;
    folder: where their files lie, on a disk that all of them see."""

    kind: str
    parts: int
    folder: Path

    @classmethod
    def of(cls, text: str, folder: Path) -> Executor:
        """`local:4`, `slurm:100`, `ray:8` or `ray`, as many as the cluster has processors (0). Raises UsageError for
        anything else."""
        if text == "ray":
            return cls(text, 0, folder)
        kind, colon, number = text.partition(":")
        if kind not in KINDS or not colon or not number.isascii() or not number.isdigit():
            raise UsageError(f"--executor {text!r}: expected local:N, slurm:N or ray:N, with N of them at a time")
        if not 1 <= int(number) <= MOST_PARTS:
            raise UsageError(f"--executor {text}: expected 1 to {MOST_PARTS:,} parts")
        return cls(kind, int(number), folder)


@contextmanager
def executing(text: str | None, folder: Path) -> Iterator[Executor | None]:
    """The executor of this name (None: none), with its files in `folder`. A Ray cluster that it starts ends with it.

    Raises UsageError for what is none, MissingDependencyError for ray where that is not installed.
    """
    executor = None if text is None else Executor.of(text, folder)
    if executor is None or executor.kind != "ray":
        yield executor
        return
    with ray_cluster.connected(executor.parts) as processors:
        yield replace(executor, parts=executor.parts or processors)


def threads() -> int:
    """How many threads a worker is to use: those that whoever started it gave it, else one a core."""
    given = next((value for name in _THREADS if (value := os.environ.get(name, "")).isdigit()), "0")
    return int(given) or machine.cores()


def finish(work: Work, executor: Executor, report: Report) -> None:
    """Have the tasks done, again where a worker was lost, as long as that does any. report: is told how many are.

    Raises InconclusiveError where two rounds did none: what workers said stands in `log-PART.txt` beside the tasks.
    """
    do = {"local": _local, "slurm": _slurm}.get(executor.kind, ray_cluster.do_tasks)
    missing, idle = work.missing(), 0
    while missing and idle < _ROUNDS_WITHOUT_PROGRESS:
        do(work, min(executor.parts, work.tasks), report)
        left = work.missing()
        idle = idle + 1 if len(left) == len(missing) else 0
        missing = left
    if missing:
        raise InconclusiveError(
            f"{len(missing):,} of {work.tasks:,} tasks were not done, twice over: {_last_words(work.folder)}; "
            f"run the same command again, it continues ({work.folder})"
        )


def _local(work: Work, parts: int, report: Report) -> None:
    own = str(max(1, machine.cores() // parts))
    environment = {**os.environ, "OMP_NUM_THREADS": own, "OPENBLAS_NUM_THREADS": own, STARTED_BY: str(os.getpid())}
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for part in range(parts):
            with log_of(work.folder, str(part)).open("wb") as log:
                command = [sys.executable, *_worker(work), str(part), str(parts)]
                workers.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        for worker in workers:
            while True:
                try:
                    worker.wait(1)
                    break
                except subprocess.TimeoutExpired:
                    report(work.tasks - len(work.missing()))
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()


def _worker(work: Work) -> list[str]:
    return ["-m", "memaudit.tasks.worker", work.module, str(work.folder), str(work.tasks)]


def _slurm(work: Work, parts: int, report: Report) -> None:
    """A job array, waited for. Partition, account, memory and time are those of SBATCH_… variables."""
    line = " ".join(map(quote, [sys.executable, *_worker(work)])) + f" $SLURM_ARRAY_TASK_ID {parts}"
    command = ["sbatch", "--wait", f"--array=0-{parts - 1}", f"--output={work.folder}/log-%a.txt", "--wrap", line]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"--executor slurm: sbatch cannot be run ({error.strerror}): run this where it is") from None
    log_of(work.folder, "submitted").write_text(done.stdout + done.stderr)
    report(work.tasks - len(work.missing()))


def _last_words(folder: Path) -> str:
    for path in sorted(folder.glob("log-*.txt")):
        lines = path.read_text(errors="replace").strip().splitlines()
        if lines:
            return f"{path.name} ends with {lines[-1][:200]!r}"
    return "no worker said why"
