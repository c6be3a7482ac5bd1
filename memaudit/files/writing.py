"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from memaudit.errors import InputError
from memaudit.locks import is_at, left_behind, lock_kept

_OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")  # they may lead to a file that another holds open
_EXCLUSIVE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp", re.DOTALL)
_private: set[str] = set()  # folders whose files are for their owner alone
_tidied: set[str] = set()  # folders that this process has looked for what is left in: it leaves nothing itself


@contextmanager
def whole_file(path: Path, *, new: bool = False) -> Iterator[IO[bytes]]:
    """Yield a file open for writing that takes the place of `path` when the block ends, and is gone if it fails.

    Meanwhile it has an unguessable name beside it; what killed processes left there under such names goes first. A link
    stays: what it leads to is replaced. A device or a pipe, such as /dev/stdout, is written to itself: nothing can take
    its place, nor is there anything to keep. new: nothing is replaced.
    Raises InputError when the disk refuses: full, read-only, or a file where a folder is needed; and, for a `new`
    file, where one is there already.
    """
    with _saying(path):
        if is_passage(path):
            with path.open("wb") as passage:
                yield passage
            return
        with _temporary(path, new=new) as temporary:
            yield temporary.file


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """As `whole_file`, for writers that take nothing but a name: yield the temporary file's, to be written over."""
    with _saying(path):
        if is_passage(path):
            yield path
            return
        with _temporary(path, new=False) as temporary:
            yield temporary.path


class _Temporary(NamedTuple):
    path: Path
    file: IO[bytes]


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


@contextmanager
def _temporary(path: Path, *, new: bool) -> Iterator[_Temporary]:
    if path.is_symlink():
        path = Path(os.path.realpath(path))
        if path.is_symlink():  # it leads to itself, as stat says
            path.stat()
    make_folder(path.parent)
    _tidy(path.parent)
    names: list[Path] = []  # each before it is made: Ctrl-C at any moment leaves none of them
    temporary = None
    try:
        temporary = _created(path, names)
        yield temporary
        temporary.file.flush()
        os.fsync(temporary.file.fileno())
        if not is_at(temporary.file.fileno(), temporary.path):
            raise InputError(f"{path} cannot be written: somebody put another file in the place of {temporary.path}")
        (_link if new else os.replace)(temporary.path, path)
        with suppress(OSError):  # some network file systems refuse to flush a folder
            _flush(path.parent)
    finally:
        for name in names:
            with suppress(OSError):  # what stopped the write may stop this as well, and is the better message
                name.unlink(missing_ok=True)
        with suppress(OSError):
            if temporary is not None:
                temporary.file.close()


def _created(path: Path, names: list[Path]) -> _Temporary:
    """A file that nobody else can have made, locked as long as it is open: so the next run knows it from those that a
    killed one left."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        names.append(temporary)
        file = os.fdopen(os.open(temporary, _EXCLUSIVE, 0o600 if is_private(path) else 0o666), "w+b")
        if lock_kept(file.fileno(), temporary):
            return _Temporary(temporary, file)
        file.close()


def _link(temporary: Path, path: Path) -> None:
    """Give a file a further name that nothing has; where there are no such names, take the name first."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(path, _EXCLUSIVE))
        os.replace(temporary, path)


def _tidy(folder: Path) -> None:
    real = os.path.realpath(folder)
    if real not in _tidied:
        _tidied.add(real)
        remove_left(folder)


def remove_left(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with left_behind(Path(entry.path)) as is_left, suppress(OSError):
                    if is_left:
                        os.unlink(entry.path)


def keep_private(folder: Path, *, itself: bool = True) -> None:
    """From now on what this process writes below `folder` is for its owner alone: files 0600, folders 0700.

    itself: so is the folder, and the files that are in it already.
    """
    _private.add(os.path.realpath(folder))
    if itself:
        make_folder(folder)
        with suppress(OSError):  # somebody else's, or a file system that knows no such modes
            os.chmod(folder, 0o700)
            for path in folder.iterdir():
                if path.is_file() and not path.is_symlink():
                    os.chmod(path, 0o600)


def is_private(path: Path) -> bool:
    """Whether `path` is below a folder that is kept private."""
    real = Path(os.path.realpath(path))
    return bool(_private) and any(str(place) in _private for place in (real, *real.parents))


def for_owner_alone(path: Path) -> bool:
    """Whether a file is, or the archive that it lies in: such is the report of a run that shows people."""
    file = next((place for place in (path, *path.parents) if place.is_file()), None)
    return file is not None and not file.stat().st_mode & 0o077


@contextmanager
def as_private(made: Path, of: Iterable[Path]) -> Iterator[None]:
    """Within this a file that is made of others is written for its owner alone, if one of those is: from its first byte
    on, and where modes cannot be changed."""
    real = os.path.realpath(made)
    is_new = real not in _private and any(map(for_owner_alone, of))
    if is_new:
        _private.add(real)
    try:
        yield
    finally:
        if is_new:
            _private.discard(real)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there. Raises OSError that says why it cannot be."""
    real = Path(os.path.realpath(folder))
    try:
        if not real.parent.exists():
            make_folder(real.parent)
        real.mkdir(exist_ok=True, mode=0o700 if is_private(real) else 0o777)
    except FileExistsError:
        folder.stat()  # a link that leads to itself says so
        raise


def is_passage(path: Path) -> bool:
    """Whether what is written there goes elsewhere: devices, pipes, sockets, and all names of an open file."""
    if os.path.abspath(path).startswith(_OPEN_FILES):
        return path.exists() and not path.is_dir()
    return path.exists() and not path.is_file() and not path.is_dir()


def _flush(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str, *, new: bool = False) -> None:
    """Write UTF-8. Bytes of odd file names, which it cannot hold, are escaped. new: as for `whole_file`."""
    with whole_file(path, new=new) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 to the end of a file, a blank line after what others wrote there, such as to the summary of a job.

    Raises InputError when the disk refuses.
    """
    with _saying(path), path.open("a", encoding="utf-8", errors="backslashreplace") as handle:
        handle.write(f"\n{text}" if handle.tell() else text)


def write_json(path: Path, value: Any, *, new: bool = False) -> None:
    write_text(path, json_text(value), new=new)


def json_text(value: Any) -> str:
    """As `write_json` writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
