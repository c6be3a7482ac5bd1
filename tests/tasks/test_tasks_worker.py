"""Workers end with who started them, and files of tasks go without those of others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from memaudit.errors import UsageError
from memaudit.machine import cores
from memaudit.tasks import Executor, beside, clear, cut, threads, worker, write_inputs
from memaudit.tasks.work import STARTED_BY

WORKER = "import time; do_tasks = lambda folder, numbers: time.sleep(60)"
PARENT = (
    "import os, subprocess, sys; print(subprocess.Popen(sys.argv[1:], env={**os.environ, %r: str(os.getpid())}).pid)"
)


def test_a_worker_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    (tmp_path / "sleeping_stage.py").write_text(WORKER)
    command = [sys.executable, "-m", worker.__name__, "sleeping_stage", str(tmp_path), "1", "0", "1"]
    search = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PARENT % STARTED_BY, *command],
        env={**os.environ, "PYTHONPATH": search},
        stdout=subprocess.PIPE,
        check=True,
    )
    pid, until = int(done.stdout), time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        if "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


def test_what_is_no_task_stays(tmp_path: Path) -> None:
    folder = beside(tmp_path / "out")
    write_inputs(folder, "fit", {"seed": 1}, {"rows": np.arange(3)})
    (folder / "mine").mkdir()
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]


@pytest.mark.parametrize(("count", "tasks"), [(0, 4), (1, 4), (7, 3), (8, 8)])
def test_cuts_hold_all_once(count: int, tasks: int) -> None:
    bounds = cut(count, tasks)
    assert (bounds[0], bounds[-1]) == (0, count)
    assert (np.diff(bounds) > 0).all()
    assert len(bounds) - 1 == min(count, tasks)


def test_a_worker_has_the_threads_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    assert threads() == cores()
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads() == 2


def test_ray_alone_takes_all_processors(tmp_path: Path) -> None:
    assert Executor.of("ray", tmp_path).parts == 0
    with pytest.raises(UsageError, match="local:N, slurm:N or ray:N"):
        Executor.of("dask:2", tmp_path)
