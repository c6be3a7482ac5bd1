"""Digests of files and of JSON, and objects that carry their own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import InconclusiveError
from memaudit.files.reading import open_regular

DIGEST = "digest"  # the key of a JSON object that holds the digest of all else in it
NOT_BOUND = "{} is not bound: an earlier version wrote it without a digest, so that nothing tells if it was changed"
_SETTLED = 100_000_000  # ns: clocks of file systems tick in 4 ms, and a second write in the same tick leaves no trace
_MOST_KNOWN = 1 << 20


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
