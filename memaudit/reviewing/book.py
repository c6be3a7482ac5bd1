"""The file of reviews as several people write it: what each said, read on where it has grown."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import numpy as np

from memaudit.errors import InputError, UsageError
from memaudit.files import open_regular, reason_of
from memaudit.reviewing.queue import Keys, key_of
from memaudit.reviews import (
    Drawn,
    Review,
    Verdict,
    append_reviews,
    as_seen,
    is_whole,
    later,
    mend,
    reviews_of,
)

_MOST = 1 << 30  # bytes of a file
_END = 400  # bytes by which a file is known: a digest and more
SUFFIXES = (".jsonl", ".ndjson")


class _Read(NamedTuple):
    """How far the file was read, and the last bytes of that: another file in its place has others, whatever its number
    on the disk."""

    size: int = 0
    end: bytes = b""


class Book:
    """Reviews at `path`, a .jsonl file that need not be there yet. base: what was said before, in other files.

    Memory: the last line of each person on each pair.
    """

    def __init__(self, path: Path, base: Iterable[Review] = ()) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"--out {path}: expected a file that ends in .jsonl")
        self.path = path
        self.lock = RLock()
        self._base = tuple(base)
        if not path.parent.is_dir():
            raise UsageError(f"--out {path}: there is no folder {path.parent}")
        self._begin()
        self.refresh()

    def _begin(self) -> None:
        self._said: dict[int, dict[str, Review]] = {}
        self._drawn: dict[int, Drawn] = {}
        self._names: dict[str, str] = {}
        self._read = _Read()
        self.lines = 0
        self._take(self._base)

    def mend(self) -> int:
        """Take away what a killed process left of a line at the end, and return how many bytes that were. All before it
        are reviews: else `refresh` has refused the file."""
        left = mend(self.path) if self.path.exists() else 0
        self.refresh()
        return left

    def refresh(self) -> None:
        """Read what was added since; all of it where the file is another one, or was written anew.

        Raises InputError for a line that cannot be meant.
        """
        with self.lock:
            try:
                with open_regular(self.path) as handle:
                    self._go_on(handle)
            except FileNotFoundError:
                if self._read.size:
                    self._begin()
            except OSError as error:
                raise InputError(f"reviews {self.path} cannot be read: {reason_of(error)}") from None

    def _go_on(self, handle: io.BufferedReader) -> None:
        found = os.fstat(handle.fileno())
        if found.st_size > _MOST:
            raise InputError(f"reviews {self.path} are larger than {_MOST >> 20:,} MiB, the most that is read")
        handle.seek(self._read.size - len(self._read.end))
        if handle.read(len(self._read.end)) != self._read.end:
            self._begin()
            handle.seek(0)
        whole = handle.read(max(0, found.st_size - self._read.size)).rpartition(b"\n")
        data = whole[0] + whole[1]
        added = list(reviews_of(self.path, io.BytesIO(data)))
        self._take(added)
        if whole[2] and is_whole(self.path, whole[2]):  # it has no end yet, and is read again when it gets it
            self._take(reviews_of(self.path, io.BytesIO(whole[2])))
        self.lines += len(added)
        self._read = _Read(self._read.size + len(data), (self._read.end + data)[-_END:])

    def _take(self, reviews: Iterable[Review]) -> None:
        for review in reviews:
            key = int(key_of(review.pair, face=review.face))
            if review.drawn is not None:
                self._drawn[key] = review.drawn
            if review.verdict is None:
                continue
            people, person = self._said.setdefault(key, {}), review.who.casefold()
            self._names.setdefault(person, review.who)
            people[person] = later(people[person], review) if person in people else review

    def add(self, reviews: Iterable[Review]) -> None:
        """Add lines to the file, each as it was drawn; on the disk when this returns."""
        with self.lock:
            drawn = (each._replace(drawn=self._drawn.get(int(key_of(each.pair, face=each.face)))) for each in reviews)
            append_reviews(self.path, drawn)
            self.refresh()

    def said(self, key: np.uint64) -> list[Review]:
        """What each person says in the end."""
        return [each for each in self._said.get(int(key), {}).values() if each.verdict is not Verdict.TAKEN_BACK]

    def decided_by(self, who: str) -> Keys:
        """The pairs on which this person says something."""
        person = who.casefold()
        found = (key for key, people in self._said.items() if person in people and _stands(people[person]))
        return np.fromiter(found, np.uint64)

    def with_verdict(self, verdict: Verdict) -> Keys:
        """The pairs of which somebody says so."""
        found = (key for key, people in self._said.items() if any(each.verdict is verdict for each in people.values()))
        return np.fromiter(found, np.uint64)

    @property
    def disagreeing(self) -> Keys:
        """The pairs on which people disagree."""
        return np.fromiter((key for key in self._said if self.differ(np.uint64(key))), np.uint64)

    def differ(self, key: np.uint64) -> bool:
        return len({as_seen(each) for each in self.said(key)} - {Verdict.UNSURE}) > 1

    @property
    def drawn(self) -> Keys:
        """The pairs of a sample."""
        return np.fromiter(self._drawn, np.uint64)

    @property
    def people(self) -> list[str]:
        """Their names, as each was written first."""
        return list(self._names.values())


def _stands(review: Review) -> bool:
    return review.verdict is not Verdict.TAKEN_BACK
