"""Pictures within a file: the frames of a film, the pictures of a contact sheet, what transparency hides. Each can be
read again by its uri.

`FILE#frame=2` is the third frame of an animated GIF, WebP, PNG or AVIF, the third page of a TIFF or the third picture
of an MPO (the first is the file itself), `FILE#cell=260,2,516,258` the part of a sheet in that box,
`FILE#channel=alpha` what the transparency draws, `FILE#channel=opaque` the colours without it. What is read is a PPM of
its pixels: the same bytes whenever the file is the same.
"""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from PIL import Image, ImageOps

from memaudit.images.alpha import CHANNELS, hidden_channels
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decode, to_rgb, whatever_it_says
from memaudit.images.formats import png_without_text, tiff_pages
from memaudit.images.sheets import cells_of
from memaudit.images.windows import Box

MAX_FRAMES = 500  # that are looked at; each further one has a row that says so, up to MOST_FRAMES
MOST_FRAMES = 20_000
FILMS = ("AVIF", "DCX", "FLI", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # JPEG: also MPO
_PART = re.compile(
    r"(?P<file>.+)#(?:frame=(?P<frame>\d{1,9})|cell=(?P<cell>\d{1,6}(?:,\d{1,6}){1,3})|channel=(?P<channel>\w{1,9}))",
    re.DOTALL,
)


class Parts(NamedTuple):
    """How many frames a file has; if it is a sheet, the boxes of the pictures on it; and the names of its channels, of
    `CHANNELS`, that hold a picture which is not seen on white. Of a film the latter two are not looked for."""

    frames: int = 1
    cells: tuple[Box, ...] = ()
    channels: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.frames > 1 or bool(self.cells or self.channels)

    @property
    def names(self) -> list[str]:
        """Of each, what follows the `#` in its uri."""
        frames = [f"frame={number}" for number in range(1, min(self.frames, MOST_FRAMES))]
        cells = [f"cell={','.join(map(str, box))}" for box in self.cells]
        return [*frames, *cells, *(f"channel={name}" for name in self.channels)]


def file_of(name: str) -> str:
    """The image_id, or uri, of the file that a part belongs to; nothing for what is named like no part."""
    part = _PART.fullmatch(name)
    return part["file"] if part else ""


def is_of_one_draw(name: str) -> bool:
    """Whether it is a frame, or what transparency hides: no generation of its own, as a picture of a sheet is."""
    part = _PART.fullmatch(name)
    return bool(part and not part["cell"])


def find_parts(data: bytes, max_pixels: int = MAX_PIXELS) -> Parts:
    """The frames of these bytes, or the pictures on them. What cannot be read has none: its own row says why."""
    frames = count_frames(data)
    if frames > 1:
        return Parts(frames)
    channels: list[str] = []

    def looked_at(image: Image.Image) -> Image.Image:
        channels.extend(hidden_channels(image))
        return to_rgb(image)

    try:
        return Parts(1, cells_of(decode(data, max_pixels, flatten=looked_at).image), tuple(channels))
    except UnreadableImageError:
        return Parts()


def count_frames(data: bytes) -> int:
    """Frames or pages; 1 for a single picture and for what cannot be read. Of a film that ends early it is one more
    than can be reached, whose row says so; not of a TIFF whose one page names as the next what is none. Pages of a TIFF
    after one that cannot be read are counted."""
    try:
        return whatever_it_says(data, lambda form: _counted(form, FILMS).frames)
    except Exception:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        return 1


def pixels_of(data: bytes) -> int:
    """Of all frames that are looked at, by what the file says of itself; 0 for what cannot be read."""
    try:
        found = whatever_it_says(data, _counted)
    except Exception:  # noqa: BLE001 - as above
        return 0
    return found.pixels * min(found.frames, MAX_FRAMES)


class _Counted(NamedTuple):
    """pixels: of the first frame."""

    frames: int
    pixels: int


def _counted(data: bytes, formats: tuple[str, ...] | None = None) -> _Counted:
    with Image.open(io.BytesIO(data), formats=formats) as opened:
        pixels = opened.width * opened.height
        try:
            return _Counted(int(getattr(opened, "n_frames", 1)), pixels)
        except Exception:  # noqa: BLE001 - as above; Pillow counts by going from frame to frame
            if opened.format == "TIFF":
                return _Counted(tiff_pages(data, MOST_FRAMES), pixels)  # also those after one that is odd
            return _Counted(opened.tell() + 2, pixels)  # it stands at the last that it reached


def frames(data: bytes, max_pixels: int = MAX_PIXELS) -> Iterator[bytes]:
    """The frames after the first, in one pass: each is what `read_frame` gives. It ends at one that cannot be read."""
    next_one = 1
    for picture in _frames_from(data, next_one, max_pixels):
        next_one += 1
        yield picture
    pixels = png_without_text(data)  # which may be between two frames
    if len(pixels) < len(data):
        yield from _frames_from(pixels, next_one, max_pixels)


def _frames_from(data: bytes, first: int, max_pixels: int) -> Iterator[bytes]:
    with suppress(Exception), Image.open(io.BytesIO(data), formats=FILMS) as opened:  # by its uri one learns why
        for number in range(first, MAX_FRAMES):
            yield _frame(opened, number, max_pixels)


def read_part(data: bytes, uri: str) -> bytes:
    """The part that a uri names, of the bytes of its file. Raises OSError if it has none."""
    part = _PART.fullmatch(uri)
    if part is None:
        raise OSError(errno.EINVAL, "no part of a file")
    if part["frame"]:
        return _read_frame(data, int(part["frame"]))
    try:
        if part["channel"]:
            return channel(data, part["channel"])
        return cut(decode(data).image, Box(*map(int, part["cell"].split(","))))
    except UnreadableImageError as error:
        raise OSError(errno.EIO, str(error)) from None


def channel(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> bytes:
    """What the channel of this name shows. Raises OSError for a name that is none, and what `decode` raises."""
    if name not in CHANNELS:
        raise OSError(errno.EINVAL, f"no channel {name}: expected one of {', '.join(CHANNELS)}")
    return _ppm(decode(data, max_pixels, flatten=CHANNELS[name]).image)


def _read_frame(data: bytes, number: int) -> bytes:
    if number >= MAX_FRAMES:
        raise OSError(errno.EFBIG, f"of a film the first {MAX_FRAMES} frames are looked at: split it")
    try:
        return whatever_it_says(data, lambda form: _opened_frame(form, number))
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes
        raise OSError(errno.EIO, f"frame {number} cannot be decoded: {type(error).__name__}") from None


def _opened_frame(data: bytes, number: int) -> bytes:
    with Image.open(io.BytesIO(data), formats=FILMS) as opened:
        return _frame(opened, number, MAX_PIXELS)


def _frame(opened: Image.Image, number: int, max_pixels: int) -> bytes:
    opened.seek(number)
    if opened.width * opened.height > max_pixels:
        raise UnreadableImageError(f"a frame of {opened.width} x {opened.height} pixels")
    return _ppm(to_rgb(ImageOps.exif_transpose(opened)))


def cut(image: Image.Image, box: Box) -> bytes:
    """The bytes of a picture on a sheet."""
    return _ppm(image.crop(box))


def _ppm(image: Image.Image) -> bytes:
    return b"P6\n%d %d\n255\n" % image.size + image.tobytes()
