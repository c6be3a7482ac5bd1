"""Small drawn pictures: distinct ones, altered copies of one, and folders of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from memaudit.store import Store

SIZE = (96, 72)
MakeFolder = Callable[..., Path]  # the fixture picture_folder of conftest.py
MakeStore = Callable[..., Store]  # the fixture make_store


def draw(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth coloured ground, like an unsharp photograph, with a few shapes; another seed, another picture.

    By the thumbnail encoder two of them reach a similarity of 0.95 about never; see test_pictures.py.
    """
    generator = np.random.default_rng(seed)
    ground = Image.fromarray(generator.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    image = ground.resize(size, Image.Resampling.BICUBIC)
    shapes = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = generator.uniform(0, 0.8, 2) * size
        w, h = generator.uniform(0.1, 0.4, 2) * size
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        shape = shapes.ellipse if generator.random() < 0.5 else shapes.rectangle
        shape((float(x), float(y), float(x + w), float(y + h)), fill=colour)
    return image


def altered(image: Image.Image) -> Image.Image:
    """A near-duplicate: smaller, a little brighter, and through a JPEG of quality 70."""
    small = image.resize((image.width * 3 // 4, image.height * 3 // 4)).point(lambda value: min(255, value + 6))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=70)
    return Image.open(data).convert("RGB")


def write_pictures(folder: Path, seeds: Iterable[int]) -> Path:
    """Write drawn PNG files named after their seeds (0007.png) and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        draw(seed).save(folder / f"{seed:04d}.png", compress_level=1)
    return folder


def photograph(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Texture at every scale, as in a photograph, with shapes whose corners are features; another seed, another one."""
    generator = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3))
    for cells in (2, 4, 8, 16, 32, 64):
        noise = Image.fromarray(generator.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += (np.asarray(noise.resize(size, Image.Resampling.BICUBIC), float) - 128) / cells**0.5
    image = Image.fromarray(np.clip(128 + pixels, 0, 255).astype(np.uint8))
    shapes = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = generator.uniform((0, 0, 0.05, 0.05), (0.9, 0.9, 0.3, 0.3)) * (*size, *size)
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        shapes.polygon([(x, y), (x + w, y + h / 3), (x + w / 3, y + h)], fill=colour)
    return image


def mosaic(seed: int, size: tuple[int, int] = (1200, 800)) -> Image.Image:
    """Twelve photographs side by side: something to see in every part of a large picture."""
    cell = size[0] // 4, size[1] // 3
    image = Image.new("RGB", size)
    for number in range(12):
        image.paste(photograph(1000 * seed + number, cell), (number % 4 * cell[0], number // 4 * cell[1]))
    return image


def round_detail(image: Image.Image, centre: tuple[int, int], radius: int) -> Image.Image:
    """A disk cut out of an image, on a white page: 74 pixels, as small as a game's button."""
    x, y = centre
    part = image.crop((x - radius, y - radius, x + radius, y + radius))
    mask = Image.new("L", part.size)
    ImageDraw.Draw(mask).ellipse((0, 0, *part.size), fill=255)
    page = Image.new("RGB", part.size, "white")
    page.paste(part, mask=mask)
    return page.resize((74, 74), Image.Resampling.BICUBIC)


def banner(seed: int) -> Image.Image:
    """Narrower than a fiftieth of its length: too narrow for its pixels to be compared."""
    return photograph(seed).resize((600, 10))


def card(pips: int) -> Image.Image:
    """Of a deck, with so many pips; another number, another card of it."""
    image = Image.new("RGB", (200, 280), "white")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((6, 6, 194, 274), 14, outline="black", width=3)
    for pip in range(pips):
        x, y = 60 + pip % 2 * 80, 50 + pip // 2 * 60
        draw.polygon([(x, y - 22), (x + 18, y), (x, y + 22), (x - 18, y)], "firebrick")
    return image
