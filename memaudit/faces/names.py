"""What a face is called: its image's image_id and a number. And what stays of a name that was forgotten."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from memaudit.errors import InputError

_LIKE_A_FACE = re.compile(r".*#face-\d+", re.DOTALL)
_NUMBER = re.compile(r"#face-\d+\Z")
_MOST_FACES = 1000  # on an image, as far as anybody looks for one that was forgotten


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


class Tombstones:
    """What stays of those who were forgotten. Memory: their digests, and a flag for each image that `on_picture` was
    asked about."""

    def __init__(self, digests: Collection[str]) -> None:
        self._digests = frozenset(digests)
        self._on_picture: dict[str, bool] = {}

    def named(self, image_id: str) -> bool:
        """Whether an image or a face is forgotten; a face is, with its image."""
        return bool(self._digests) and not self._digests.isdisjoint(map(tombstone, (image_id, _image_of(image_id))))

    def on_picture(self, image_id: str) -> bool:
        """Whether the picture of an image, or that a face is on, shows somebody who is forgotten. A digest does not
        tell of which image it is: every number that a face may have is tried."""
        image = _image_of(image_id)
        if image not in self._on_picture:
            faces = (face_id(image, number) for number in range(1, _MOST_FACES + 1))
            self._on_picture[image] = bool(self._digests) and any(
                tombstone(each) in self._digests for each in (image, *faces)
            )
        return self._on_picture[image]


def _image_of(image_id: str) -> str:
    return _NUMBER.sub("", image_id)
