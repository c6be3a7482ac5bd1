"""The files of a tar, as they follow each other: also of archives written one after the other into the same file."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from itertools import chain
from typing import IO, NamedTuple

from memaudit.images.formats import is_image
from memaudit.images.passed_over import HEAD

SIDECARS = frozenset(("txt", "json", "cls", "npy", "npz", "pth", "pyd", "caption", "id", "index", "jsonl"))
TEXTS = frozenset(("txt", "caption", "json"))
_BLOCK = tarfile.BLOCKSIZE
_READ_AT_ONCE = 2048 * _BLOCK  # of the padding between two archives
_LONGEST_CHAIN = 40  # of links to links
_DAMAGED = (ValueError, OverflowError)  # what tarfile raises for numbers of a pax header that are none, or too large


class Member(NamedTuple):
    """A file in a tar: `size` bytes from `offset` on. link: the name it is a link to, if it is one. head: its first
    bytes, of one that is no image by name, or hidden."""

    name: str
    offset: int
    size: int
    link: str = ""
    head: bytes = b""

    @property
    def key(self) -> str:
        """Its name up to the first dot, which the files of a sample share."""
        folder, _, name = self.name.rpartition("/")
        return f"{folder}/{name.partition('.')[0]}"

    @property
    def stem(self) -> str:
        """Its name up to the last dot."""
        folder, _, name = self.name.rpartition("/")
        return f"{folder}/{name.rpartition('.')[0] or name}"

    @property
    def ending(self) -> str:
        """What follows the last dot, in small letters."""
        return self.name.rpartition("/")[2].partition(".")[2].rpartition(".")[2].lower()

    @property
    def is_image(self) -> bool:
        """Whether it is none of the files that stand beside images, or one all the same by its first bytes."""
        return not self.is_hidden and (self.ending not in SIDECARS or is_image(self.head))

    @property
    def is_hidden(self) -> bool:
        return _is_hidden(self.name)


def _is_hidden(name: str) -> bool:
    return name.rpartition("/")[2].startswith(".")


class Members:
    """Iterates over the files and links of a tar, of hidden ones over images alone, up to the first damaged header;
    afterwards `ended_well` says whether its end was there. Raises TarError when it is made of what is no tar. Memory:
    one header."""

    def __init__(self, handle: IO[bytes]) -> None:
        handle.seek(0)
        try:
            self._archive = tarfile.TarFile(fileobj=handle)
        except _DAMAGED as error:
            raise tarfile.ReadError(str(error)) from None
        self.ended_well = False

    def __iter__(self) -> Iterator[Member]:
        while True:
            try:
                member = self._archive.next()
                if member is None and not self._goes_on():
                    return
            except (tarfile.TarError, OSError, *_DAMAGED):
                return
            if member is not None and member.size < 0:  # it would lead back to a header before, for ever
                return
            if member is not None and member.isreg():
                found = Member(member.name, member.offset_data, member.size)
                if found.is_hidden or not found.is_image:
                    found = found._replace(head=self._head(found))
                if not found.is_hidden or is_image(found.head):
                    yield found
            elif member is not None and (member.islnk() or member.issym()) and not _is_hidden(member.name):
                yield Member(member.name, 0, 0, _target(member))
            self._archive.members = []  # type: ignore[attr-defined]  # tarfile remembers every member: that would grow with the archive

    def _head(self, member: Member) -> bytes:
        handle = self._archive.fileobj
        assert handle is not None
        handle.seek(member.offset)
        return handle.read(min(member.size, HEAD))

    def _goes_on(self) -> bool:
        """Go behind the end mark, to where another archive may begin; False, with `ended_well` set, if there is none.

        A whole tar ends in a block of zeros; one that was cut between two members, or goes on with garbage, does not.
        """
        handle = self._archive.fileobj
        assert handle is not None
        handle.seek(self._archive.offset)
        if handle.read(_BLOCK) != bytes(_BLOCK):
            return False
        position = self._archive.offset + _BLOCK
        while padding := handle.read(_READ_AT_ONCE):
            zeros = len(padding) - len(padding.lstrip(b"\0"))
            if zeros < len(padding):
                self._archive.offset = position + zeros // _BLOCK * _BLOCK
                return True
            position += len(padding)
        self.ended_well = True
        return False


def _target(member: tarfile.TarInfo) -> str:
    """Hard links name another member, symbolic ones a path from where they are."""
    folder = "" if member.islnk() else posixpath.dirname(member.name)
    return posixpath.normpath(posixpath.join(folder, member.linkname))


Texts = dict[str, list[Member]]
"""Captions and metadata of a key, by their stems."""


class Survey(NamedTuple):
    """What cannot be told where it stands. strays: the texts that are not among the files of a key with an image, by
    key. targets: the files that links lead to, by name."""

    strays: dict[str, Texts]
    targets: dict[str, Member]

    def followed(self, member: Member) -> Member | None:
        """A member, with the place of the file if it is a link; None for a link to what is not in the archive."""
        if not member.link:
            return member
        target = self.targets.get(member.link)
        return None if target is None else member._replace(offset=target.offset, size=target.size)


def survey(handle: IO[bytes]) -> Survey:
    """Read all headers of a tar. Memory: what is a stray or a link."""
    strays: dict[str, Texts] = {}
    links: dict[str, str] = {}
    run: list[Member] = []
    key, has_image = "", False
    for member in chain(Members(handle), [Member("", 0, 0)]):
        if member.link:
            links[posixpath.normpath(member.name)] = member.link
        if member.key != key:
            if not has_image:
                for text in run:
                    strays.setdefault(key, {}).setdefault(text.stem, []).append(text._replace(head=b""))
            run, key, has_image = [], member.key, False
        has_image |= member.is_image
        if member.ending in TEXTS and not (has_image or member.is_hidden):
            run.append(member)
    return Survey(strays, _targets(handle, links) if links else {})


def _targets(handle: IO[bytes], links: dict[str, str]) -> dict[str, Member]:
    wanted = {target: _end_of_chain(target, links) for target in set(links.values())}
    ends = set(wanted.values())
    files = {name: member for member in Members(handle) if (name := posixpath.normpath(member.name)) in ends}
    return {target: files[end] for target, end in wanted.items() if end in files and not files[end].link}


def _end_of_chain(target: str, links: dict[str, str]) -> str:
    for _ in range(_LONGEST_CHAIN):
        if target not in links:
            break
        target = links[target]
    return target
