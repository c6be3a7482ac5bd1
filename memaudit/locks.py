"""Locks that the system lets go of when their process ends, however it does."""

from __future__ import annotations

import errno
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_HELD = (errno.EAGAIN, errno.EACCES)
_NOT_GRANTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_FORGOTTEN_AFTER = 86_400  # seconds after which a file that cannot be locked was left by a dead process


class HeldError(Exception):
    """Somebody else holds the lock. who: what is known of him and of the way out, empty for nothing."""

    def __init__(self, who: str = "") -> None:
        super().__init__(who)
        self.who = who


@contextmanager
def locked(path: Path, *, mode: int = 0o666, stays: bool = True) -> Iterator[None]:
    """Hold the lock that the file at `path` stands for; it is made, and never a link's target. stays: leave the file.

    Where the file system grants no locks (NFS without its lock daemon), a file beside it, `path`-owner, is created
    exclusively and names the process; one of a dead process of this machine does not count.
    Raises HeldError where another process, or this one, holds it; OSError where the file cannot be made.
    """
    descriptor = _opened(path, mode)
    owner = path.with_name(f"{path.name}-owner")
    try:
        is_owner = not lock_granted(descriptor) and _own(owner, mode)
        try:
            yield
        finally:
            if is_owner:
                owner.unlink(missing_ok=True)
            if not stays:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _opened(path: Path, mode: int) -> int:
    """A descriptor of the file that is at `path` after its lock was taken, if it can be: who held it before may have
    deleted it meanwhile."""
    while True:
        descriptor = os.open(path, _OPEN, mode)
        try:
            lock_granted(descriptor)
            if is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock_granted(descriptor: int) -> bool:
    """Take the lock of an open file or folder; False where its file system grants none. Raises HeldError."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise HeldError from None
        if error.errno in _NOT_GRANTED:
            return False
        raise
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that `path` names, and `path` no link."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    own = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


@contextmanager
def left_behind(path: Path) -> Iterator[bool]:
    """Whether the process that made this file or folder, and held its lock, is gone; meanwhile nobody else can take it
    for his. Where no locks are granted: whether it is a day old."""
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR  # NFS locks no file that is open for reading alone
    try:
        descriptor = os.open(path, access | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # a link, or not ours to touch
        yield False
        return
    try:
        yield _is_left(descriptor)
    finally:
        os.close(descriptor)


def _is_left(descriptor: int) -> bool:
    try:
        return lock_granted(descriptor) or time.time() - os.fstat(descriptor).st_mtime > _FORGOTTEN_AFTER
    except (HeldError, OSError):
        return False


def lock_kept(descriptor: int, path: Path) -> bool:
    """Lock what this process has just made at `path`; False where somebody took it for left behind in between."""
    try:
        lock_granted(descriptor)
    except HeldError:
        return False
    return is_at(descriptor, path)


def _own(path: Path, mode: int) -> bool:
    """Create the file that names this process. Raises HeldError where there is one of a process that may be alive."""
    for _ in range(2):
        with suppress(FileExistsError):
            descriptor = os.open(path, _OPEN | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {platform.node()}")
            return True
        pid, _, host = path.read_text(encoding="utf-8", errors="replace").partition(" ")
        if host != platform.node() or not pid.isdigit() or _is_alive(int(pid)):
            raise HeldError(f"process {pid or '?'} on {host or '?'}, if it is dead delete {path}")
        path.unlink(missing_ok=True)
    raise HeldError


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
