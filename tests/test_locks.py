"""Locks, and the files that stand in for them where a file system grants none."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memaudit import locks
from memaudit.locks import HeldError, is_at, left_behind, lock_granted, lock_kept, locked

DAY = 86_400


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_a_lock_is_held_once_and_let_go_of(tmp_path: Path) -> None:
    """Also by this very process; its file stays, or does not."""
    for stays in (True, False):
        with locked(tmp_path / "lock", stays=stays), pytest.raises(HeldError), locked(tmp_path / "lock"):
            pass
        with locked(tmp_path / "lock", stays=stays):
            pass
        assert (tmp_path / "lock").exists() == stays


def test_a_file_that_is_gone_or_another_is_not_the_one_that_was_opened(tmp_path: Path) -> None:
    descriptor = opened(tmp_path / "a")
    assert is_at(descriptor, tmp_path / "a")
    (tmp_path / "a").unlink()
    assert not is_at(descriptor, tmp_path / "a")
    (tmp_path / "a").write_text("another")
    assert not is_at(descriptor, tmp_path / "a")
    os.close(descriptor)


def test_what_somebody_took_for_left_behind_is_not_kept(tmp_path: Path) -> None:
    own, other = opened(tmp_path / "a"), opened(tmp_path / "a")
    assert lock_kept(own, tmp_path / "a")
    assert not lock_kept(other, tmp_path / "a")
    with pytest.raises(HeldError):
        lock_granted(other)
    os.close(own)
    assert lock_kept(other, tmp_path / "a")
    (tmp_path / "a").unlink()
    assert not lock_kept(other, tmp_path / "a")
    os.close(other)


def test_what_was_left_behind(tmp_path: Path) -> None:
    """A file whose lock nobody holds, and no link: its target may be somebody's."""
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with left_behind(tmp_path / "a") as left:
        assert left
        with left_behind(tmp_path / "a") as again:
            assert not again
    with left_behind(tmp_path / "link") as left:
        assert not left


def test_a_file_names_its_process_where_there_are_no_locks(tmp_path: Path) -> None:
    """That of a living one, or of another machine, is respected, and the way out said; that of a dead one is not."""
    path, dead = tmp_path / "owner", subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert locks._own(path, 0o600)
    assert path.read_text() == f"{os.getpid()} {platform.node()}"
    for owner in (path.read_text(), f"{dead.pid} another-machine", f"who? {platform.node()}", ""):
        path.write_text(owner)
        with pytest.raises(HeldError) as caught:
            locks._own(path, 0o600)
        assert caught.value.who.endswith(f"if it is dead delete {path}")
    path.write_text(f"{dead.pid} {platform.node()}")
    assert locks._own(path, 0o600)
    assert path.read_text() == f"{os.getpid()} {platform.node()}"
    assert locks._is_alive(1)
    assert locks._is_alive(2**70), "a number that no process can have says nothing"


def test_where_locks_are_not_granted_a_day_makes_the_difference(tmp_path: Path) -> None:
    """A pipe cannot be asked; what is younger may be of a process that lives."""
    path = tmp_path / "a"
    path.touch()
    held = opened(path)
    assert lock_granted(held)
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    with left_behind(path) as left:
        assert not left, "its lock is held, however old it is"
    os.close(held)
