"""A bounded queue before the guard: pictures wait in it, a few at a time are checked together by one thread, and what
finds no room, or no answer in time, is inconclusive."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from memaudit.guard.check import Guard, GuardVerdict, undecided
from memaudit.guard.metrics import Metrics
from memaudit.store import NO_FILE

TOGETHER = 8  # pictures that are checked at once
_STEP = 0.5  # seconds between two looks at whether it is to end


class FullError(Exception):
    """There is no room for one more picture."""


class _Job:
    """A picture that waits. done: it has its verdict; left: whoever asked is gone, and nobody waits for it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.done = threading.Event()
        self.verdict = undecided("the server ended before it was looked at")
        self.left = False


class Desk:
    """waiting: pictures that may wait. seconds: how long one may take, its waiting included. decided: told of each
    verdict. Use as a context: when it ends, what waits is inconclusive.

    Memory: the bytes of so many pictures, and the views of TOGETHER of them.
    """

    def __init__(
        self,
        guard: Guard,
        metrics: Metrics,
        waiting: int,
        seconds: float,
        decided: Callable[[GuardVerdict], None] = lambda verdict: None,
    ) -> None:
        self._guard, self._metrics, self._decided = guard, metrics, decided
        self.seconds = seconds
        self._jobs: queue.Queue[_Job] = queue.Queue(waiting)
        self._ending = threading.Event()
        self._worker = threading.Thread(target=self._work, name="guard", daemon=True)
        metrics.waiting = self._jobs.qsize

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing can pass."""
        return self._guard.facts

    @property
    def notes(self) -> tuple[str, ...]:
        """What no verdict speaks of."""
        return self._guard.noted

    def check(self, data: bytes) -> GuardVerdict:
        """The verdict on a picture, when it has one. Raises FullError."""
        job, start = _Job(data), time.perf_counter()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise FullError from None
        if self._ending.is_set():  # nobody looks into the queue any more
            job.done.set()
        if not job.done.wait(self.seconds):
            job.left = True
            job.verdict = undecided(f"no verdict within {self.seconds:g} s: the server is busy, ask again")
        verdict = job.verdict
        if verdict.sha256 == NO_FILE:  # nobody came to look at it: the log still says which picture it was
            verdict = replace(verdict, sha256=hashlib.sha256(data).hexdigest())
        self._metrics.decided(str(verdict.verdict), time.perf_counter() - start)
        self._decided(verdict)
        return verdict

    def _work(self) -> None:
        while not self._ending.is_set():
            jobs = self._next()
            wanted = [job for job in jobs if not job.left]
            for job, verdict in zip(wanted, self._verdicts(wanted), strict=True):
                job.verdict = verdict
                job.done.set()

    def _next(self) -> list[_Job]:
        """Those that wait, a few at most; none after a while."""
        jobs = list[_Job]()
        with suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=_STEP))
            while len(jobs) < TOGETHER:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _verdicts(self, jobs: list[_Job]) -> list[GuardVerdict]:
        if not jobs:
            return []
        try:
            return self._guard.check_many([job.data for job in jobs])
        except Exception as error:  # noqa: BLE001 - one that is not foreseen must neither end the server nor pass a picture
            return [undecided(f"internal error ({type(error).__name__}): {error}")] * len(jobs)

    def __enter__(self) -> Desk:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._worker.join()
        with suppress(queue.Empty):
            while True:
                self._jobs.get_nowait().done.set()
