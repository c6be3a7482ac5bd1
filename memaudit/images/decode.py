"""Bytes to RGB pixels. A file that cannot be decoded gives a reason, never an exception of Pillow's.

Whoever makes other pixels of a file than before raises `READING` of matching/pictures.py.
"""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from memaudit.images.budget import Budget
from memaudit.images.formats import png_without_text, why_not
from memaudit.types import Float32

MAX_PIXELS = 178_956_970  # where Pillow itself raises; it also looks at pictures inside others, as in .ico
BLANK_RANGE = 4  # of 255: JPEG noise on a plain page stays below it
_SENSOR_BITS = 12
SPECK = 0.002  # share of the image: a dot on a page, an icon in its corner
_SAMPLE = (64, 64)  # cells
_LOOKED_AT = 1 << 18  # pixels by which the usual values of a deep grey are told
_USUAL = 0.75  # of the pixels that are not 0 are at most at this quantile
_DARK = 64  # times darker than white: 4 of 255 levels
_LEVELS_OF_USUAL = 223.0
_STRIP = 1 << 20  # pixels converted at once where a conversion makes copies

# Pixels decoded at once by all threads: 0.5 GB at 8 bytes, the file's own pixels and the RGB that is made of them.
# What is larger is decoded too, but alone.
_PIXELS = Budget(1 << 26)
_COPIES = {"WEBP": 2, "AVIF": 2, "JPEG2000": 3}  # times 8 bytes: what the libraries of these formats take, measured

# Pillow holds large images in blocks of 16 MiB, which the C library may keep when they are freed; blocks beyond 32 MiB
# go back to the system.
Image.core.set_block_size(64 << 20)  # type: ignore[attr-defined]

# Once and for all, because warnings.catch_warnings is not safe in threads: a corrupt EXIF block is no reason to
# distrust the pixels, and too many pixels are refused below. What Pillow logs names no file: the row's error does.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


Flatten = Callable[[Image.Image], Image.Image]
T = TypeVar("T")


class UnreadableImageError(Exception):
    """Why these bytes are no image. Caught by the embedding loop and kept as the row's error."""


class Decoded(NamedTuple):
    """RGB pixels and the size stored in the file, before any rotation by EXIF."""

    image: Image.Image
    width: int
    height: int


def decode(data: bytes, max_pixels: int = MAX_PIXELS, side: int = 0, flatten: Flatten | None = None) -> Decoded:
    """Decode the first frame: EXIF orientation applied, alpha composited on white, converted to 8-bit RGB.

    side: what the image will be resized to; a large JPEG is then decoded at a reduced scale, at least 5/4 of that.
    flatten: what makes RGB of the upright image, None for `to_rgb`.
    Memory: 8 bytes a pixel, more in the formats of `_COPIES`. Raises UnreadableImageError with a short reason.
    """
    with ExitStack() as held:
        return _open_or_reason(data, max_pixels, side, held, flatten or to_rgb)


