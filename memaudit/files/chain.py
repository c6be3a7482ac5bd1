"""Files of JSON lines that are only ever added to: each line holds the digest of the one before, and its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import InputError
from memaudit.files.digests import DIGEST, digest_of
from memaudit.files.reading import MOST_JSON, once, open_regular, real, reason_of
from memaudit.files.writing import whole_file

PREVIOUS = "previous"


class Chain(NamedTuple):
    """The lines as objects without their digests, and the digest of each. cut: bytes of a last line that somebody did
    not finish."""

    lines: tuple[dict[str, Any], ...] = ()
    digests: tuple[str, ...] = ()
    cut: int = 0

    @property
    def head(self) -> str:
        """The digest of the last line; empty where there is none."""
        return self.digests[-1] if self.digests else ""


def read_chain(path: Path, what: str) -> Chain:
    """Read a chain. Raises InputError that calls it `what` and names the first line that is not as it was written."""
    try:
        with open_regular(path) as handle:
            data = handle.read(MOST_JSON + 1)
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {reason_of(error)}") from None
    if len(data) > MOST_JSON:
        raise InputError(f"{what} {path} cannot be read: larger than {MOST_JSON >> 20:,} MiB, the most that is read")
    *lines, rest = data.split(b"\n")
    if not lines:
        raise InputError(f"{path} is no {what} of memaudit: name a file that is one, or that is not there yet")
    values, digests = list[dict[str, Any]](), [""]
    for number, line in enumerate(lines, 1):
        value, digest = _line(f"{what} {path}, line {number:,}, is not as it was written", line, digests[-1])
        values.append(value)
        digests.append(digest)
    return Chain(tuple(values), tuple(digests[1:]), len(rest))


def _line(place: str, line: bytes, before: str) -> tuple[dict[str, Any], str]:
    """The object of a line without its digests, and its digest."""
    try:
        value = json.loads(line.decode(), object_pairs_hook=once)
        digest = value.pop(DIGEST)
        sound, follows = digest == digest_of(value), value.pop(PREVIOUS) == before
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        sound = follows = False
    if not sound or not follows:
        why = "" if not sound else ", or does not follow the line before it: one was removed, added or moved"
        raise InputError(f"{place}{why}: lines are only ever added to it; restore it, or begin another")
    return value, str(digest)


def chained(values: Sequence[Mapping[str, Any]], head: str) -> tuple[bytes, tuple[str, ...]]:
    """The lines of these objects after one of digest `head`, and their digests."""
    lines, digests = list[str](), [head]
    for value in values:
        line = {**value, PREVIOUS: digests[-1]}
        digests.append(digest_of(line))
        lines.append(json.dumps({**line, DIGEST: digests[-1]}, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8", "backslashreplace"), tuple(digests[1:])


def add_to_chain(path: Path, data: bytes, *, new: bool, cut: int = 0) -> None:
    """Put lines at the end of a chain, on the disk when this returns; what an unfinished write left (`cut`) is
    overwritten. new: begin it. Raises InputError when the disk refuses."""
    if new:
        with whole_file(path, new=True) as begun:
            begun.write(data)
        return
    if not data:
        return
    try:
        with real(path).open("r+b") as file:
            file.seek(-cut, os.SEEK_END)
            file.truncate()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason_of(error)}") from None
