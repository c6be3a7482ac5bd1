"""Small pictures within a page, made of the files where they lie."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

from PIL import Image

from memaudit.errors import InputError
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.sources import read_image
from memaudit.store import is_same_file


class Inline(NamedTuple):
    """What a picture element names; empty where there is none, and `absent` says why."""

    source: str
    absent: str = ""


def inline(uri: str, sha256: str, side: int, room: int) -> Inline:
    """The picture at `uri`, no side longer than `side` pixels, in `room` bytes at most. sha256: of the file that it is
    to be."""
    try:
        data = read_image(uri)
        if not is_same_file(data, sha256):
            return Inline("", "the file is another one than was embedded")
        source = _source(decode(data).image, side)
    except (OSError, InputError, UnreadableImageError):
        return Inline("", "the file cannot be read")
    return Inline(source) if len(source) <= room else Inline("", "no room in this page")


def _source(image: Image.Image, side: int) -> str:
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
