"""How long work takes and how much memory: of a call in this process, or of a command in one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

# A process's peak includes that of the process it was forked from, so a small one stands between.
_LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
seconds = time.perf_counter() - start
said = done.stdout.strip().rpartition("\\n")[2]
used = resource.getrusage(resource.RUSAGE_CHILDREN)
scale = 1 if sys.platform == "darwin" else 1024
cost = [seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * scale / 1e6, said]
print(json.dumps([done.returncode, cost]))
"""


class BenchmarkError(Exception):
    """Why there is no figure, in one line."""


class Timed(NamedTuple, Generic[T]):
    """Wall time, and processor time of all threads: where other processes run, the latter says more. The result."""

    seconds: float
    cpu_seconds: float
    result: T


class Cost(NamedTuple):
    """What a command took: wall time with its start, processor time, peak resident memory; the last line it said."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: str


def timed(work: Callable[[], T]) -> Timed[T]:
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timed(time.perf_counter() - start, time.process_time() - cpu, result)


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end. Raises BenchmarkError, with the last thing it said, if it fails."""
    launched = [sys.executable, "-I", "-c", _LAUNCHER, *map(str, command)]
    done = subprocess.run(launched, capture_output=True, text=True, check=False)
    code, cost = json.loads(done.stdout or '["none", []]')
    if code:
        said = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"{Path(command[0]).name} ended with exit code {code}: {said}")
    return Cost(*cost)


def memaudit(*arguments: str | Path) -> list[str | Path]:
    """The command line of memaudit as this interpreter runs it, from whatever folder."""
    return [sys.executable, "-m", "memaudit", *arguments, "--quiet"]


def embed_command(images: Path, out: Path, encoder: str) -> list[str | Path]:
    return memaudit("embed", images, "--out", out, "--encoder", encoder)
