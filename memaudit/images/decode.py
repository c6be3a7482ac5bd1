"""Bytes to RGB pixels. A file that cannot be decoded gives a reason, never an exception of Pillow's."""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 178_956_970  # where Pillow itself raises; it also looks at pictures inside others, as in .ico
BLANK_RANGE = 4  # of 255: JPEG noise on a plain page stays below it

# Once and for all, because warnings.catch_warnings is not safe in threads: a corrupt EXIF block is no reason to
# distrust the pixels, and too many pixels are refused below.
warnings.filterwarnings("ignore", module=r"PIL\.")


class UnreadableImageError(Exception):
    """Why these bytes are no image. Caught by the embedding loop and kept as the row's error."""


class Decoded(NamedTuple):
    """RGB pixels and the size stored in the file, before any rotation by EXIF."""

    image: Image.Image
    width: int
    height: int


def decode(data: bytes, max_pixels: int = MAX_PIXELS, side: int = 0) -> Decoded:
    """Decode the first frame: EXIF orientation applied, alpha composited on white, converted to 8-bit RGB.

    side: what the image will be resized to; a large JPEG is then decoded at a reduced scale, at least twice that.
    Raises UnreadableImageError with a short reason.
    """
    if not data:
        raise UnreadableImageError("empty file")
    try:
        return _open(data, max_pixels, side)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("not a known image format") from None
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        raise UnreadableImageError(f"cannot decode: {type(error).__name__}: {_printable(str(error)[:120])}") from None


def _printable(text: str) -> str:
    """Pillow quotes the file's bytes in its messages; no NUL, newline or escape sequence may travel with them."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _open(data: bytes, max_pixels: int, side: int) -> Decoded:
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise UnreadableImageError(f"{width} x {height} pixels, over the limit of {max_pixels:,}")
        if opened.format == "EPS":
            raise UnreadableImageError("EPS is a program that Ghostscript would run, not an image")
        if side:
            opened.draft(None, (2 * side, 2 * side))  # JPEG only: decodes at 1/2, 1/4 or 1/8, never below this
        opened.load()
        return Decoded(to_rgb(_upright(opened)), width, height)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; without a readable one the image stands as it is stored."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises anything on hostile bytes
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Flatten any mode to RGB: alpha on white, 16-bit greys scaled to 8 bits."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _scaled_to_8_bits(image).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Deep greys hold 16 bits in files, whatever Pillow's mode; floats are 0..1 or 0..255, or else fill their range."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    full = _full_float_scale(top) if image.mode == "F" else max(65535.0, top)
    return Image.fromarray(np.clip(values * (255.0 / full), 0, 255).astype(np.uint8))


def _full_float_scale(top: float) -> float:
    """What white is. 0..1 that overshoots a little must not be taken for a black 0..255."""
    if top <= 1:
        return 1.0
    return 255.0 if 16 < top <= 255 else top


def is_blank(image: Image.Image) -> bool:
    """True if no channel of the RGB image varies by more than `BLANK_RANGE`.

    A blank image is near-identical to every other blank image; such a match says nothing about memorization.
    """
    return all(high - low <= BLANK_RANGE for low, high in image.getextrema())  # type: ignore[misc]
