"""What a process says of memory that it was refused."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import sys
from contextlib import suppress
from functools import cache
from importlib.abc import MetaPathFinder
from types import ModuleType

from memaudit.machine import processors

if sys.platform != "win32":
    import resource

_GIB = 2**30
_LOW, _LOW_A_CORE = 4 * _GIB, _GIB // 8
_SIZES = "/proc/self/statm"
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_KEPT, _LARGE = 64 * 2**20, 32 * 2**20  # bytes; the latter is the most that glibc takes
# MiB of address space that loading a library takes (2 cores, measured, with room to spare). Where there is less, some
# end with a segmentation fault, or with the exit code of a finding.
_TO_LOAD = {
    "numpy": 80,
    "pyarrow": 250,
    "h5py": 30,
    "onnxruntime": 80,
    "cv2": 330,
    "faiss": 400,
    "torch": 3000,
    "open_clip": 400,
}
_TO_LOAD_A_CORE = {"numpy": 40}  # OpenBLAS has a buffer for each of its threads
# How numpy, FAISS, HDF5, onnxruntime, OpenCV, Arrow, torch and the system say it
_SAID = re.compile(
    r"bad[_ ]alloc|insufficient memory|out of memory|cannot allocate memory|can't allocate memory|unable to allocate"
    r"|malloc of size|realloc of size|failed to allocate|memory allocation failed|failed to map segment"
    r"|can't start new thread",
    re.IGNORECASE,
)


def refused(error: BaseException) -> str:
    """One line for an error that says memory was refused: how much, as far as it is known, and what there is; empty for
    any other error."""
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not _SAID.search(text) and getattr(error, "errno", None) != errno.ENOMEM:
        return ""
    needed = text[:300] or "the amount is not known"
    return (
        f"memory ran out: {needed}; this process had taken {_taken() / _GIB:.1f} GiB{_limit()}. "
        "Fewer --workers, a smaller --batch-size or --shard-rows take less"
    )


class NoRoomError(MemoryError, ImportError):
    """A library has no room to be loaded in. Whoever can do without it does."""


def watch_imports() -> None:
    """Where the address space is limited (ulimit -v), let the import of a library that has no room be a NoRoomError;
    where it is low use one thread: OpenMP and OpenBLAS end the program if they get no more."""
    if not is_limited():
        return
    sys.meta_path.insert(0, _Guard())
    if resource.getrlimit(resource.RLIMIT_AS)[0] < _LOW + _LOW_A_CORE * processors():
        for library in ("OMP", "OPENBLAS"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def is_limited() -> bool:
    """Whether somebody limited the address space, and this process can tell how much of it is left."""
    return bool(_limit()) and os.path.exists(_SIZES)


class _Guard(MetaPathFinder):
    """Finds no module itself, and lets others find it where there is room for it."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name not in _TO_LOAD:
            return
        if name != "numpy" and (numpy := sys.modules.get("numpy")):
            multiply(numpy)
        needed = (_TO_LOAD[name] + _TO_LOAD_A_CORE.get(name, 0) * processors()) / 1024
        if needed > (left := room() / _GIB):
            raise NoRoomError(f"to load {name} takes {needed:.2f} GiB of address space, {left:.2f} are left")


def few_arenas() -> None:
    """Let all threads of this process share two of glibc's arenas. Each new thread else gets one of its own, and what
    large pictures leave there is given back to nobody: a server's memory grows with every connection. For a process
    that lives long, before it begins threads; other C libraries have no such arenas."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


@cache
def keep_freed() -> None:
    """Let glibc keep up to 64 MiB of what an arena frees. Else what a picture's features take is given back after each
    picture, and every page of it is asked for again with the next: a third of the time of one thread. Whoever set
    glibc's own variables has decided; other C libraries have no such limits."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)


def multiply(numpy: ModuleType) -> None:
    """Let OpenBLAS take its buffers now, while there is room: where it gets none later it ends the program."""
    square = numpy.ones((256, 256), "float32")
    square @ square


def room() -> int:
    """Bytes of address space that are left under the limit, where `is_limited`."""
    with open(_SIZES, encoding="ascii") as file:
        pages = int(file.read().split()[0])
    return resource.getrlimit(resource.RLIMIT_AS)[0] - pages * resource.getpagesize()


def _taken() -> int:
    if sys.platform == "win32":
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _limit() -> str:
    """What it may take, where somebody set a limit."""
    if sys.platform == "win32":
        return ""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "" if most == resource.RLIM_INFINITY else f" of at most {most / _GIB:.1f} (ulimit -v)"
