"""What a process says of memory that it was refused."""

from __future__ import annotations

import errno
import re
import sys

_GIB = 2**30
# How numpy, FAISS, HDF5, onnxruntime, OpenCV, Arrow, torch and the system say it
_SAID = re.compile(
    r"bad[_ ]alloc|insufficient memory|out of memory|cannot allocate memory|can't allocate memory|unable to allocate"
    r"|malloc of size|realloc of size|failed to allocate|memory allocation failed|can't start new thread",
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


def _taken() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _limit() -> str:
    """What it may take, where somebody set a limit."""
    if sys.platform == "win32":
        return ""
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "" if most == resource.RLIM_INFINITY else f" of at most {most / _GIB:.1f} (ulimit -v)"
