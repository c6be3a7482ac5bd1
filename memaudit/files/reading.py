"""Files of other people: read whole or by lines, within bounds, and only where they are regular files."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from memaudit.errors import InputError

MOST_BYTES = 16 << 20  # of a file that is read whole: a policy, a recipe, accepted matches
MOST_JSON = MOST_BYTES << 6  # of a file of JSON, and of lines that hang together
MOST_IN_A_LINE = 1 << 20  # characters
_MOST_DOTS = 100  # in a key of TOML: the parser's time grows with their square


def read_json(path: Path, most: int = MOST_JSON) -> dict[str, Any]:
    """Read a JSON object. Raises InputError for an absent, unreadable or malformed file, or one beyond `most` bytes.

    So it does for an object that has a key twice.
    """
    try:
        data = read_small(path, most)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None
    return json_object_in(data, path)


def json_object_in(data: bytes, path: Path) -> dict[str, Any]:
    """`read_json` of what was read already, of `path`."""
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise InputError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}, expected an object")
    return value


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The JSON object of these pairs. Raises ValueError for a key that is there twice: readers differ in which of its
    values they take."""
    counts = Counter(key for key, _ in pairs)
    if len(counts) < len(pairs):
        raise ValueError(f"the key {counts.most_common(1)[0][0][:80]!r} stands there twice")
    return dict(pairs)


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
        with suppress(OSError):  # Ctrl-C may come when the file object has it already, and closes it
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
