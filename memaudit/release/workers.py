"""Several images at once, until one fails: what the others have made by then is taken all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from memaudit.errors import InputError
from memaudit.release.jobs import Job
from memaudit.types import Progress

A = TypeVar("A")
B = TypeVar("B")
_AHEAD = 2


def in_turn(
    jobs: Sequence[Job],
    workers: int,
    ask: Callable[[Job], tuple[A, str]],
    take: Callable[[Job, A], str],
    progress: Progress,
) -> None:
    """Ask for each image in one of `workers` threads, and take the answers in this one, as they come.

    ask: an answer, and why there is none; take: why it is none after all. Once one has failed no other is begun. No
    more than `_AHEAD` images for each thread are begun and not taken: a kill loses these, and memory is bounded by
    them. Raises InputError for the first that failed.
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
        try:
            for number, (job, answer) in enumerate(_as_they_come(pool, begun, jobs, _AHEAD * workers), 1):
                if answer is None:
                    continue
                failed = answer[1] or take(job, answer[0])
                if failed:
                    stopped.set()
                    wrong = wrong or f"the generator failed for {job.name} (prompt {job.prompt[:80]!r}): {failed}"
                progress("generating", number, len(jobs))
        finally:
            stopped.set()  # the pool waits for its threads, and what has not begun is not to begin now
    if wrong:
        raise InputError(wrong)


def _as_they_come(
    pool: ThreadPoolExecutor, call: Callable[[Job], B], jobs: Sequence[Job], most: int
) -> Iterator[tuple[Job, B]]:
    """Each job and what came of it; no more than `most` are with the pool, or wait to be taken."""
    left = iter(jobs)
    waiting = {pool.submit(call, job): job for job in islice(left, most)}
    while waiting:
        done = wait(waiting, return_when=FIRST_COMPLETED).done
        for future in [each for each in waiting if each in done]:  # in the order in which they were begun
            yield waiting.pop(future), future.result()
            waiting |= {pool.submit(call, job): job for job in islice(left, 1)}
