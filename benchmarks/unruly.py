"""`python -m benchmarks.unruly HOW dedup ...`: memaudit with workers as a cluster may treat them.

shuffled: each worker does tasks of any part, in an order drawn by lot. doubled: each part is done by two workers at
once. killed: workers get SIGKILL at moments drawn by lot, as often as `KILLS`. slurm: `sbatch` is a stand-in that runs
the indices, from the last to the first, and loses one the first time.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from memaudit.cli.app import run
from memaudit.tasks import Work, executors

KILLS = 6
_AFTER = (0.3, 3.0)  # seconds of a worker's life
_local = executors._local
_drawn = random.Random(0)


def shuffled(work: Work, parts: int, report: Callable[[int], None]) -> None:
    numbers = work.missing()
    _drawn.shuffle(numbers)
    given = [numbers[part::parts] for part in range(parts)]
    command = [sys.executable, "-m", "benchmarks.unruly", "tasks", work.module, str(work.folder)]
    for worker in [subprocess.Popen([*command, *map(str, some)], stderr=subprocess.DEVNULL) for some in given if some]:
        worker.wait()
    report(work.tasks - len(work.missing()))


def doubled(work: Work, parts: int, report: Callable[[int], None]) -> None:
    twice = [threading.Thread(target=_local, args=(work, parts, report)) for _ in range(2)]
    for thread in twice:
        thread.start()
    for thread in twice:
        thread.join()


class Killing:
    """Starts workers, and kills some of them."""

    def __init__(self) -> None:
        self._left, self._popen = KILLS, subprocess.Popen

    def __call__(self, command: Sequence[str], **named: Any) -> subprocess.Popen[bytes]:
        worker = self._popen(command, **named)
        if self._left > 0 and _drawn.random() < 0.5:
            self._left -= 1
            threading.Thread(target=self._kill, args=(worker, _drawn.uniform(*_AFTER)), daemon=True).start()
        return worker

    def _kill(self, worker: subprocess.Popen[bytes], after: float) -> None:
        time.sleep(after)
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGKILL)


_SBATCH = """#!{python}
import os, re, subprocess, sys
given = sys.argv[1:]
last = int(next(re.fullmatch("--array=0-([0-9]+)", each) for each in given if each.startswith("--array"))[1])
log = next(each for each in given if each.startswith("--output=")).partition("=")[2]
first = not os.path.exists({seen!r})
open({seen!r}, "w").close()
running = []
for index in reversed(range(last + 1)):
    if not (first and index == 1):  # a node is lost
        told = open(log.replace("%a", str(index)), "wb")
        own = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(index), "SLURM_CPUS_PER_TASK": "1", "OMP_NUM_THREADS": "1"}}
        running.append(subprocess.Popen(["bash", "-c", given[-1]], stdout=told, stderr=told, env=own))
for each in running:
    each.wait()
"""


def with_stand_in(folder: Path) -> None:
    """Put an sbatch of its own into a folder, and that first in PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "sbatch"
    program.write_text(_SBATCH.format(python=sys.executable, seen=str(folder / "seen")))
    program.chmod(0o755)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def main(how: str, arguments: Sequence[str]) -> int:
    if how == "tasks":
        module, folder, *numbers = arguments
        import_module(module).do_tasks(Path(folder), list(map(int, numbers)))
        return 0
    if how == "slurm":
        with_stand_in(Path(arguments[arguments.index("--out") + 1] + "-bin"))
    elif how == "killed":
        executors.subprocess.Popen = Killing()  # type: ignore[attr-defined]
    else:
        executors._local = {"shuffled": shuffled, "doubled": doubled}[how]
    return run(list(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
