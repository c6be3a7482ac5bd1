"""The files of a tar by the key that they share: what a reader of WebDataset shards calls a sample."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from memaudit.errors import InputError
from memaudit.files import reason_of
from memaudit.images.addresses import unsigned
from memaudit.images.reading import open_binary
from memaudit.images.tar_members import Member, Members, survey


class KeyedFiles:
    """An open tar. Memory: the headers of its files, some 400 bytes each."""

    def __init__(self, location: str, handle: IO[bytes]) -> None:
        self._location, self._handle = location, handle
        self._by_key: dict[str, list[Member]] = {}
        members = list(Members(handle))
        followed = survey(handle).followed if any(member.link for member in members) else None
        for member in members:
            found = followed(member) if followed else member
            if found is not None and not member.is_hidden:
                self._by_key.setdefault(member.key, []).append(found)

    def of(self, key: str) -> list[Member]:
        """The files of a key, in the archive's order; links as what they lead to, those that lead nowhere left out."""
        return self._by_key.get(key, [])

    def read(self, member: Member) -> bytes:
        """Raises InputError where the archive ends before the file does."""
        try:
            self._handle.seek(member.offset)
            data = self._handle.read(member.size)
        except OSError as error:
            raise InputError(f"archive {unsigned(self._location)} cannot be read: {reason_of(error)}") from None
        if len(data) < member.size:
            raise InputError(
                f"archive {unsigned(self._location)} ends within {member.name[:200]!r}: restore it, and embed again"
            )
        return data


@contextmanager
def keyed_files(location: str) -> Iterator[KeyedFiles]:
    """Open a tar and read all its headers. Raises InputError for what cannot be read, or is no tar."""
    try:
        with open_binary(location) as handle:
            yield KeyedFiles(location, handle)
    except tarfile.TarError as error:
        raise InputError(
            f"archive {unsigned(location)} is no uncompressed tar any more ({error}): restore it"
        ) from None
    except OSError as error:
        raise InputError(f"archive {unsigned(location)} cannot be read: {reason_of(error)}") from None
