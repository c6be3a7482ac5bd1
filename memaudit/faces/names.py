"""What a face is called: its image's image_id and a number. And what stays of a name that was forgotten."""

from __future__ import annotations

import hashlib
import re

from memaudit.errors import InputError

_LIKE_A_FACE = re.compile(r".*#face-\d+", re.DOTALL)


def face_id(parent: str, number: int) -> str:
    """The image_id of the n-th face of an image, n from 1 on."""
    return f"{parent}#face-{number}"


def require_plain(image_id: str) -> str:
    """Return an image's image_id. Raises InputError for one that would be taken for a face's."""
    if _LIKE_A_FACE.fullmatch(image_id):
        raise InputError(f"image_id {image_id!r} ends like that of a face: rename the image, or give it another id")
    return image_id


def file_hash(file: str, number: int) -> str:
    """The sha256 that a face's row carries: that of its image's file would make exact duplicates of all its faces."""
    return hashlib.sha256(f"{file}#face-{number}".encode()).hexdigest()


def tombstone(image_id: str) -> str:
    """What stays of a forgotten image_id: a digest, by which it is known should it come back."""
    return hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).hexdigest()


def file_tombstone(sha256: str) -> str:
    """What stays of a forgotten file, or of a face's `file_hash`: it does not come back under another name either."""
    return tombstone(f"sha256:{sha256}")
