"""Files at URLs, opened: http and https by `web`, all others by fsspec. Whatever goes wrong is an OSError."""

from __future__ import annotations

import errno
import io
import os
import re
from functools import lru_cache
from typing import IO, Any
from urllib.parse import urlsplit

from memaudit.errors import InputError, MissingDependencyError, install_line
from memaudit.images.hosts import addresses_of
from memaudit.images.web import Answer, Part, WebError, get

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_WEB = re.compile(r"https?://", re.IGNORECASE)
# Protocols whose host is no machine, but a bucket, an account or a folder
_OF_A_SERVICE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "github", "memory", "file", "local")
_BLOCK = 4 << 20
_BLOCKS = 2  # kept of one file


def is_url(location: str) -> bool:
    """True for what is no local path: `s3://bucket/key`, `https://…`, `memory://…`."""
    return _URL.match(location) is not None


def is_web(location: str) -> bool:
    return _WEB.match(location) is not None


def local_path(location: str) -> str:
    """The path that a file:// URL names; every other location as it is."""
    return location.partition("://")[2] if location.lower().startswith(("file://", "local://")) else location


def plain_name(location: str) -> str:
    """The last part of a path or URL, without what follows a `?`, such as a signature."""
    if not is_url(location):
        return os.path.basename(os.path.abspath(location))
    path = location.partition("#")[0].partition("?")[0] if is_web(location) else location
    return os.path.basename(path.rstrip("/"))


def open_url(url: str) -> IO[bytes]:
    """Open a URL for reading anywhere in it. Raises OSError with the reason, also when it is read."""
    return io.BufferedReader(_WebFile(url) if is_web(url) else _Translated(url), _BLOCK >> 2)


def web_part(url: str, part: Part) -> bytes:
    """Bytes of a file on a web server; fewer where it ends before."""
    answer = _whole(url) if url in _without_parts else get(url, part)
    if not answer.whole:
        return answer.data
    _without_parts.add(url)
    return answer.data[part.start : part.start + part.size]


_without_parts: set[str] = set()  # URLs whose servers send all, whatever they are asked for


@lru_cache(maxsize=1)
def _whole(url: str) -> Answer:
    return get(url)


class _Seekable(io.RawIOBase):
    """A file of a known size, of which `part` gives bytes."""

    size = 0
    _position = 0

    def part(self, start: int, size: int) -> bytes:
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, offset + (0, self._position, self.size)[whence])
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self.part(self._position, min(len(buffer), max(0, self.size - self._position)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class _WebFile(_Seekable):
    """Read in blocks, of which the last few are kept; at once where the server sends no parts."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._blocks: dict[int, bytes] = {}
        first = get(url, Part(0, _BLOCK))
        self._all = first.data if first.whole else None
        self.size = len(first.data) if first.whole else max(first.size, 0)
        if not first.whole:
            if first.size < 0 and first.data:
                raise WebError("the server does not say how large the file is")
            self._blocks[0] = first.data

    def part(self, start: int, size: int) -> bytes:
        if self._all is not None:
            return self._all[start : start + size]
        number, offset = divmod(start, _BLOCK)
        return self._block(number)[offset : offset + size] if size else b""

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * _BLOCK
            size = min(_BLOCK, self.size - start)
            data = web_part(self._url, Part(start, size))
            if len(data) < size:
                raise WebError(f"the server sends {len(data):,} of {size:,} bytes: the file has changed")
            while len(self._blocks) >= _BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = data
        return self._blocks[number]


class _Translated(_Seekable):
    """A file of fsspec's: each backend has exceptions of its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._file: Any = None  # before anything fails: a file that was never opened is closed, too
        filesystem, path = filesystem_of(url)
        try:
            self._file = filesystem.open(path, "rb")
            self.size = self._file.seek(0, io.SEEK_END)
        except Exception as error:  # noqa: BLE001
            self.close()
            raise _as_oserror(error) from None

    def part(self, start: int, size: int) -> bytes:
        try:
            self._file.seek(start)
            return bytes(self._file.read(size))
        except Exception as error:  # noqa: BLE001
            raise _as_oserror(error) from None

    def close(self) -> None:
        if self._file is not None and not self.closed:
            self._file.close()
        super().close()


def _as_oserror(error: Exception) -> OSError:
    if isinstance(error, FileNotFoundError):  # some backends say no more than the path
        return FileNotFoundError(errno.ENOENT, "No such file or directory")
    if isinstance(error, OSError) and error.strerror:
        return error
    lines = str(error).splitlines() or [""]
    return OSError(errno.EIO, f"{type(error).__name__}: {lines[0][:200]}")


def filesystem_of(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path within it.

    Raises MissingDependencyError, with the line that installs it, when the backend is absent.
    """
    import fsspec

    protocol = url.partition("://")[0].lower()
    if "::" in url:
        raise InputError(f"{url[:200]} is a URL within a URL, which is not read: unpack it, or name the inner one")
    if protocol not in _OF_A_SERVICE:
        host = urlsplit(url)
        addresses_of(host.hostname or "", host.port or 0)
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise MissingDependencyError(
            f"{protocol}:// needs a backend ({error}): {install_line('remote')}, or its fsspec package"
        ) from None
    return filesystem, path
