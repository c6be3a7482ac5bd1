"""Bytes by uri: a local file, an fsspec URL, or a member of an uncompressed tar.

A tar member's uri is `ARCHIVE#tar=OFFSET,SIZE,NAME`: it can be read again, alone, by whoever holds the uri.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import IO, Any

from memaudit.errors import MissingDependencyError, install_line
from memaudit.images.image_ref import ARCHIVE_CUT

MAX_BYTES = 2 << 30  # a file beyond it is a film or an archive, which would fill the memory
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_TAR_MEMBER = re.compile(r"(?P<archive>.+)#tar=(?P<offset>\d+),(?P<size>\d+),.*", re.DOTALL)


class ArchiveCutError(OSError):
    """An archive ends within an image, or lacks its end: with it goes an unknown number of images."""


def is_url(location: str) -> bool:
    """True for what fsspec opens: `s3://bucket/key`, `https://…`, `memory://…`."""
    return _URL.match(location) is not None


def tar_member(archive: str, offset: int, size: int, name: str) -> str:
    """The uri of a member whose `size` bytes of content begin at `offset` of the archive."""
    return f"{archive}#tar={offset},{size},{name}"


def lost_rest(archive: str) -> str:
    """The uri of what an archive or table has lost; reading it is an ArchiveCutError.

    It begins after the last byte: within the file, however it was cut, bytes may be there.
    """
    try:
        with open_binary(archive) as handle:
            end = handle.seek(0, os.SEEK_END)
    except OSError:
        return archive  # which cannot be read either, and that reason is the better one
    return tar_member(archive, end, 512, ARCHIVE_CUT)


def read_bytes(uri: str) -> bytes:
    """Read what a uri names. Raises OSError if it is absent, no regular file, or over MAX_BYTES, and that
    of ArchiveCutError if its archive is cut short."""
    member = _TAR_MEMBER.fullmatch(uri)
    if member and not os.path.exists(uri):
        return _read_part(member["archive"], int(member["offset"]), int(member["size"]))
    with open_binary(uri) as handle:
        if not is_url(uri):
            _require_small(os.fstat(handle.fileno()).st_size)
        data = handle.read(MAX_BYTES + 1)
    _require_small(len(data))
    return data


def _read_part(archive: str, offset: int, size: int) -> bytes:
    _require_small(size)
    with open_binary(archive) as handle:
        handle.seek(offset)
        data = handle.read(size)
    if len(data) < size:
        raise ArchiveCutError(errno.EIO, f"{ARCHIVE_CUT}: {len(data):,} of {size:,} bytes are there")
    return data


def _require_small(size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"file over the limit of {MAX_BYTES:,} bytes")


def open_binary(uri: str) -> IO[bytes]:
    """Open a local file or a URL. A pipe or a device, which might never end, is an OSError like an absent file."""
    if is_url(uri):
        return _open_url(uri)
    if not stat.S_ISREG(os.stat(uri).st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return Path(uri).open("rb")


def _open_url(url: str) -> IO[bytes]:
    filesystem, path = filesystem_of(url)
    try:
        handle: IO[bytes] = filesystem.open(path, "rb")
    except FileNotFoundError:  # some backends say no more than the path
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from None
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from None
    return handle


def filesystem_of(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path within it.

    Raises MissingDependencyError, with the line that installs it, when the backend is absent.
    """
    import fsspec

    protocol = url.partition("://")[0]
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise MissingDependencyError(
            f"{protocol}:// needs a backend ({error}): {install_line('remote')}, or its fsspec package"
        ) from None
    return filesystem, path
