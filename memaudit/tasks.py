"""Tasks that several processes share: each makes one file that appears whole, so that it does not matter who does it,
in which order, how often, or who died over it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from memaudit.errors import InconclusiveError, InputError, UsageError

KINDS = ("local", "slurm")
MOST_PARTS = 10_000
_ROUNDS_WITHOUT_PROGRESS = 2


@dataclass(frozen=True)
class Executor:
    """Who does tasks. kind: one of KINDS; parts: processes, or indices of a Slurm array, that share them; folder: where
    their files lie, on a disk that all of them see."""

    kind: str
    parts: int
    folder: Path

    @classmethod
    def of(cls, text: str, folder: Path) -> Executor:
        """`local:4` or `slurm:100`. Raises UsageError for anything else."""
        kind, colon, number = text.partition(":")
        if kind not in KINDS or not colon or not number.isascii() or not number.isdigit():
            raise UsageError(f"--executor {text!r}: expected local:N or slurm:N, with N processes or array indices")
        if not 1 <= int(number) <= MOST_PARTS:
            raise UsageError(f"--executor {text}: expected 1 to {MOST_PARTS:,} parts")
        return cls(kind, int(number), folder)


class Work(NamedTuple):
    """Tasks 0 to tasks - 1 in a folder. module: is run with folder, part and parts, and does the tasks of its part that
    are not done; done: whether the file of a task is there."""

    folder: Path
    module: str
    tasks: int
    done: Callable[[int], bool]

    def missing(self) -> list[int]:
        return [number for number in range(self.tasks) if not self.done(number)]


def of_part(count: int, part: int, parts: int) -> range:
    """The tasks of a part, of parts 0 to parts - 1."""
    return range(part, count, parts)


def finish(work: Work, executor: Executor, report: Callable[[int], None]) -> None:
    """Have the tasks done, again where a worker was lost, as long as that does any. report: is told how many are.

    Raises InconclusiveError where two rounds did none: what workers said stands in `log-PART.txt` beside the tasks.
    """
    missing, idle = work.missing(), 0
    while missing and idle < _ROUNDS_WITHOUT_PROGRESS:
        (_local if executor.kind == "local" else _slurm)(work, min(executor.parts, work.tasks), report)
        left = work.missing()
        idle = idle + 1 if len(left) == len(missing) else 0
        missing = left
    if missing:
        raise InconclusiveError(
            f"{len(missing):,} of {work.tasks:,} tasks were not done, twice over: {_last_words(work.folder)}; "
            f"run the same command again, it continues ({work.folder})"
        )


def _local(work: Work, parts: int, report: Callable[[int], None]) -> None:
    threads = str(max(1, (os.cpu_count() or 1) // parts))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    workers = []
    try:
        for part in range(parts):
            with _log(work.folder, part).open("wb") as log:
                command = [sys.executable, "-m", work.module, str(work.folder), str(part), str(parts)]
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


def _slurm(work: Work, parts: int, report: Callable[[int], None]) -> None:
    """A job array, waited for. Partition, account, memory and time are those of SBATCH_… variables."""
    index = "$SLURM_ARRAY_TASK_ID"
    line = f"{quote(sys.executable)} -m {work.module} {quote(str(work.folder))} {index} {parts}"
    command = ["sbatch", "--wait", f"--array=0-{parts - 1}", f"--output={work.folder}/log-%a.txt", "--wrap", line]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise InputError(f"--executor slurm: sbatch cannot be run ({error.strerror}): run this where it is") from None
    _log(work.folder, -1).write_text(done.stdout + done.stderr)
    report(work.tasks - len(work.missing()))


def _log(folder: Path, part: int) -> Path:
    return folder / ("log-submitted.txt" if part < 0 else f"log-{part}.txt")


def _last_words(folder: Path) -> str:
    for path in sorted(folder.glob("log-*.txt")):
        lines = path.read_text(errors="replace").strip().splitlines()
        if lines:
            return f"{path.name} ends with {lines[-1][:200]!r}"
    return "no worker said why"
