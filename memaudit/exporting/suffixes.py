"""What a file of an image is called that has no name, by its first bytes."""

from __future__ import annotations

import re

_BEGINNINGS = (
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"\x89PNG"), ".png"),
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"II\*\0|MM\0\*"), ".tif"),
    (re.compile(rb"BM"), ".bmp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), ".avif"),
    (re.compile(rb"P[1-7]\s"), ".ppm"),
)


def suffix_of(data: bytes) -> str:
    """With its dot; .bin for what is of none of the usual formats."""
    return next((suffix for beginning, suffix in _BEGINNINGS if beginning.match(data)), ".bin")
