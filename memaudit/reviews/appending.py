"""Reviews added to a file that several people write at once: whole lines, which are on the disk when it is said so."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memaudit.errors import InputError
from memaudit.files import reason_of
from memaudit.locks import HeldError, locked
from memaudit.reviews.verdicts import Review
from memaudit.reviews.writing import json_lines

_PATIENCE = 20.0  # seconds: a line takes milliseconds, and a file server that hangs takes longer
_LONGEST = 1 << 20  # bytes of a line
_BEGINS = b'{"left_sha256": "'
_ACCESS = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


def append_reviews(path: Path, reviews: Iterable[Review]) -> None:
    """Add lines to the end of the file, which is made if it is not there; on the disk when this returns. While one
    process writes others wait. What a killed process left of a line goes; a last line without its end gets it.

    Raises InputError when the disk refuses, and for a file that holds something else: then nothing was added.
    """
    data = json_lines(reviews).encode("utf-8", "backslashreplace")
    with _alone(path):
        descriptor = os.open(path, _ACCESS | os.O_CREAT, 0o666)
        try:
            _mend(path, descriptor)
            _add(descriptor, data)
        finally:
            os.close(descriptor)


def mend(path: Path) -> int:
    """Take away what a killed process left of a line at the end of the file, and return how many bytes that were. A
    last line that is whole gets its end."""
    with _alone(path):
        descriptor = os.open(path, _ACCESS)
        try:
            return _mend(path, descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock that stands for the file. Raises InputError if it cannot be had, or the file not be written."""
    lock, until = path.with_name(f".{path.name}.lock"), time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                with locked(lock, stays=False):
                    yield
                return
            except HeldError as error:
                if time.monotonic() > until:
                    raise InputError(
                        f"{path} is held by another process{f' ({error.who})' if error.who else ''}: try again"
                    ) from None
            time.sleep(0.005)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason_of(error)}") from None


def _mend(path: Path, descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    start = max(0, size - _LONGEST)
    last = os.pread(descriptor, size - start, start).rpartition(b"\n")[2]
    if not last:
        return 0
    if is_whole(path, last):
        _add(descriptor, b"\n")
        return 0
    os.ftruncate(descriptor, size - len(last))
    return len(last)


def is_whole(path: Path, last: bytes) -> bool:
    """Whether a last line without its end is whole; False for one that was begun. Raises InputError for what is neither
    and so none of ours to take away."""
    try:
        if isinstance(json.loads(last), dict):
            return True
    except (ValueError, RecursionError):
        pass
    if last.startswith(_BEGINS) or _BEGINS.startswith(last):
        return False
    raise InputError(f"{path} holds no reviews: its last line is neither whole nor one that was begun")


def _add(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
