"""Bytes to RGB pixels. A file that cannot be decoded gives a reason, never an exception of Pillow's."""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 178_956_970  # Pillow's own "decompression bomb" limit, applied to each image instead of the process
BLANK_RANGE = 4  # of 255: JPEG noise on a plain page stays below it

Image.MAX_IMAGE_PIXELS = None  # _open refuses by header, before pixels are read; a warning would be lost in threads


class UnreadableImageError(Exception):
    """Why these bytes are no image. Caught by the embedding loop and kept as the row's error."""


class Decoded(NamedTuple):
    """RGB pixels and the size stored in the file, before any rotation by EXIF."""

    image: Image.Image
    width: int
    height: int


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode the first frame: EXIF orientation applied, alpha composited on white, converted to 8-bit RGB.

    Raises UnreadableImageError with a short reason.
    """
    if not data:
        raise UnreadableImageError("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a corrupt EXIF block is no reason to distrust the pixels
            return _open(data, max_pixels)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("not a known image format") from None
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        raise UnreadableImageError(f"cannot decode: {type(error).__name__}: {str(error)[:120]}") from None


def _open(data: bytes, max_pixels: int) -> Decoded:
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise UnreadableImageError(f"{width} x {height} pixels, over the limit of {max_pixels:,}")
        opened.load()
        return Decoded(to_rgb(ImageOps.exif_transpose(opened)), width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """Flatten any mode to RGB: alpha on white, 16-bit greys scaled to 8 bits."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _scaled_to_8_bits(image).convert("RGB")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Deep greys hold 16 bits in files, whatever Pillow's mode; floats are 0..1 unless they exceed it."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    full = max(65535.0, top) if image.mode != "F" else 1.0 if top <= 1.0 else max(255.0, top)
    return Image.fromarray(np.clip(values * (255.0 / full), 0, 255).astype(np.uint8))


def is_blank(image: Image.Image) -> bool:
    """True if no channel of the RGB image varies by more than `BLANK_RANGE`.

    A blank image is near-identical to every other blank image; such a match says nothing about memorization.
    """
    return all(high - low <= BLANK_RANGE for low, high in image.getextrema())  # type: ignore[misc]
