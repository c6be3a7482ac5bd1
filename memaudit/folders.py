"""Folders and files that one process at a time may write, and folders that are gone when their process is."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from memaudit.errors import InputError
from memaudit.files import is_passage, is_private, make_folder, remove_left
from memaudit.locks import HeldError, left_behind, lock_kept, locked

LOCK = ".lock"
# What killed writers of memaudit 0.2 left, beside folders that are called .dedup-SOMETHING
_OF_0_2 = re.compile(r"\..+\.(h5|json|parquet|txt|html|faiss)\.\d+\.tmp")


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Be the only one who writes into `folder`, which is made if it is not there. What killed writers left half-written
    in it, or in the folders in it, is deleted first.

    Raises InputError if another process is writing there, or the folder cannot be written.
    """
    with _alone(folder, folder / LOCK, stays=True):
        _tidy(folder)
        yield


def _tidy(folder: Path) -> None:
    remove_left(folder)
    with suppress(OSError):
        for path in folder.iterdir():
            if _OF_0_2.fullmatch(path.name):
                path.unlink()
            elif path.is_dir() and not path.is_symlink():
                if path.name.startswith(".dedup-") and (path / "lock").is_file():
                    shutil.rmtree(path, ignore_errors=True)
                remove_left(path)


@contextmanager
def sole_writer_of(file: Path, option: str = "--out") -> Iterator[None]:
    """Be the only one who makes this file, from the first thought of it on. option: that names it. Raises as
    `sole_writer`."""
    if is_passage(file):
        yield
        return
    with _alone(file, file.with_name(f".{file.name}{LOCK}"), stays=False, option=option):
        remove_left(file.parent)
        yield


@contextmanager
def _alone(place: Path, lock: Path, *, stays: bool, option: str = "--out") -> Iterator[None]:
    with ExitStack() as stack:
        try:
            make_folder(lock.parent)
            stack.enter_context(locked(lock, mode=0o600 if is_private(lock) else 0o666, stays=stays))
        except HeldError as error:
            who = f" ({error.who})" if error.who else ""
            raise InputError(
                f"{place} is being written by another process{who}: wait for it, or choose another {option}"
            ) from None
        except OSError as error:
            raise InputError(f"{place} cannot be written: {error.strerror or error}") from None
        yield


def nameless_file(folder: Path | None) -> IO[bytes]:
    """A file in `folder` (None: the system's for temporary ones) that has no name, and goes with this process.

    Raises InputError where it cannot be made.
    """
    place = Path(tempfile.gettempdir()) if folder is None else folder
    try:
        make_folder(place)
        return tempfile.TemporaryFile(dir=place)
    except OSError as error:
        raise InputError(f"{place} cannot be written: {error.strerror or error}") from None


class TemporaryFolder:
    """A folder of this process, under an unguessable name and for its owner alone. Those that killed processes left
    beside it under the same prefix are deleted first. Use as a context, or call `remove`.

    parent: None for the system's. Raises InputError where it cannot be made.
    """

    def __init__(self, parent: Path | None, prefix: str) -> None:
        place = Path(tempfile.gettempdir()) if parent is None else parent
        try:
            make_folder(place)
            _remove_left_folders(place, prefix)
            self.path, self._descriptor = _made(place, prefix)
        except OSError as error:
            raise InputError(f"{place} cannot be written: {error.strerror or error}") from None

    def remove(self) -> None:
        """Delete it, or what stands under its name no more: a second call does nothing."""
        if self._descriptor >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()


def _made(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and its descriptor, which holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        descriptor = os.open(path, os.O_RDONLY)
        if lock_kept(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def _remove_left_folders(parent: Path, prefix: str) -> None:
    """Those whose lock nobody holds: the system lets go of a dead process's."""
    with os.scandir(parent) as entries:
        found = [entry for entry in entries if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False)]
    for entry in filter(_is_ours, found):
        with left_behind(Path(entry.path)) as is_left:
            if is_left:
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    try:
        return not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except OSError:
        return False
