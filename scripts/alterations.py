"""Light, seeded alterations of an RGB image: what re-uploads, thumbnails and generators do to a picture.

An alteration is a function (image, strength, rng) -> image together with a default strength. Every draw comes
from the `rng` it is given, and `stream` makes that generator from (seed, source image_id, alteration, ordinal)
alone, so that one altered copy never depends on which others are made, or in which order.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Rng = np.random.Generator
WHITE = (255, 255, 255)
SHORT_SIDE = 288
STRIP_WORDS = ("repost", "via a friend", "look at this", "copy of a copy", "seen today", "no comment")


@dataclass(frozen=True)
class Alteration:
    """A function and the strength it is called with unless the caller gives another one.

    What `strength` means is said by each function; it bounds the draw, so it is the strongest case.
    """

    function: Callable[[Image.Image, float, Rng], Image.Image]
    strength: float


def stream(seed: int, image_id: str, name: str, ordinal: int) -> Rng:
    """Random generator of one altered copy; depends on these four values and on nothing else."""
    key = json.dumps([seed, image_id, name, ordinal], ensure_ascii=False)
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()))


def read_rgb(path: Path) -> Image.Image:
    """Read a picture as RGB, upright; transparent parts become white, as when an encoder reads it."""
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    opaque = Image.new("RGBA", upright.size, WHITE)
    opaque.alpha_composite(upright.convert("RGBA"))
    return opaque.convert("RGB")


def enlarge(image: Image.Image, short_side: int = SHORT_SIDE) -> Image.Image:
    """Scale a smaller picture up to `short_side` pixels.

    An icon of 72 pixels would not survive JPEG; the default is the size at which `sscd` looks at pictures.
    """
    factor = short_side / min(image.size)
    if factor <= 1:
        return image
    size = (round(image.width * factor), round(image.height * factor))
    return image.resize(size, Image.Resampling.BILINEAR)


def write_picture(image: Image.Image, path: Path) -> None:
    """Write PNG or nearly lossless JPEG, by the suffix of `path`."""
    if path.suffix == ".png":
        image.save(path)
    else:
        image.save(path, "JPEG", quality=95, subsampling=0)


def flip(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Mirror left and right; `strength` and `rng` are not used."""
    return ImageOps.mirror(image)


def crop(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Keep a window at a random place; a share of each side in [`strength`, 1) is kept."""
    share = rng.uniform(strength, 1.0)
    width, height = (max(1, round(side * share)) for side in image.size)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def jpeg(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Encode as JPEG, without chroma subsampling, and decode; the quality is drawn from `strength` .. 95."""
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=int(rng.integers(int(strength), 96)), subsampling=0)
    return Image.open(encoded).convert("RGB")


def resize(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Scale both sides by one factor in [`strength`, 1)."""
    factor = rng.uniform(strength, 1.0)
    width, height = (max(1, round(side * factor)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def colour(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Change brightness and saturation by factors in 1 ± `strength`, contrast by half as much.

    Brightness is a gamma, so that white paper stays white: a grey page is no small change to an encoder.
    """
    gamma, contrast, saturation = (rng.uniform(1 - part, 1 + part) for part in (strength, strength / 2, strength))
    curve = [round(255 * (level / 255) ** gamma) for level in range(256)]
    contrasted = ImageEnhance.Contrast(image.point(curve * 3)).enhance(contrast)
    return ImageEnhance.Color(contrasted).enhance(saturation)


def rotate(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Turn by up to `strength` degrees either way; the corners become white."""
    angle = rng.uniform(-strength, strength)
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=WHITE)


def rotate_edge(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Turn by up to `strength` degrees either way; the corners repeat the edge pixels."""
    angle = rng.uniform(-strength, strength)
    width, height = image.size
    margin = max(1, max(width, height) // 8)
    padded = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    turned = Image.fromarray(padded).rotate(angle, Image.Resampling.BICUBIC)
    return turned.crop((margin, margin, margin + width, margin + height))


def text_strip(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Cover a band at the bottom, `strength` of the height, with a line of black text on white."""
    band = max(1, round(image.height * strength))
    font = ImageFont.load_default(max(1, round(band * 0.7)))
    altered = image.copy()
    draw = ImageDraw.Draw(altered)
    draw.rectangle((0, image.height - band, image.width, image.height), fill=WHITE)
    draw.text((band // 4, image.height - band), str(rng.choice(STRIP_WORDS)), fill="black", font=font)
    return altered


def border(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Frame in one random colour; its width is up to `strength` of the short side, at least one pixel."""
    width = max(1, round(min(image.size) * rng.uniform(strength / 2, strength)))
    red, green, blue = (int(level) for level in rng.integers(0, 256, size=3))
    return ImageOps.expand(image, width, (red, green, blue))


ALTERATIONS: Mapping[str, Alteration] = MappingProxyType(
    {
        "flip": Alteration(flip, 0.0),
        "crop": Alteration(crop, 0.85),
        "jpeg": Alteration(jpeg, 60),
        "resize": Alteration(resize, 0.75),
        "colour": Alteration(colour, 0.2),
        "rotate": Alteration(rotate, 2.0),
        "rotate_edge": Alteration(rotate_edge, 2.0),
        "text_strip": Alteration(text_strip, 0.1),
        "border": Alteration(border, 0.05),
    }
)


def alter(image: Image.Image, name: str, rng: Rng, strength: float | None = None) -> Image.Image:
    """Apply the alteration called `name` to an RGB image, at its default strength unless another is given."""
    alteration = ALTERATIONS[name]
    return alteration.function(image, alteration.strength if strength is None else strength, rng)
