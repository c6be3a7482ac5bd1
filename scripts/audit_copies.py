"""Strong alterations with known truth: what the audit's benchmark makes of a picture, in 21 settings.

The kinds and strengths are those that copy-detection benchmarks use (DISC / ISC 2021, and imagededup's transformed
UKBench). A setting is a function (image, strength, rng, beside) -> image, its strength, and the quality of the JPEG
that the copy is written with. All draws come from `rng`, so a copy depends on its source's name and setting alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from alterations import WHITE, Rng, read_rgb, stream
from bench_copies import CAPTIONS, overlay
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

LEAST_GROUND = 256  # pixels of the longer side of what a picture is pasted onto
_LANCZOS = Image.Resampling.LANCZOS


class Beside(NamedTuple):
    """What else a copy may show: emoji that are laid over it, and photographs that it is pasted onto."""

    emoji: Sequence[Path]
    grounds: Sequence[Path]


class Setting(NamedTuple):
    make: Callable[[Image.Image, float, Rng, Beside], Image.Image]
    strength: float
    quality: int = 90


def same(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """The picture itself: writing it as JPEG is the alteration."""
    return image


def scaled(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Both sides times `strength`."""
    return _scaled(image, strength)


def crop(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Exactly `strength` of each side, at a random place."""
    width, height = (max(8, round(side * strength)) for side in image.size)
    left, top = _place(image.size, (width, height), rng)
    return image.crop((left, top, left + width, top + height))


def mirror(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    return ImageOps.mirror(image)


def upside_down(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    return ImageOps.flip(image)


def rotate(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """By `strength` degrees to either side, nothing cut off; the corners are black."""
    angle = strength if rng.random() < 0.5 else -strength
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True)


def jitter(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Brightness, contrast and saturation by factors in 1 ± `strength`; hue by up to 40 `strength` of 256."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(1 + rng.uniform(-strength, strength)))
    shift = int(rng.uniform(-strength, strength) * 40)
    hue, *others = image.convert("HSV").split()
    turned = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, *others)).convert("RGB")


def grey(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    return image.convert("L").convert("RGB")


def text(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """A white caption with a black rim, `strength` of the height, at the top or the bottom."""
    altered, size = image.copy(), max(10, round(image.height * strength))
    draw, font, words = ImageDraw.Draw(altered), ImageFont.load_default(size), str(rng.choice(CAPTIONS))
    top = int(image.height * (0.02 if rng.random() < 0.5 else 0.98 - 1.2 * strength))
    left = (image.width - draw.textlength(words, font)) / 2
    draw.text((left, top), words, WHITE, font, stroke_width=max(1, size // 12), stroke_fill="black")
    return altered


def emoji(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """An emoji of `strength` of the short side, at a random place."""
    altered, side = image.copy(), max(8, round(min(image.size) * strength))
    with Image.open(beside.emoji[int(rng.integers(len(beside.emoji)))]) as opened:
        sticker = opened.convert("RGBA").resize((side, side), _LANCZOS)
    altered.paste(sticker, _place(image.size, sticker.size, rng), sticker)
    return altered


def emoji_and_text(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """As bench_copies.py does it: an emoji of 0.3 of the short side, a caption of a tenth of the height."""
    return overlay(image, rng, beside.emoji)


def blur(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Gaussian, with a radius of `strength` pixels where the longer side is 256."""
    return image.filter(ImageFilter.GaussianBlur(strength * max(image.size) / 256))


def noise(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Gaussian, of its own in each channel, with a standard deviation of `strength` of 255."""
    pixels = np.asarray(image, np.float32)
    added = pixels + rng.normal(0, strength, pixels.shape)
    return Image.fromarray(np.clip(added, 0, 255).astype(np.uint8))


def border(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Black, white, or the picture itself blurred and made square; `strength` of the longer side is added all round."""
    width, kind = max(1, round(max(image.size) * strength)), int(rng.integers(3))
    if kind < 2:
        return ImageOps.expand(image, width, ("black", "white")[kind])
    side = max(image.size) + 2 * width
    framed = ImageOps.fit(image, (side, side)).filter(ImageFilter.GaussianBlur(side / 20))
    framed.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return framed


def paste(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Onto a photograph of 4 : 3, at `strength` of its width or as high as it; at a random place."""
    side = max(*image.size, LEAST_GROUND)
    chosen = beside.grounds[int(rng.integers(len(beside.grounds)))]
    ground = ImageOps.fit(read_rgb(chosen), (side, round(side * 0.75)))
    small = _scaled(image, min(ground.width * strength / image.width, ground.height / image.height))
    ground.paste(small, _place(ground.size, small.size, rng))
    return ground


def stretch(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """`strength` times as wide; 0: squashed to a square."""
    size = (round(image.width * strength), image.height) if strength else (min(image.size), min(image.size))
    return image.resize(size, _LANCZOS)


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "JPEG 30": Setting(same, 0, 30),
        "resize 0.5": Setting(scaled, 0.5),
        "resize 0.5, JPEG 30": Setting(scaled, 0.5, 30),
        "crop 0.7": Setting(crop, 0.7),
        "crop 0.5": Setting(crop, 0.5),
        "mirror": Setting(mirror, 0),
        "upside down": Setting(upside_down, 0),
        "rotate 5": Setting(rotate, 5),
        "rotate 25": Setting(rotate, 25),
        "rotate 90": Setting(rotate, 90),
        "jitter 0.4": Setting(jitter, 0.4),
        "grey": Setting(grey, 0),
        "text 0.12": Setting(text, 0.12),
        "emoji 0.3": Setting(emoji, 0.3),
        "emoji 0.3, text 0.1": Setting(emoji_and_text, 0.3),
        "blur 2": Setting(blur, 2),
        "noise 25": Setting(noise, 25),
        "border 0.1": Setting(border, 0.1),
        "paste 0.4": Setting(paste, 0.4),
        "square": Setting(stretch, 0),
        "stretch 1.5": Setting(stretch, 1.5),
    }
)


def write_copies(source: Path, name: str, beside: Beside, out: Path) -> dict[str, Path]:
    """Write a JPEG of each of SETTINGS into the new folder `out`; returns them by setting. Same name, same copies."""
    out.mkdir(parents=True)
    image, written = read_rgb(source), {}
    for number, (setting, (make, strength, quality)) in enumerate(SETTINGS.items()):
        written[setting] = out / f"{number:02d}.jpg"
        altered = make(image.copy(), strength, stream(0, name, setting, 0), beside)
        altered.save(written[setting], "JPEG", quality=quality)
    return written


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), _LANCZOS)


def _place(size: tuple[int, int], part: tuple[int, int], rng: Rng) -> tuple[int, int]:
    """A random place for a part, wholly within the picture where it fits."""
    left, top = (int(rng.integers(0, max(1, whole - own + 1))) for whole, own in zip(size, part, strict=True))
    return left, top
