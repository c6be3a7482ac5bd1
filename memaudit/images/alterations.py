"""Alterations of an RGB picture, each a function (image, strength, rng) -> image: every draw comes from `rng`.

Kinds and strengths are those that copy-detection benchmarks use (DISC / ISC 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from memaudit.images.copy_kinds import PLANTED

Rng = np.random.Generator
Alter = Callable[[Image.Image, float, Rng], Image.Image]
Box = tuple[int, int, int, int]
CAPTIONS = ("when you see it", "SALE 50% OFF", "me every monday", "photo by anon", "DO NOT COPY", "breaking news")
_WHITE = (255, 255, 255)


class Alteration(NamedTuple):
    """quality: of the JPEG that the copy is written as."""

    make: Alter
    strength: float
    quality: int = 90


def same(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """The picture itself: writing it as JPEG is the alteration."""
    return image


def jitter(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Brightness, contrast and saturation by factors in 1 ± `strength`; hue by up to 40 `strength` of 256."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(1 + rng.uniform(-strength, strength)))
    shift = int(rng.uniform(-strength, strength) * 40)
    hue, *others = image.convert("HSV").split()
    turned = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, *others)).convert("RGB")


def mirror(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    return ImageOps.mirror(image)


def crop(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """Exactly `strength` of each side, at a random place."""
    return image.crop(cut(image.size, strength, rng))


def caption(image: Image.Image, strength: float, rng: Rng) -> Image.Image:
    """A white line of text with a black rim, `strength` of the height, at the top or the bottom."""
    altered, words = image.copy(), str(rng.choice(CAPTIONS))
    top = int(image.height * (0.02 if rng.random() < 0.5 else 0.98 - 1.2 * strength))
    write_line(altered, words, max(10, round(image.height * strength)), top)
    return altered


def cut(size: tuple[int, int], strength: float, rng: Rng) -> Box:
    """The box of a part, `strength` of each side, at a random place."""
    width, height = (max(8, round(side * strength)) for side in size)
    left, top = place(size, (width, height), rng)
    return left, top, left + width, top + height


def place(size: tuple[int, int], part: tuple[int, int], rng: Rng) -> tuple[int, int]:
    """A random place for a part, wholly within the picture where it fits."""
    left, top = (int(rng.integers(0, max(1, whole - own + 1))) for whole, own in zip(size, part, strict=True))
    return left, top


def write_line(image: Image.Image, words: str, size: int, top: float) -> None:
    """White with a black rim, in the middle of the width."""
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    left = (image.width - draw.textlength(words, font)) / 2
    draw.text((left, top), words, _WHITE, font, stroke_width=max(1, size // 12), stroke_fill="black")


COPIES: Mapping[str, Alteration] = MappingProxyType(
    dict(
        zip(
            PLANTED,
            (
                Alteration(same, 0, 30),
                Alteration(jitter, 0.4),
                Alteration(mirror, 0),
                Alteration(crop, 0.7),
                Alteration(caption, 0.12),
            ),
            strict=True,
        )
    )
)
"""How they are made."""
