"""What transparency hides: an image laid on white, as one sees it, may show nothing of a picture that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from memaudit.images.decode import has_alpha, is_blank

_SAMPLE = 256  # pixels along a side by which it is told whether there is something to see
_CLEAR, _FULL = 64, 248  # of 255: below it nearly nothing is seen, above it everything
_PARTLY = 0.25  # share of half-transparent pixels from which alpha is no outline with soft edges, but a drawing
_HIDDEN = 0.05  # share of the image that is all but transparent


def hidden_channels(image: Image.Image) -> tuple[str, ...]:
    """The names of those `CHANNELS` of an upright image that hold a picture which white does not let one see."""
    if not has_alpha(image):
        return ()
    size = (min(_SAMPLE, image.width), min(_SAMPLE, image.height))
    sample = image.resize(size, Image.Resampling.NEAREST)
    levels = np.asarray(sample.convert("RGBA"))
    alpha, clear = levels[..., 3], levels[..., 3] < _CLEAR
    drawn = float(((alpha > 255 - _FULL) & (alpha < _FULL)).mean()) > _PARTLY and not is_blank(_alpha(sample))
    covered = float(clear.mean()) > _HIDDEN and not is_blank(_only(levels[..., :3], clear))
    return tuple(name for name, is_there in (("alpha", drawn), ("opaque", covered)) if is_there)


def _only(colours: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], where: np.ndarray) -> Image.Image:
    """The colours there, and their median elsewhere."""
    usual = np.median(colours[where], axis=0).astype(np.uint8)
    return Image.fromarray(np.where(where[..., None], colours, usual))


def _alpha(image: Image.Image) -> Image.Image:
    return image.convert("RGBA").getchannel("A").convert("RGB")


def _opaque(image: Image.Image) -> Image.Image:
    return image.convert("RGBA").convert("RGB")


CHANNELS: Mapping[str, Callable[[Image.Image], Image.Image]] = {"alpha": _alpha, "opaque": _opaque}
