"""The folder that a run keeps its scratch in, and what killed runs left behind."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import filelock

PREFIX = ".dedup-"
_LOCK = "lock"
_HALF_WRITTEN = re.compile(
    r"\.(pairs\.parquet|groups\.parquet|decisions\.parquet|skew\.parquet|keep\.txt|drop\.txt|report\.html|report\.json)"
    r"\.\d+\.tmp"
)


@contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """Yield a temporary folder inside `parent` (None: the system's), gone afterwards.

    First it removes what killed runs left in `parent`: folders like it whose lock nobody holds (the system lets go of
    a dead process's), and files of ours that were never finished.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
        _clean(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=PREFIX) as folder, ExitStack() as held:
        with suppress(OSError, NotImplementedError):  # where the file system grants no locks nobody takes it for left
            held.enter_context(filelock.FileLock(Path(folder) / _LOCK))
        yield Path(folder)


def _clean(parent: Path) -> None:
    for path in parent.iterdir():
        if _HALF_WRITTEN.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
        elif path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink() and _is_left(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    try:
        with filelock.FileLock(folder / _LOCK, timeout=0):
            return True
    except (filelock.Timeout, OSError, NotImplementedError):  # still running, or not ours to touch
        return False
