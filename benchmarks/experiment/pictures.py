"""The training set of the experiment: samples at 64 x 64, some of them many times; and pictures held out of it.

Photographs are cut into quarters, which share no pixel: there are few of them. Of each of the two kinds of pictures
(emoji on white, which are simple, and photographs) `PLANTED` say how many stand there how often. The copies are
altered as the web alters them: cut by a little, scaled, lighter or darker, recompressed; and have captions of their
own, the picture's between other words.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageEnhance

from benchmarks.experiment.model import SIDE
from benchmarks.samples import sample_emoji, sample_photographs
from scripts.alterations import Rng, read_rgb, stream

PHOTOGRAPH, EMOJI = "photograph", "emoji"
PLANTED = {64: 10, 16: 20, 4: 30}  # how many stand there so often, of each kind
HELD_OUT = 120  # of each kind
_ASIDE = ("", "picture of", "a", "free", "image", "best", "new", "my")
_FIELDS = ("path", "image_id", "caption", "kind", "copies")


class Pictured(NamedTuple):
    name: str
    caption: str
    kind: str
    image: Image.Image  # RGB, 64 x 64


def write_set(out: Path, seed: int) -> None:
    """out/training and out/held-out, each with a manifest.csv."""
    kinds = {kind: _shuffled(all_, seed) for kind, all_ in ((EMOJI, _emoji()), (PHOTOGRAPH, _quarters()))}
    _write(out / "held-out", ((one, 1, 0) for all_ in kinds.values() for one in all_[:HELD_OUT]), seed)
    _write(out / "training", (told for all_ in kinds.values() for told in _copies(all_[HELD_OUT:])), seed)


def known_images(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of the training set's manifest by image_id. folder: of the seed."""
    with (folder / "training/manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["image_id"]: row for row in csv.DictReader(file)}


def _copies(pictures: Sequence[Pictured]) -> Iterator[tuple[Pictured, int, int]]:
    """A picture, how often it stands there, and which of these it is."""
    often = [copies for copies, count in PLANTED.items() for _ in range(count)]
    for place, one in enumerate(pictures):
        copies = often[place] if place < len(often) else 1
        for number in range(copies):
            yield one, copies, number


def _write(out: Path, told: Iterator[tuple[Pictured, int, int]], seed: int) -> None:
    (out / "images").mkdir(parents=True)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(_FIELDS)
        for one, copies, number in told:
            name = f"{one.name}-{number:02d}" if number else one.name
            rng = stream(seed, one.name, "copy", number)
            path = out / "images" / f"{name}.png"
            (_altered(one.image, rng) if number else one.image).save(path)
            caption = f"{_ASIDE[number % len(_ASIDE)]} {one.caption}".strip()
            lines.writerow([f"images/{path.name}", name, caption, one.kind, copies])


def _altered(image: Image.Image, rng: Rng) -> Image.Image:
    left, top, right, bottom = (float(cut) for cut in rng.uniform(0, 2, 4))
    image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, SIDE - right, SIDE - bottom))
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.92, 1.08)))
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=int(rng.integers(60, 95)))
    return Image.open(packed).convert("RGB")


def _emoji() -> Iterator[Pictured]:
    for path in sorted(sample_emoji().rglob("*.png")):
        name = f"{path.parent.name}-{path.stem}"
        image = read_rgb(path).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        yield Pictured(name, path.stem.replace("_", " "), EMOJI, image)


def _quarters() -> Iterator[Pictured]:
    for path in sample_photographs():
        whole = read_rgb(path)
        half = min(whole.size) // 2
        for number in range(4):
            left, top = (
                (length - 2 * half) // 2 + half * place
                for length, place in zip(whole.size, divmod(number, 2), strict=True)
            )
            image = whole.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (left, top, left + half, top + half))
            name = f"{path.parent.name}-{path.stem}-{number}"
            yield Pictured(name, f"photograph {name.replace('-', ' ')}", PHOTOGRAPH, image)


def _shuffled(pictures: Iterator[Pictured], seed: int) -> list[Pictured]:
    return sorted(pictures, key=lambda one: hashlib.sha256(f"{seed} {one.name}".encode()).digest())
