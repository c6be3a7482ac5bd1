"""Drawings that nobody has: seeded, of three kinds, without a face, each with a caption of words that nobody uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 512
_SYLLABLES = tuple(
    f"{first}{vowel}"
    for first in ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
    for vowel in "aeiou"
)
_COLOURS = ("teal", "amber", "crimson", "ivory", "indigo", "olive", "coral", "slate", "violet", "ochre")
Rng = np.random.Generator
Colour = tuple[int, int, int]


def drawn(kind: str, rng: Rng) -> Image.Image:
    """A picture of one of `KINDS`, 512 x 512 RGB."""
    return KINDS[kind](rng)


def caption_of(kind: str, rng: Rng) -> str:
    """A caption that no other picture has, as a photograph's or a drawing's might read."""
    name = f"{_word(rng)} {_word(rng)}"
    colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
    return {
        "vector": f"flat {colour} illustration of the {name} emblem",
        "photo": f"photograph of the {colour} {name} at dusk",
        "text": f"poster with the words {name}, {colour} print",
    }[kind]


def _word(rng: Rng) -> str:
    return "".join(_SYLLABLES[int(part)] for part in rng.integers(0, len(_SYLLABLES), int(rng.integers(3, 5))))


def vector(rng: Rng) -> Image.Image:
    """Flat shapes on a plain ground."""
    image = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(5, 10))):
        x, y, size = (float(each) for each in rng.uniform((40, 40, 40), (SIDE - 40, SIDE - 40, 180)))
        sides, turn = int(rng.integers(3, 9)), float(rng.uniform(0, math.pi))
        if rng.random() < 0.3:
            draw.ellipse((x - size, y - size * 0.7, x + size, y + size * 0.7), _colour(rng), _colour(rng), 6)
        else:
            ends = [turn + 2 * math.pi * corner / sides for corner in range(sides)]
            draw.polygon(
                [(x + size * math.cos(at), y + size * math.sin(at)) for at in ends], _colour(rng), _colour(rng), 6
            )
    return image


def photo(rng: Rng) -> Image.Image:
    """Texture at every scale and soft light, as photographs have, with a few things in it."""
    pixels = np.zeros((SIDE, SIDE, 3))
    for cells in (2, 4, 8, 16, 32, 64, 128):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += (np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) - 128) / cells**0.55
    image = Image.fromarray(np.clip(128 + pixels, 0, 255).astype(np.uint8))
    for _ in range(int(rng.integers(2, 5))):
        mask = Image.new("L", image.size)
        x, y, wide, high = (float(each) for each in rng.uniform((0, 0, 60, 60), (SIDE - 60, SIDE - 60, 240, 240)))
        ImageDraw.Draw(mask).rounded_rectangle((x, y, x + wide, y + high), 30, 220)
        level = np.linspace(0.5, 1.2, SIDE)[:, None, None]
        shade = np.clip(np.array(_colour(rng)) * np.broadcast_to(level, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
        image.paste(Image.fromarray(shade), (0, 0), mask.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 6)))))
    return image


def text(rng: Rng) -> Image.Image:
    """Words of no language in several sizes."""
    image = Image.new("RGB", (SIDE, SIDE), _light(rng))
    draw, y, ink = ImageDraw.Draw(image), int(rng.integers(10, 60)), _dark(rng)
    while y < SIDE - 40:
        size = int(rng.integers(18, 70))
        words = " ".join(_word(rng) for _ in range(6))
        draw.text(
            (int(rng.integers(8, 60)), y),
            words,
            ink if rng.random() < 0.7 else _dark(rng),
            ImageFont.load_default(size),
        )
        y += round(size * float(rng.uniform(1.2, 1.8)))
    return image


def _colour(rng: Rng) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return red, green, blue


def _dark(rng: Rng) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, 130, 3))
    return red, green, blue


def _light(rng: Rng) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(190, 256, 3))
    return red, green, blue


KINDS: Mapping[str, Callable[[Rng], Image.Image]] = MappingProxyType({"vector": vector, "photo": photo, "text": text})
