"""The files below a folder, here or at a URL, in path order: each once, whatever links say. Hidden ones on demand."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from memaudit.errors import InputError
from memaudit.files import reason_of
from memaudit.images.addresses import unsigned
from memaudit.images.remote import filesystem_of, is_url, is_web
from memaudit.images.web import get

_DEEPEST = 64  # folders within each other on a web server, which may make them up
_HREF = re.compile(r"""href\s*=\s*["']?([^"'\s>?#]+)""", re.IGNORECASE)


_NOT_OURS = (".git", ".hg", ".svn")  # folders of which every file is there again


class File(NamedTuple):
    """A file below a folder: its path within it, and where it is. hidden: by its name, or that of a folder."""

    relative: str
    location: str
    hidden: bool = False


def walk(location: str, *, hidden: bool = False) -> Iterator[File]:
    """Yield the files below a folder, of a local one also the hidden ones, if they are asked for. Raises InputError for
    a folder that cannot be listed."""
    if is_web(location):
        root = f"{location.rstrip('/')}/"
        return _walk_web(root, root, 0)
    return _walk_remote(location) if is_url(location) else _walk(os.path.realpath(location), hidden)


def _walk_web(root: str, folder: str, depth: int) -> Iterator[File]:
    """Follow the links of a page to what is right below it."""
    if depth > _DEEPEST:
        raise InputError(f"folder {unsigned(root)} has more than {_DEEPEST} folders within each other")
    try:
        page = get(folder).data.decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"folder {unsigned(folder)} cannot be listed: {reason_of(error)}") from None
    links = {urljoin(folder, unescape(link)) for link in _HREF.findall(page)}
    below = {link.removeprefix(folder): link for link in links if link.startswith(folder)}
    for name in sorted(name for name in below if re.fullmatch(r"[^/.][^/]*/?", name)):
        if name.endswith("/"):
            yield from _walk_web(root, below[name], depth + 1)
        else:
            yield File(unquote(below[name].removeprefix(root)), below[name])


class _Entry(NamedTuple):
    """What is in a folder at a URL."""

    path: str
    is_folder: bool


def _walk_remote(location: str) -> Iterator[File]:
    """One request a folder; of one that holds nothing there is nothing."""
    filesystem, root = filesystem_of(location)
    pending = [_Entry(root, True)]
    while pending:
        path, is_folder = pending.pop()
        if not is_folder:
            yield File(path.removeprefix(root).lstrip("/"), filesystem.unstrip_protocol(path))
            continue
        try:
            entries = [_entry(filesystem, each) for each in filesystem.ls(path, detail=True)]
        except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
            why = f"{type(error).__name__}: {error}"
            raise InputError(f"folder {unsigned(location)} cannot be listed: {why}") from None
        visible = (each for each in entries if not os.path.basename(each.path).startswith("."))
        pending += sorted((each for each in visible if each.path != path), reverse=True)


def _entry(filesystem: Any, listed: Mapping[str, Any]) -> _Entry:
    """A listing says what is a folder; a link, and what it does not say, is asked for. A name that ends in a slash
    stands for a folder in a bucket."""
    path, kind = listed["name"].rstrip("/"), listed.get("type")
    is_folder = kind == "directory" or listed["name"].endswith("/")
    return _Entry(path, is_folder or (kind != "file" and filesystem.isdir(path)))


def _walk(root: str, hidden: bool) -> Iterator[File]:
    """Files below `root`. A link to a folder that is walked anyway, here or behind another link, is not followed: with
    links, a few folders have any number of paths. Memory: the folders on the way, and each link that is followed."""
    walked = _Walked(root)
    pending = [_entries(root)]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
        elif entry.name.startswith("."):
            yield from _walk_hidden(root, entry) if hidden else ()
        elif not _is_folder(entry):
            yield _file(root, entry)
        elif walked.is_new(entry):
            pending.append(_entries(entry.path))


def _walk_hidden(root: str, entry: os.DirEntry[str]) -> Iterator[File]:
    """A hidden file, or those below a hidden folder, as far as they can be listed; no link to a folder is followed:
    what it leads to may be walked under a name that is not hidden."""
    if not _is_folder(entry):
        yield _file(root, entry)._replace(hidden=True)
    elif not entry.is_symlink() and entry.name not in _NOT_OURS:
        with suppress(InputError):
            for inner in _entries(entry.path):
                yield from _walk_hidden(root, inner)


def _file(root: str, entry: os.DirEntry[str]) -> File:
    return File(entry.path.removeprefix(root).lstrip(os.sep), entry.path)


class _Walked:
    """The root, and what links led to: by where it is, and by what it is."""

    def __init__(self, root: str) -> None:
        self._places = {root}
        self._identities = {_identity(os.stat(root))}

    def is_new(self, folder: os.DirEntry[str]) -> bool:
        """Whether a folder is to be walked, seen now for the first time."""
        identity = _identity(folder.stat())
        if identity in self._identities:
            return False
        if folder.is_symlink():
            place = os.path.realpath(folder.path)
            if not self._places.isdisjoint(_with_those_above(place)):
                return False
            self._places.add(place)
            self._identities.add(identity)
        return True


def _with_those_above(place: str) -> Iterator[str]:
    yield place
    while (above := os.path.dirname(place)) != place:
        yield above
        place = above


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, by name."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed: {error.strerror}") from None
    return iter(sorted(entries, key=lambda entry: entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """False for a link that leads nowhere: it is listed as an image, and becomes an unreadable row."""
    try:
        return entry.is_dir()
    except OSError:
        return False
