"""Files that appear whole or not at all, and their digests."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
import stat
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from memaudit.errors import InconclusiveError, InputError
from memaudit.locks import is_at, left_behind, lock_kept

MOST_BYTES = 16 << 20  # of a file that is read whole: a policy, a recipe, accepted matches
MOST_IN_A_LINE = 1 << 20  # characters
_MOST_DOTS = 100  # in a key of TOML: the parser's time grows with their square
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
    temporary = _created(path)
    try:
        yield temporary
        temporary.file.flush()
        os.fsync(temporary.file.fileno())
        if not is_at(temporary.file.fileno(), temporary.path):
            raise InputError(f"{path} cannot be written: somebody put another file in the place of {temporary.path}")
        (_link if new else os.replace)(temporary.path, path)
        with suppress(OSError):  # some network file systems refuse to flush a folder
            _flush(path.parent)
    finally:
        with suppress(OSError):  # what stopped the write may stop this as well, and is the better message
            temporary.path.unlink(missing_ok=True)
        with suppress(OSError):
            temporary.file.close()


def _created(path: Path) -> _Temporary:
    """A file that nobody else can have made, locked as long as it is open: so the next run knows it from those that a
    killed one left."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
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
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", new=new)


def read_json(path: Path, most: int = MOST_BYTES << 6) -> dict[str, Any]:
    """Read a JSON object. Raises InputError for an absent, unreadable or malformed file, or one beyond `most` bytes.

    So it does for an object that has a key twice: other readers may take the other value.
    """
    try:
        value = json.loads(read_small(path, most).decode("utf-8-sig"), object_pairs_hook=_once)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}, expected an object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:40]!r} stands there twice")
    return value


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file. Raises InputError, in one line, that calls the file `what`."""
    try:
        return toml_in(read_small(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {path} cannot be read: {reason_of(error)}") from None
    except ValueError as error:
        raise InputError(f"{what} {path} is not valid TOML: {error}") from None


def toml_in(data: bytes) -> dict[str, Any]:
    """Parse TOML. Raises ValueError for what is none, whatever the parser has against it."""
    text = data.decode()
    for number, line in enumerate(text.splitlines(), 1):
        if max(part.count(".") for part in line.replace(",", "=").split("=")) > _MOST_DOTS:
            raise ValueError(f"line {number} has a key of more than {_MOST_DOTS} dots")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("too many brackets within each other") from None


def open_regular(path: str | Path) -> io.BufferedReader:
    """Open a file for reading. A pipe, which may never say anything, and a device, which may never end, are an OSError
    like an absent file."""
    _require_regular(path, os.stat(path))  # some devices act on being opened
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # should a pipe have taken its place
    try:
        _require_regular(path, os.fstat(handle))
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _require_regular(path: str | Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_small(path: str | Path, most: int = MOST_BYTES) -> bytes:
    """Read a regular file whole. Raises OSError if it cannot be read, or is larger than `most` bytes."""
    with open_regular(path) as handle:
        size = os.fstat(handle.fileno()).st_size  # memory is taken for all that is asked for, whatever there is
        data = handle.read(min(most, size) + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most / 2**20:.0f} MiB, the most that is read", str(path))
    return data


def real(path: str | Path) -> Path:
    """The absolute path behind all links. Unlike Path.resolve it has one for a link to itself: that of the link."""
    return Path(os.path.realpath(path))


def is_store(path: str | Path) -> bool:
    """True if `path` is a folder that holds a store of embeddings, finished or not. Asked here, for the store's own
    package needs h5py, which a gate has not."""
    return (Path(path) / "store.json").is_file()


def text_lines(path: str | Path, newline: str | None = None) -> Iterator[str]:
    """The lines of a text in UTF-8, with their ends, of a regular file of any length. Raises OSError, also for a line
    beyond MOST_IN_A_LINE, and UnicodeDecodeError. newline: as `open` takes it; a CSV needs ""."""
    with open_regular(path) as handle:
        yield from lines_in(handle, newline)


def lines_in(handle: IO[bytes], newline: str | None = None) -> Iterator[str]:
    """`text_lines` of an open file."""
    text, number = io.TextIOWrapper(handle, encoding="utf-8-sig", newline=newline), 0
    while line := text.readline(MOST_IN_A_LINE + 1):
        number += 1
        if len(line) > MOST_IN_A_LINE:
            raise OSError(errno.EFBIG, f"line {number:,} is longer than {MOST_IN_A_LINE:,} characters")
        yield line


def reason_of(error: BaseException) -> str:
    """What an error of the system says, without its number and the file's name."""
    return str(getattr(error, "strerror", None) or error)


def sha256_of(path: Path) -> str:
    """Raises OSError for what cannot be read, and for what is no regular file."""
    with open_regular(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical(value: Any) -> Any:
    """`value` with whole numbers as integers, as RFC 8785 (JSON Canonicalization Scheme) writes them.

    Many JSON libraries write 1.0 as 1: to the digest both are the same number.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: canonical(part) for key, part in value.items()}
    return [canonical(part) for part in value] if isinstance(value, list) else value


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value` (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode(errors="backslashreplace")).hexdigest()


DIGEST = "digest"  # the key of a JSON object that holds the digest of all else in it

NOT_BOUND = "{} is not bound: an earlier version wrote it without a digest, so that nothing tells if it was changed"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the digest of all that is in it."""
    return {**value, DIGEST: digest_of(dict(value))}


def unsealed(path: Path, value: Mapping[str, Any]) -> dict[str, Any]:
    """What was sealed. Raises InconclusiveError where the digest is not of what is there: somebody, or a disk, changed
    it, and nobody knows what."""
    content = {key: part for key, part in value.items() if key != DIGEST}
    try:
        sound = digest_of(content) == value.get(DIGEST)
    except (ValueError, RecursionError):  # NaN, which no writer of ours writes
        sound = False
    if not sound:
        raise InconclusiveError(
            f"{path} was changed after it was written: its digest does not fit its content; restore it, or make it anew"
        )
    return content


class FileState(NamedTuple):
    """What changes with every write to a file, and nobody can set: its time of change, not that of modification."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


_SETTLED = 100_000_000  # ns: clocks of file systems tick in 4 ms, and a second write in the same tick leaves no trace
_MOST_KNOWN = 1 << 20
_known: dict[FileState, str] = {}


def sha256_as_it_is(path: Path) -> str:
    """The sha256 of a file, computed once in a process as long as nobody touches the file."""
    state = FileState.of(path)
    if state in _known:
        return _known[state]
    digest = sha256_of(path)
    if FileState.of(path) == state and time.time_ns() - state.changed > _SETTLED and len(_known) < _MOST_KNOWN:
        _known[state] = digest
    return digest
