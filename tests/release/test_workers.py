"""Images that are asked for at once: no more than can be taken in soon."""

from __future__ import annotations

import threading

from memaudit.release.jobs import Job
from memaudit.release.workers import in_turn
from memaudit.types import silent


def test_images_are_not_asked_for_far_ahead_of_those_that_are_written_down():
    """A kill would lose them, and they are paid for."""
    asked, taken, ahead = threading.Semaphore(0), [], []
    count = 0

    def ask(job: Job) -> tuple[str, str]:
        nonlocal count
        count += 1
        asked.release()
        return job.name, ""

    def take(job: Job, answer: str) -> str:
        while asked.acquire(timeout=0.05):  # whatever the threads still begin while this one writes
            pass
        taken.append(answer)
        ahead.append(count - len(taken))
        return ""

    in_turn([Job(f"{number:02d}", "", number) for number in range(20)], 2, ask, take, silent)
    assert sorted(taken) == [f"{number:02d}" for number in range(20)]
    assert max(ahead) <= 4
