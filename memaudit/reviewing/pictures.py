"""Pictures of a sheet as bounded JPEGs: decoded within the bounds of all images, and only of the file that was read."""

from __future__ import annotations

import io
from collections import OrderedDict
from threading import Lock

from PIL import Image

from memaudit.errors import InputError
from memaudit.files import read_small
from memaudit.images.decode import UnreadableImageError, decoding
from memaudit.images.sources import read_image
from memaudit.reviewing.queue import Shown
from memaudit.store import NO_FILE, is_same_file

SIDES = {"small": 360, "large": 1600}  # the longer one, in pixels
_KEPT = 48 << 20  # bytes of pictures that were made
_MOST_OF_THUMBNAIL = 1 << 20


class NotShownError(Exception):
    """Why a picture is not there, in a few words without a path."""


class Pictures:
    """Makes them, and keeps the last ones. Memory: `_KEPT`, and what decoding takes."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[Shown, str], bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def jpeg(self, shown: Shown, size: str) -> bytes:
        """Raises NotShownError."""
        with self._lock:
            if (shown, size) in self._made:
                self._made.move_to_end((shown, size))
                return self._made[shown, size]
        data = _jpeg(shown, SIDES[size])
        self._keep((shown, size), data)
        return data

    def _keep(self, name: tuple[Shown, str], data: bytes) -> None:
        with self._lock:
            self._size += len(data) - len(self._made.pop(name, b""))
            self._made[name] = data
            while self._size > _KEPT and len(self._made) > 1:
                self._size -= len(self._made.popitem(last=False)[1])


def _jpeg(shown: Shown, side: int) -> bytes:
    if not shown.uri:
        return _thumbnail(shown)
    try:
        return _of_file(shown, side)
    except NotShownError:
        if shown.thumbnail is None:
            raise
        return _thumbnail(shown)


def _of_file(shown: Shown, side: int) -> bytes:
    try:
        data = read_image(shown.uri)
        if not is_same_file(data, shown.sha256 or NO_FILE):
            raise NotShownError("the file is another one than was examined")
        with decoding(data, side=side) as decoded:
            decoded.image.thumbnail((side, side), Image.Resampling.LANCZOS)
            return _encoded(decoded.image)
    except (OSError, InputError, UnreadableImageError):
        raise NotShownError("the file cannot be read any more") from None


def _thumbnail(shown: Shown) -> bytes:
    if shown.thumbnail is None:
        raise NotShownError("the run kept no picture of it")
    try:
        with decoding(read_small(shown.thumbnail, _MOST_OF_THUMBNAIL)) as decoded:
            return _encoded(decoded.image)
    except (OSError, UnreadableImageError):
        raise NotShownError("its picture is not beside the report any more") from None


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()
