"""Workers as a cluster may treat them: in shuffled order, twice, lost half-way; and a stand-in for Slurm."""

from __future__ import annotations

import os
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from memaudit.tasks import Work


def in_this_process(work: Work, parts: int, report: Any) -> None:
    """Tasks in shuffled order, each part twice, and a worker that is lost after its first task."""
    chosen = list(range(parts))
    random.Random(work.tasks).shuffle(chosen)
    lost = chosen[0] if work.missing() == list(range(work.tasks)) and parts > 1 else -1
    for part in (*chosen, *chosen):
        if part == lost:
            import_module(work.module).do_tasks(work.folder, [part])
        else:
            work.do_part(part, parts)
    report(work.tasks - len(work.missing()))


_STAND_IN = """
import os, re, subprocess, sys
given = sys.argv[1:]
last = int(next(re.fullmatch("--array=0-([0-9]+)", each) for each in given if each.startswith("--array"))[1])
seen = {seen!r}
first = not os.path.exists(seen)
open(seen, "w").close()
for index in reversed(range(last + 1)):
    if not (first and index == 1):  # a node is lost
        subprocess.run(["bash", "-c", given[-1]], env={{**os.environ, "SLURM_ARRAY_TASK_ID": str(index)}})
"""


def stand_in_for_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An sbatch on PATH that runs the indices from the last to the first, and loses one the first time."""
    program = folder / "bin" / "sbatch"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n" + _STAND_IN.format(seen=str(folder / "seen")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
