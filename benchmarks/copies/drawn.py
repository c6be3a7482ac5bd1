"""Pictures that no package has to carry: pages of text, gradients, textures. Same number, same picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from memaudit.types import Float64
from scripts.alterations import Rng, stream

SIDES = (384, 512)
_SYLLABLES = """ba ce di fo gu la me ni po ru sa te vi zo ter lan ges mon pre con sta ver in al""".split()  # noqa: SIM905 - a list of so many is harder to read


def drawn(kind: str, number: int) -> Image.Image:
    """The picture of one of `KINDS` with this number."""
    return KINDS[kind](stream(0, kind, "drawn", number))


def text(rng: Rng) -> Image.Image:
    """A page: a heading and paragraphs of made-up words, dark on light, of one of four sizes."""
    width, height = (SIDES[0], SIDES[1]) if rng.random() < 0.7 else (SIDES[1], SIDES[0])
    page = Image.new("RGB", (width, height), tuple(int(level) for level in 255 - rng.integers(0, 20, 3)))
    draw, size, ink = ImageDraw.Draw(page), int(rng.choice([12, 14, 17, 21])), int(rng.integers(0, 70))
    margin, y = int(rng.integers(14, 48)), int(rng.integers(14, 48))
    draw.text((margin, y), sentence(rng, 3), (ink,) * 3, ImageFont.load_default(round(size * 1.6)))
    y += round(size * 2.6)
    font = ImageFont.load_default(size)
    while y < height - margin - size:
        words = sentence(rng, 12)
        while words and draw.textlength(words, font) > width - 2 * margin:
            words = words.rpartition(" ")[0]
        draw.text((margin, y), words, (ink,) * 3, font)
        y += round(size * (2.4 if rng.random() < 0.14 else 1.4))
    return page


def sentence(rng: Rng, words: int) -> str:
    return " ".join("".join(rng.choice(_SYLLABLES, int(rng.integers(1, 4)))) for _ in range(words)).capitalize()


def gradient(rng: Rng) -> Image.Image:
    """From one colour to another: along a line, round a point, or by the angle about it."""
    across, down = _places(rng)
    turn, centre = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2)
    shape = int(rng.integers(3))
    if shape == 0:
        level = across * np.cos(turn) + down * np.sin(turn)
    elif shape == 1:
        level = np.hypot(across - centre[0], down - centre[1])
    else:
        level = np.abs(np.angle(np.exp(1j * (np.arctan2(down - centre[1], across - centre[0]) - turn))))
    return _coloured(level, rng)


def texture(rng: Rng) -> Image.Image:
    """Of one of five sorts: woven waves, stripes, checks, dots, or noise of one scale."""
    across, down = _places(rng)
    turn, waves = rng.uniform(0, np.pi), rng.uniform(4, 24)
    along, beside = across * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - across * np.sin(turn)
    first, second = (np.sin(2 * np.pi * waves * part) for part in (along, beside))
    sort = int(rng.integers(5))
    noise = _noise(rng, across.shape)
    level = (first * second, first, np.sign(first * second), (first + second > 1.1) * 1.0, noise)[sort]
    return _coloured(np.asarray(level, np.float64), rng)


def _noise(rng: Rng, shape: tuple[int, ...]) -> Float64:
    """Grey noise of one scale and two octaves."""
    scale = int(rng.choice([4, 8, 16, 32]))
    total = np.zeros(shape)
    for step, weight in ((scale, 1.0), (max(2, scale // 2), 0.5)):
        grid = Image.fromarray(rng.uniform(0, 255, (shape[0] // step, shape[1] // step)).astype(np.uint8))
        total += weight * np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC), np.float64)
    return total


def _places(rng: Rng) -> tuple[Float64, Float64]:
    """Shares of the width and the height, (height, width) each."""
    width, height = (int(rng.choice(SIDES)) for _ in range(2))
    down, across = np.mgrid[0:height, 0:width]
    return across / width, down / height


def _coloured(level: Float64, rng: Rng) -> Image.Image:
    share = ((level - level.min()) / max(float(np.ptp(level)), 1e-9))[..., None]
    low, high = rng.integers(0, 256, (2, 3))
    return Image.fromarray(np.round(low + share * (high - low)).astype(np.uint8))


KINDS: Mapping[str, Callable[[Rng], Image.Image]] = MappingProxyType(
    {"text": text, "gradient": gradient, "texture": texture}
)
