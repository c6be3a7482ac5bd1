"""Files that appear whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from memaudit.errors import InputError

_OPEN_FILES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")  # they may lead to a file that another holds open


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success fsync and rename it, on failure remove it.

    A link stays: what it leads to is replaced. A device or a pipe, such as /dev/stdout, is yielded itself: nothing can
    take its place, nor is there anything to keep.
    Raises InputError when the disk refuses: full, read-only, or a file where a folder is needed.
    """
    if is_passage(path):
        yield from _written_through(path)
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        with suppress(OSError):  # some network file systems refuse to flush a folder
            _flush(path.parent)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        _remove(temporary)


def is_passage(path: Path) -> bool:
    """Whether what is written there goes elsewhere: devices, pipes, sockets, and all names of an open file."""
    if os.path.abspath(path).startswith(_OPEN_FILES):
        return path.exists() and not path.is_dir()
    return path.exists() and not path.is_file() and not path.is_dir()


def _written_through(path: Path) -> Iterator[Path]:
    try:
        yield path
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def _flush(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what stopped the write may stop this as well, and is the better message
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8. Bytes of odd file names, which it cannot hold, are escaped."""
    with appearing_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 to the end of a file, a blank line after what others wrote there, such as to the summary of a job.

    Raises InputError when the disk refuses.
    """
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as handle:
            handle.write(f"\n{text}" if handle.tell() else text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, most: int | None = None) -> dict[str, Any]:
    """Read a JSON object. Raises InputError for an absent, unreadable or malformed file, or one beyond `most` bytes.

    So it does for an object that has a key twice: other readers may take the other value.
    """
    try:
        value = json.loads(_at_most(path, most).decode("utf-8-sig"), object_pairs_hook=_once)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from None
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


def _at_most(path: Path, most: int | None) -> bytes:
    """The bytes of a file, no larger than `most`. A pipe may never say anything, and a device never end."""
    if not path.is_file() and path.exists() and not path.is_dir():
        raise InputError(f"{path} is no regular file: write what it gives into one")
    if most is None:
        return path.read_bytes()
    with path.open("rb") as handle:
        data = handle.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path} is larger than {most / 2**20:.0f} MiB, the most that is read")
    return data


def sha256_of(path: Path) -> str:
    with path.open("rb") as handle:
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
