"""Bytes by uri: a local file, a URL, or a member of an uncompressed tar.

A tar member's uri is `ARCHIVE#tar=OFFSET,SIZE,NAME`: it can be read again, alone, by whoever holds the uri.
"""

from __future__ import annotations

import errno
import os
import re
from typing import IO, NamedTuple

from memaudit.files import open_regular
from memaudit.images.image_ref import ARCHIVE_CUT
from memaudit.images.remote import is_url as is_url
from memaudit.images.remote import is_web, local_path, open_url, web_part
from memaudit.images.web import Part, get

MAX_BYTES = 2 << 30  # a file beyond it is a film or an archive, which would fill the memory
_TAR_MEMBER = re.compile(r"(?P<archive>.+)#tar=(?P<offset>\d{1,18}),(?P<size>\d{1,18}),(?P<name>.*)", re.DOTALL)
_TAR_LINK = re.compile(r"(?P<archive>.+)#tar=link,(?P<target>.*)", re.DOTALL)


class ArchiveCutError(OSError):
    """An archive ends within an image, or lacks its end: with it goes an unknown number of images."""


def tar_member(archive: str, offset: int, size: int, name: str) -> str:
    """The uri of a member whose `size` bytes of content begin at `offset` of the archive."""
    return f"{archive}#tar={offset},{size},{name}"


class TarPlace(NamedTuple):
    """Where the bytes of a member are: `size` of them from `offset` of the archive on. size -1: it is a link to what
    the archive does not hold, and `name` what that is."""

    archive: str
    offset: int
    size: int
    name: str


def tar_place(uri: str) -> TarPlace | None:
    """What a uri says of a member of a tar; None for every other uri."""
    if "#tar=" not in uri or os.path.exists(uri):
        return None
    if found := _TAR_MEMBER.fullmatch(uri):
        return TarPlace(found["archive"], int(found["offset"]), int(found["size"]), found["name"])
    link = _TAR_LINK.fullmatch(uri)
    return TarPlace(link["archive"], 0, -1, link["target"]) if link else None


def tar_link(archive: str, target: str) -> str:
    """The uri of a link in an archive to what the archive does not hold: it cannot be read."""
    return f"{archive}#tar=link,{target}"


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
    if member := tar_place(uri):
        if member.size < 0:
            raise FileNotFoundError(errno.ENOENT, f"a link to {member.name[:200]!r}, which is not in the archive")
        return _read_part(member.archive, Part(member.offset, member.size))
    if is_web(uri):
        return get(uri).data
    with open_binary(uri) as handle:
        _require_small(size := handle.seek(0, os.SEEK_END))
        handle.seek(0)
        data = handle.read(size + 1)  # memory is taken for all that is asked for
    _require_small(len(data))
    return data


def _read_part(archive: str, part: Part) -> bytes:
    _require_small(part.size)
    if is_web(archive):
        data = web_part(archive, part)
    else:
        with open_binary(archive) as handle:
            handle.seek(part.start)
            data = handle.read(part.size)
    if len(data) < part.size:
        raise ArchiveCutError(errno.EIO, f"{ARCHIVE_CUT}: {len(data):,} of {part.size:,} bytes are there")
    return data


def _require_small(size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"file over the limit of {MAX_BYTES:,} bytes")


def open_binary(uri: str) -> IO[bytes]:
    """Open a local file or a URL. A pipe or a device, which might never end, is an OSError like an absent file."""
    uri = local_path(uri)
    return open_url(uri) if is_url(uri) else open_regular(uri)
