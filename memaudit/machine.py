"""What this process may use of the machine that it runs on: cores and memory. A container, a job or a service often has
a part of both (control groups of version 2 or 1, and affinity), and is ended by the system where it takes more."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")
_UNKNOWN = 16 * 10**9  # bytes, where the system says nothing


class _Names(NamedTuple):
    """How a version of control groups names its files, and what of its memory files fill, which it gives back."""

    most: str
    taken: str
    files: str


_VERSIONS = (
    _Names("memory.max", "memory.current", r"^(?:active|inactive)_file (\d+)$"),
    _Names("memory.limit_in_bytes", "memory.usage_in_bytes", r"^total_(?:active|inactive)_file (\d+)$"),
)


def cores() -> int:
    """How many cores work may be spread over: those of `processors`, and no more than the time that is given to this
    process would keep busy (3.5 of them: 4)."""
    return max(1, min([processors(), *_quotas()]))


def processors() -> int:
    """How many cores this process may run on: as many threads do libraries begin by themselves."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have none
        return os.cpu_count() or 1


def total_memory() -> int:
    """Bytes of memory that this process may take, of the machine's; 16 GB where nobody says."""
    return min([_installed(), *(most for most, _ in _limits())])


def free_memory() -> int:
    """Bytes that can be had without swapping, and without the system ending the process; where nobody says, half of
    all."""
    return min([_available(), *(max(0, most - taken) for most, taken in _limits())])


def _installed() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return _UNKNOWN


def _available() -> int:
    found = re.search(r"MemAvailable:\s+(\d+) kB", _text(_MEMORY))
    return 1024 * int(found[1]) if found else _installed() // 2


def _limits() -> Iterator[tuple[int, int]]:
    """The most bytes that each group of this process may take, and what its members have taken."""
    for group in _groups("memory"):
        for names in _VERSIONS:
            most, taken = _text(group / names.most), _text(group / names.taken)
            if most.isdigit() and taken.isdigit():  # "max": no limit
                files = re.findall(names.files, _text(group / "memory.stat"), re.MULTILINE)
                yield int(most), int(taken) - sum(map(int, files))


def _quotas() -> Iterator[int]:
    """How many cores the time of each group of this process would keep busy."""
    for group in _groups("cpu"):
        of_first = [_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        for numbers in (_text(group / "cpu.max").split(), of_first):
            if len(numbers) == 2 and all(number.isdigit() for number in numbers):  # "max", -1: no limit
                yield -(-int(numbers[0]) // max(1, int(numbers[1])))


def _groups(controller: str) -> Iterator[Path]:
    """The groups that this process lies in, from its own outwards: the limits of all of them hold. Seen from within a
    container its own may be at the root, whatever its name outside."""
    for line in _text(_OWN_GROUPS).splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _GROUPS / controller if controllers else _GROUPS
        own = PurePosixPath(name.lstrip("/"))
        yield from dict.fromkeys(root / group for group in (own, *own.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
