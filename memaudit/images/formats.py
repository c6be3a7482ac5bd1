"""Files that are no images, told by their first bytes: so that the reason says what to do. What of others is none."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

UNKNOWN = "not a known image format"
_PACKED = "a compressed archive, not an image: unpack it, or make it an uncompressed .tar"
_PAGE = "an HTML page, not an image: the download went wrong"
_SVG = "an SVG is a drawing that a browser would render: convert it to PNG"
_JPEG_XL = "JPEG XL cannot be decoded: convert it to JPEG or PNG"
_RAW = "a camera's raw file cannot be decoded: develop it to JPEG or PNG"
_POINTERS = {
    b"version https://git-lfs": "a Git LFS pointer, not the file: git lfs pull brings it",
    b"/annex/objects/": "a git-annex pointer, not the file: git annex get brings it",
}
_BEGINNINGS = {
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
    b"<svg": _SVG,
    b"<?xml": "an XML document, perhaps an SVG, not an image: convert it to PNG",
    b"%pdf-": "a PDF document, not an image: convert its pages to PNG",
    b"pk\3\4": _PACKED,
    b"\x1f\x8b": _PACKED,
    b"bzh": _PACKED,
    b"\xfd7zxz\0": _PACKED,
    b"\x28\xb5\x2f\xfd": _PACKED,
    **_POINTERS,
    b"fujifilmccd-raw": _RAW,
    b"iiro": _RAW,
    b"iiu\0": _RAW,
    b"ii*\0\x10\0\0\0cr": _RAW,
}
_JPEG_XL_BEGINNINGS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_HEIF = (b"heic", b"heix", b"hevc", b"heif", b"mif1", b"msf1")
_BRANDS = {
    **dict.fromkeys(_HEIF, "HEIF cannot be decoded: convert it to JPEG or PNG"),
    **dict.fromkeys(
        (b"avif", b"avis"), "AVIF cannot be decoded by this Pillow, or is damaged: convert it to JPEG or PNG"
    ),
    b"crx ": _RAW,
}
_IMAGES = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*|BM....\0\0\0\0|\0\0\0\x0cj[Pp]  |\xff\x4f\xff\x51"
    rb"|\0\0\0\x0cJXL |\xff\x0a|8BPS\0\x01|qoif|v/1\x01|#\?RADIANCE|P[1-7]\s+\d+\s+\d+\s|\0\0\x01\0[\x01-\x20]\0",
    re.DOTALL,
)
# The beginnings of JPEG, PNG, GIF and WebP as base64
_IMAGES_AS_TEXT = re.compile(
    rb"(?:^|[\s\"',:;>])(?:data:image/[\w.+-]{1,20};base64,)?"
    rb"(?:/9j/|iVBORw0KGgo|R0lGODlh|R0lGODdh|UklGR[\w+/]{7}RUJQ)[\w+/]{40}"
)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_TYPES = range(1, 19)  # of the values of a page's tags; 16 and above in files of more than 4 GB
_TIFF_WIDTH = 256  # the tag
_TIFF_TAGS = 100  # that are looked at: they are in order of their numbers
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def is_image(data: bytes) -> bool:
    """Whether these first bytes are an image's, of a format that is read here or not."""
    return bool(_IMAGES.match(data)) or (data[4:8] == b"ftyp" and data[8:12] in _BRANDS)


def shows_images_as_text(data: bytes) -> bool:
    """Whether an image begins in this text, as base64."""
    return bool(_IMAGES_AS_TEXT.search(data))


def why_not(data: bytes) -> str:
    """The reason for a file that no decoder takes."""
    if data.startswith(_JPEG_XL_BEGINNINGS):
        return _JPEG_XL
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "a film, not an image")
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((reason for beginning, reason in _BEGINNINGS.items() if start.startswith(beginning)), UNKNOWN)


def why_not_there(data: bytes) -> str:
    """What a file is that only stands for another one, by its first bytes; empty for any other."""
    return next((reason for beginning, reason in _POINTERS.items() if data.startswith(beginning)), "")


def png_without_text(data: bytes) -> bytes:
    """A PNG without its texts and its colour profile; whatever is no PNG, and what follows a damage, as it is."""
    if not data.startswith(_SIGNATURE):
        return data
    kept, place = [_SIGNATURE], len(_SIGNATURE)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] not in _TEXT:
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]])


def tiff_pages(data: bytes, most: int) -> int:
    """Pages of a TIFF, each of which names where the next one begins; at most this many, and each place once.

    The last may be one that is cut, lies beyond the end or is none: it stands for all that is missing. What the first
    page names as the second and is none is not counted, as such a file is a single page.
    """
    form = _tiff_form(data)
    seen, place = set[int](), form.number(data, form.place, form.place)
    while place and place not in seen and len(seen) < most:
        count, tags = form.number(data, place, form.tags), place + form.tags
        if not _may_be_page(data, form, tags, count):
            return len(seen) + 1 if len(seen) > 1 else 1
        seen.add(place)
        place = form.number(data, tags + count * form.tag, form.place)
    return max(1, len(seen))


class _TiffForm(NamedTuple):
    """How numbers are written, and the bytes of a place in the file, of how many tags a page has and of a tag."""

    order: Literal["little", "big"]
    place: int = 4
    tags: int = 2
    tag: int = 12

    def number(self, data: bytes, place: int, size: int) -> int:
        """0 where it is cut."""
        found = data[place : place + size]
        return int.from_bytes(found, self.order) if len(found) == size else 0


def _tiff_form(data: bytes) -> _TiffForm:
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    big = int.from_bytes(data[2:4], order) == 43  # for files of more than 4 GB
    return _TiffForm(order, 8, 8, 20) if big else _TiffForm(order)


def _may_be_page(data: bytes, form: _TiffForm, tags: int, count: int) -> bool:
    """Whether it has a width, as whatever can be decoded, or its tags are of known types: also where they were cut, lie
    beyond the end, or nothing was written yet."""
    looked_at = min(tags + min(count, _TIFF_TAGS) * form.tag, len(data) - form.tag + 1)
    found = [data[tag : tag + form.tag] for tag in range(tags, looked_at, form.tag)]
    known = [tag for tag in found if form.number(tag, 2, 2) in _TIFF_TYPES]
    one = form.tag - form.place - 4  # bytes of the number of a tag's values
    return len(known) == len(found) or any(
        form.number(tag, 0, 2) == _TIFF_WIDTH and form.number(tag, 4, one) == 1 for tag in known
    )
