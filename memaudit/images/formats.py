"""Files that are no images, told by their first bytes: so that the reason says what to do."""

from __future__ import annotations

UNKNOWN = "not a known image format"
_PACKED = "a compressed archive, not an image: unpack it, or make it an uncompressed .tar"
_PAGE = "an HTML page, not an image: the download went wrong"
_SVG = "an SVG is a drawing that a browser would render: convert it to PNG"
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
}
_HEIF = (b"heic", b"heix", b"hevc", b"heif", b"mif1", b"msf1")


def why_not(data: bytes) -> str:
    """The reason for a file that no decoder takes."""
    if data[4:8] == b"ftyp":
        return "HEIF cannot be decoded: convert it to JPEG or PNG" if data[8:12] in _HEIF else "a film, not an image"
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((reason for beginning, reason in _BEGINNINGS.items() if start.startswith(beginning)), UNKNOWN)