def scaled_size(data: bytes, side: int) -> tuple[int, int]:
    """The stored width and height at which an image would be decoded for this side: where they are equal, so are the
    pixels. Reads no more than the header; (0, 0) for what is no image."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft(None, _least(side))
            return opened.size
    except Exception:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        return 0, 0


@contextmanager
def decoding(data: bytes, max_pixels: int = MAX_PIXELS, side: int = 0) -> Iterator[Decoded]:
    """`decode` for many threads: it waits while those within such a block hold as many pixels as the memory shall.

    Decode nothing else within the block: a thread would wait for itself.
    """
    with ExitStack() as held:
        yield _open_or_reason(data, max_pixels, side, held, to_rgb)


def _open_or_reason(data: bytes, max_pixels: int, side: int, held: ExitStack, flatten: Flatten) -> Decoded:
    if not data:
        raise UnreadableImageError("empty file")
    try:
        return whatever_it_says(data, lambda form: _open(form, max_pixels, side, held, flatten))
    except (UnreadableImageError, MemoryError):  # too little memory is no fault of the image
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(why_not(data)) from None
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(_over_the_limit(f"{_number_in(str(error)):,}", MAX_PIXELS)) from None
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        name = "" if type(error) is OSError else f"{type(error).__name__}: "
        raise UnreadableImageError(f"cannot decode: {name}{_printable(str(error)[:120])}") from None


def whatever_it_says(data: bytes, read: Callable[[bytes], T]) -> T:
    """What `read` makes of the bytes of an image. Pillow refuses a PNG with much text, such as a generator's workflow,
    or a large profile: neither is used, and it is read without."""
    try:
        return read(data)
    except ValueError:
        pixels = png_without_text(data)
        if len(pixels) == len(data):
            raise
    return read(pixels)


def _over_the_limit(pixels: str, limit: int) -> str:
    return f"{pixels} pixels, over the limit of {limit:,}: store the image smaller"


def _number_in(text: str) -> int:
    """The first number of Pillow's message, which is all that it tells of such an image."""
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _printable(text: str) -> str:
    """Pillow quotes the file's bytes in its messages; no NUL, newline or escape sequence may travel with them."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _open(data: bytes, max_pixels: int, side: int, held: ExitStack, flatten: Flatten) -> Decoded:
    held.close()  # what was taken of the budget for another form of it
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise UnreadableImageError(_over_the_limit(f"{width} x {height}", max_pixels))
        if opened.format == "EPS":
            raise UnreadableImageError("EPS is a program that Ghostscript would run, not an image")
        if side:
            opened.draft(None, _least(side))  # JPEG only: at 1/2, 1/4 or 1/8, never below this
        held.enter_context(_PIXELS.taking(_cost(opened, width * height)))
        opened.load()
        image = _upright(opened)
    del opened  # its pixels, where the upright image has others
    return Decoded(flatten(image), width, height)


def _least(side: int) -> tuple[int, int]:
    return side * 5 // 4, side * 5 // 4


def _cost(opened: Image.Image, stored: int) -> int:
    """What decoding takes, in pixels of 8 bytes. A progressive JPEG is held whole, at whatever scale it comes out."""
    pixels = stored if "progressive" in opened.info else opened.width * opened.height
    return pixels * _COPIES.get(opened.format or "", 1)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; without a readable one the image stands as it is stored."""
    try:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        return ImageOps.exif_transpose(image) if turned else image  # which would copy in any case
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises anything on hostile bytes
        return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Flatten any mode to RGB: alpha on white, 16-bit greys scaled to 8 bits. An RGB image is returned as it is."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        scale = _scale(image)
        return _by_strips(image, lambda strip: _scaled_to_8_bits(strip, scale))
    if has_alpha(image):
        return _by_strips(image, _on_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _by_strips(image: Image.Image, convert: Flatten) -> Image.Image:
    """An RGB image of what `convert` makes of each strip of `image`: its copies are as small as a strip."""
    rgb = Image.new("RGB", image.size)
    for box in _strips(image.size):
        rgb.paste(convert(image.crop(box)).convert("RGB"), box)
    return rgb


def _strips(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    width, height = size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)


class _Scale(NamedTuple):
    """Values up to `knee` become 0 to `level`, those from there to `top` the levels above it, by their logarithm."""

    knee: float
    top: float
    level: float = 255.0


def _scaled_to_8_bits(image: Image.Image, scale: _Scale) -> Image.Image:
    values = _values(image)
    levels = values * (scale.level / scale.knee)
    if scale.top > scale.knee:
        bright = np.log(np.maximum(values, scale.knee) / scale.knee) / math.log(scale.top / scale.knee)
        levels = np.minimum(levels, scale.level) + (255 - scale.level) * bright
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def _scale(image: Image.Image) -> _Scale:
    """Deep greys hold 16 bits in files, whatever Pillow's mode, or what fewer bits a sensor gives; floats are 0..1 or
    0..255, or else fill their range. Where bright spots would make the rest black, the rest has most levels and
    the spots what is above: neither is lost."""
    full = _full_float_scale if image.mode == "F" else _full_integer_scale
    step = max(1, round(math.sqrt(image.width * image.height / _LOOKED_AT)))
    most, seen = 0.0, []
    for box in _strips(image.size):
        values = _values(image.crop(box))
        most = max(most, float(values.max()))
        seen.append(values[::step, ::step].ravel())
    looked_at = np.concatenate(seen)
    usual = float(np.quantile(looked_at[looked_at > 0], _USUAL)) if (looked_at > 0).any() else most
    knee, top = full(usual), full(most)
    return _Scale(knee, top, _LEVELS_OF_USUAL) if usual < top / _DARK and knee < top else _Scale(top, top)


def _full_integer_scale(top: float) -> float:
    """White of an image whose brightest value is `top`. The 8 to 12 bits that a microscope, X-ray or depth sensor gives
    would be near black, and be called blank, if they were 16: they are as many as the brightest value needs."""
    bits = max(8, int(top).bit_length())
    return float(2**bits - 1 if bits <= _SENSOR_BITS else max(65535, top))


def _values(image: Image.Image) -> Float32:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _full_float_scale(top: float) -> float:
    """What white is. 0..1 that overshoots a little must not be taken for a black 0..255."""
    if top <= 1:
        return 1.0
    return 255.0 if 16 < top <= 255 else top


def is_blank(image: Image.Image) -> bool:
    """True if an RGB image is of one colour, but for fine grain and a speck: of 64 × 64 cells, all but a share of
    `SPECK` are within `BLANK_RANGE` of the median, in every channel.

    A blank image is near-identical to every other blank image; such a match says nothing about memorization.
    """
    seen = _deviating(image.resize(_SAMPLE, Image.Resampling.NEAREST), 4 * BLANK_RANGE)
    # Single pixels are quick to take, and of most images they say enough; means leave the grain out
    return seen <= 10 * SPECK and _deviating(image.resize(_SAMPLE, Image.Resampling.BOX), BLANK_RANGE) <= SPECK


def _deviating(image: Image.Image, most: float) -> float:
    """Share of the pixels that are farther than this from the median colour in some channel."""
    levels = np.asarray(image, dtype=np.float32).reshape(-1, 3)
    return float((np.abs(levels - np.median(levels, axis=0)) > most).any(axis=1).mean())
