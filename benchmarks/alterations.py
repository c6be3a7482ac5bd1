"""Strong alterations with known truth: what the benchmarks make of a picture. (Light ones: scripts/alterations.py.)

The kinds and strengths are those that copy-detection benchmarks use (DISC / ISC 2021, and imagededup's transformed
UKBench). A setting is a function (image, strength, rng, beside) -> image, its strength, and the quality of the JPEG
that the copy is written with. All draws come from `rng`, so a copy depends on its source's name and setting alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from memaudit.images import alterations
from memaudit.images.alterations import CAPTIONS, cut, place, write_line
from scripts.alterations import Rng, read_rgb, stream

LEAST_GROUND = 256  # pixels of the longer side of what a picture is pasted onto
_LANCZOS = Image.Resampling.LANCZOS


class Beside(NamedTuple):
    """What else a copy may show: emoji that are laid over it, and photographs that it is pasted onto."""

    emoji: Sequence[Path]
    grounds: Sequence[Path]


Make = Callable[[Image.Image, float, Rng, Beside], Image.Image]


class Setting(NamedTuple):
    make: Make
    strength: float
    quality: int = 90


def _alone(make: alterations.Alter) -> Make:
    """One that shows nothing else."""

    def made(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
        return make(image, strength, rng)

    return made


same, jitter, mirror, crop, text = map(
    _alone, (alterations.same, alterations.jitter, alterations.mirror, alterations.crop, alterations.caption)
)


def half_jpeg(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """At half its size, through a JPEG of quality `strength`."""
    half, encoded = image.resize((image.width // 2, image.height // 2), _LANCZOS), io.BytesIO()
    half.save(encoded, "JPEG", quality=int(strength))
    return Image.open(encoded).convert("RGB")


def scaled(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """Both sides times `strength`."""
    return _scaled(image, strength)


def upside_down(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    return ImageOps.flip(image)


def rotate(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """By `strength` degrees to either side, nothing cut off; the corners are black."""
    angle = strength if rng.random() < 0.5 else -strength
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True)


def grey(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    return image.convert("L").convert("RGB")


def emoji(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """An emoji of `strength` of the short side, at a random place."""
    altered = image.copy()
    _sticker(altered, max(8, round(min(image.size) * strength)), rng, beside)
    return altered


def emoji_and_text(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """An emoji of `strength` of the short side at a random place, and a caption of a tenth of the height."""
    altered = image.copy()
    _sticker(altered, round(min(image.size) * strength), rng, beside)
    size, words = max(10, image.height // 10), str(rng.choice(CAPTIONS))
    write_line(altered, words, size, image.height * (0.02 if rng.random() < 0.5 else 0.86))
    return altered


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
    chosen = beside.grounds[int(rng.integers(len(beside.grounds)))]
    size, box = _pasted(image.size, strength, rng)
    ground = ImageOps.fit(read_rgb(chosen), size)
    ground.paste(image.resize((box[2] - box[0], box[3] - box[1]), _LANCZOS), box[:2])
    return ground


def stretch(image: Image.Image, strength: float, rng: Rng, beside: Beside) -> Image.Image:
    """`strength` times as wide; 0: squashed to a square."""
    size = (round(image.width * strength), image.height) if strength else (min(image.size), min(image.size))
    return image.resize(size, _LANCZOS)


# Of the benchmark of dedup.
COPIES: Mapping[str, Setting] = MappingProxyType(
    {
        "crop": Setting(crop, 0.7),
        "flip": Setting(mirror, 0),
        "rotate": Setting(rotate, 25),
        "jpeg": Setting(half_jpeg, 30, 30),
        "overlay": Setting(emoji_and_text, 0.3),
    }
)

# Of the benchmark of the audit.
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


# Two in turn; the JPEG has the lower quality of both.
TWO: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"{first} + {second}": (first, second)
        for first, second in (
            ("crop 0.7", "JPEG 30"),
            ("crop 0.7", "mirror"),
            ("crop 0.7", "jitter 0.4"),
            ("crop 0.7", "text 0.12"),
            ("mirror", "resize 0.5, JPEG 30"),
            ("mirror", "border 0.1"),
            ("rotate 5", "crop 0.7"),
            ("rotate 5", "emoji 0.3"),
            ("square", "grey"),
            ("stretch 1.5", "text 0.12"),
            ("blur 2", "JPEG 30"),
            ("paste 0.4", "resize 0.5, JPEG 30"),
        )
    }
)


class Boxes(NamedTuple):
    """Where copy and source show the same: x0, y0, x1, y1 in shares of width and height, of the copy and the source."""

    copy: tuple[float, float, float, float]
    source: tuple[float, float, float, float]


ALL = (0.0, 0.0, 1.0, 1.0)


def boxes_of(setting: str, size: tuple[int, int], name: str, grounds: int) -> Boxes | None:
    """Of a copy of a source of this size and name, as many grounds to paste it onto; None where the setting is not one
    that cuts or pastes."""
    made = SETTINGS.get(setting)
    if made is None or made.make not in (crop, paste):
        return None
    rng = stream(0, name, setting, 0)
    if made.make is crop:
        return Boxes(ALL, _shares(cut(size, made.strength, rng), size))
    rng.integers(grounds)
    ground, box = _pasted(size, made.strength, rng)
    return Boxes(_shares(box, ground), ALL)


def _shares(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


def write_copies(source: Path, name: str, beside: Beside, out: Path) -> dict[str, Path]:
    """Write a JPEG of each of SETTINGS into the new folder `out`; returns them by setting. Same name, same copies."""
    out.mkdir(parents=True)
    written = {}
    for number, (setting, altered) in enumerate(copies_of(source, name, beside, SETTINGS)):
        written[setting] = out / f"{number:02d}.jpg"
        altered.save(written[setting], "JPEG", quality=SETTINGS[setting].quality)
    return written


def copies_of(
    source: Path, name: str, beside: Beside, settings: Mapping[str, Setting]
) -> Iterator[tuple[str, Image.Image]]:
    """A copy for each setting. It depends on the name, the bytes of the source, and the setting alone."""
    image = read_rgb(source)
    for setting, (make, strength, _) in settings.items():
        yield setting, make(image.copy(), strength, stream(0, name, setting, 0), beside)


def of_two(source: Path, name: str, beside: Beside, pair: str) -> tuple[Image.Image, int]:
    """The copy with both alterations of one of `TWO`, and the quality of its JPEG; drawn anew."""
    image = read_rgb(source)
    for setting in TWO[pair]:
        made, rng = SETTINGS[setting], stream(0, name, f"{pair}: {setting}", 0)
        image = made.make(image, made.strength, rng, beside)
    return image, min(SETTINGS[setting].quality for setting in TWO[pair])


def _sticker(image: Image.Image, side: int, rng: Rng, beside: Beside) -> None:
    """Lay one of the emoji over it, at a random place."""
    with Image.open(beside.emoji[int(rng.integers(len(beside.emoji)))]) as opened:
        sticker = opened.convert("RGBA").resize((side, side), _LANCZOS)
    image.paste(sticker, place(image.size, sticker.size, rng), sticker)


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), _LANCZOS)


def _pasted(size: tuple[int, int], strength: float, rng: Rng) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """The size of a ground of 4 : 3, and the box of what is pasted there."""
    side = max(*size, LEAST_GROUND)
    ground = (side, round(side * 0.75))
    factor = min(ground[0] * strength / size[0], ground[1] / size[1])
    width, height = (max(1, round(length * factor)) for length in size)
    left, top = place(ground, (width, height), rng)
    return ground, (left, top, left + width, top + height)
