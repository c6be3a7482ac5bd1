"""Tasks on Ray: on the cluster that RAY_ADDRESS names, or on one of this machine that lasts as long as the command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memaudit import machine
from memaudit.errors import InputError, require
from memaudit.tasks.work import Work, log_of

ADDRESS = "RAY_ADDRESS"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_WAIT = 1.0  # seconds, until the tasks that are done are counted again


@contextmanager
def connected(parts: int) -> Iterator[int]:
    """With a cluster: the one that this process is connected to already, the one of RAY_ADDRESS, or one of its own, of
    this machine and `parts` processors (0: all). Gives the number of its processors.

    Raises MissingDependencyError without ray, InputError where there is no cluster."""
    ray = require("ray", "--executor ray", "choose --executor local:N")
    if ray.is_initialized():
        yield _processors(ray)
        return
    address = os.environ.get(ADDRESS)
    own = {} if address else {"num_cpus": parts or machine.cores(), "include_dashboard": False}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # noqa: BLE001 - of many kinds: a busy machine may fail to start one in time
        raise InputError(f"--executor ray: no cluster at {address or 'this machine'} ({_first_line(error)})") from None
    try:
        yield _processors(ray)
    finally:
        ray.shutdown()


def _processors(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def do_tasks(work: Work, parts: int, report: Callable[[int], None]) -> None:
    """Each task that is missing by itself, `parts` of them at a time; Ray does again what dies with a node."""
    ray = require("ray", "--executor ray")
    do_one = ray.remote(num_cpus=1, max_retries=2)(_do_one)
    waiting, running = work.missing(), dict[Any, int]()
    done = work.tasks - len(waiting)
    while waiting or running:
        while waiting and len(running) < parts:
            number = waiting.pop(0)
            running[do_one.remote(str(work.folder), work.module, work.tasks, number, os.getcwd())] = number
        ready, _ = ray.wait(list(running), timeout=_WAIT)
        for each in ready:
            _note(ray, each, work.folder, running.pop(each))
            done += 1
        report(done)


def _do_one(folder: str, module: str, tasks: int, number: int, where: str) -> None:
    """In a process of the cluster."""
    if os.path.isdir(where):
        os.chdir(where)
    Work(Path(folder), module, tasks).do_part(number, tasks)


def _note(ray: Any, each: Any, folder: Path, number: int) -> None:
    """What a task that failed said; the round counts what is missing."""
    try:
        ray.get(each)
    except Exception as error:  # noqa: BLE001 - of a task, whatever it is
        log_of(folder, str(number)).write_text(f"{error}\n")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
