"""Several images at once, until one fails: what the others have made by then is taken all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from memaudit.errors import InputError
from memaudit.release.jobs import Job
from memaudit.types import Progress

A = TypeVar("A")


def in_turn(
    jobs: Sequence[Job],
    workers: int,
    ask: Callable[[Job], tuple[A, str]],
    take: Callable[[Job, A], str],
    progress: Progress,
) -> None:
    """Ask for each image in one of `workers` threads, and take the answers in this one, in order.

    ask: an answer, and why there is none; take: why it is none after all. Once one has failed no other is begun. Raises
    InputError for the first that failed.
    """
    stopped, wrong = threading.Event(), ""

    def begun(job: Job) -> tuple[A, str] | None:
        if stopped.is_set():
            return None
        answer = ask(job)
        if answer[1]:
            stopped.set()
        return answer

    with ThreadPoolExecutor(workers) as pool:
        for number, (job, answer) in enumerate(zip(jobs, pool.map(begun, jobs), strict=True), 1):
            if answer is None:
                continue
            failed = answer[1] or take(job, answer[0])
            if failed:
                stopped.set()
                wrong = wrong or f"the generator failed for {job.name} (prompt {job.prompt[:80]!r}): {failed}"
            progress("generating", number, len(jobs))
    if wrong:
        raise InputError(wrong)
