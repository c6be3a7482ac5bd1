"""Where the files of a store's images are now: where it says, or beside a store that was moved together with them.

A path is tried, in this order: as the store says, a relative one from the folder that the store was made in; then where
it lies from the store, if that stood elsewhere when the path was written; a relative one then beside the store. The
first that is there counts; where none is, the path is the one that the store says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.images.remote import is_url


class Place(NamedTuple):
    """From where a store was written. beside: the folder that it stood in; base: what relative paths began at; now: the
    way to where that folder is from the one that the store stands in, empty: they are one, as of all but merged ones.
    """

    beside: str
    base: str
    now: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"beside": self.beside, "base": self.base, **({"now": self.now} if self.now else {})}

    def seen_now(self, beside: str) -> str:
        """Where the folder is, by where the store stands."""
        return os.path.normpath(os.path.join(beside, self.now))

    @classmethod
    def here(cls, folder: Path) -> Place:
        """Of a store that this process writes at `folder`."""
        return cls(os.path.dirname(os.path.realpath(folder)), _working_folder())

    def seen_from(self, folder: Path, other: Path) -> Place:
        """The same of a store at `other` that says of its files what the one at `folder` says."""
        own, others = (os.path.dirname(os.path.realpath(each)) for each in (folder, other))
        stands = self.seen_now(own)
        if stands in (self.beside, others):
            return Place(others if stands == self.beside else self.beside, self.base)
        return Place(self.beside, self.base, os.path.relpath(stands, others))


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


class Tried(NamedTuple):
    """A path that an image may be at, and relative to what."""

    path: str
    how: str

    def __str__(self) -> str:
        return f"{self.path} ({self.how})"


class Whereabouts:
    """Finds the files of a store at `folder` that was written from these places; none: by an earlier version."""

    def __init__(self, folder: Path, places: Sequence[Place]) -> None:
        self._places = places
        self._beside = os.path.dirname(os.path.realpath(folder))
        self._moved = tuple(place for place in places if place.beside != place.seen_now(self._beside))

    def located(self, uris: NDArray[np.object_]) -> NDArray[np.object_]:
        """Where these are now. Of a store that was not moved nothing is looked for but relative paths."""
        if not self._moved and all(map(_is_settled, uris)):
            return uris
        found = np.empty(len(uris), object)
        found[:] = [self.find(uri) for uri in uris]
        return found

    def find(self, uri: str) -> str:
        """Where this is now, or as the store says."""
        if not uri or is_url(uri) or (not self._moved and os.path.isabs(uri)):
            return uri
        for file, within in _files_of(uri):
            for tried in self.tried(file):
                if os.path.exists(tried.path):
                    return tried.path + within
        return next(self.tried(uri)).path

    def is_lost(self, uri: str) -> bool:
        """Whether there is no file at any of the places; of a URL nobody asks."""
        found = self.find(uri)
        return not (not uri or is_url(uri) or any(os.path.exists(file) for file, _ in _files_of(found)))

    def tried(self, path: str) -> Iterator[Tried]:
        """All places of a path, in order, each once."""
        seen = set[str]()
        for tried in self._all(path):
            if tried.path not in seen:
                seen.add(tried.path)
                yield tried

    def _all(self, path: str) -> Iterator[Tried]:
        """At least one. What begins at the working folder of this process stays as it is written."""
        relative, here = not os.path.isabs(path), _working_folder()
        bases = [place.base for place in self._places if place.base] if relative else []
        for base in bases:
            yield Tried(path if base == here else os.path.join(base, path), f"relative to {base}, where it was made")
        if not bases:
            yield Tried(path, f"relative to {here}, the working folder" if relative else "as the store says")
        for place in self._moved:
            whole = os.path.join(place.base or here, path)
            way = os.path.relpath(whole, place.beside)
            from_store = os.path.normpath(os.path.join(place.seen_now(self._beside), way))
            yield Tried(from_store, f"as it lay from the store, which stood in {place.beside}")
        if relative:
            yield Tried(os.path.join(self._beside, path), f"relative to {self._beside}, where the store stands")


def _is_settled(uri: str) -> bool:
    return not uri or os.path.isabs(uri) or is_url(uri)


def _files_of(uri: str) -> Iterator[tuple[str, str]]:
    """The uri as a path, and as a file and what is named within it (`a.tar#tar=…`): names may hold a # themselves."""
    yield uri, ""
    end = uri.rfind("#")
    while end > 0:
        yield uri[:end], uri[end:]
        end = uri.rfind("#", 0, end)
