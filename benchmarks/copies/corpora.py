"""The pictures of the benchmark, by corpus and kind: where they lie, and how many of each place are taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from PIL import Image

from benchmarks.copies.drawn import KINDS as DRAWN
from benchmarks.copies.drawn import drawn
from benchmarks.measure import BenchmarkError
from benchmarks.samples import COLOUR_MASK, MOST_PIXELS, SUFFIXES, sized
from scripts.alterations import read_rgb, write_picture
from scripts.cache import cache_folder

LEAST = 48  # pixels of the shorter side as it is: less is a speck
PHOTOGRAPHS = frozenset({"photograph", "painting", "building", "face", "object", "wallpaper"})
"""Kinds that are no drawings. building: some are several photographs of one; object: of a chessboard; face: of one."""


class Place(NamedTuple):
    """Pictures of one kind below a folder of the cache, at most so many; of what matches several places the first
    counts."""

    kind: str
    pattern: str
    most: int = 10_000


class Picture(NamedTuple):
    """name: path in the cache, or `drawn/KIND/NUMBER`; sha256: of the decoded picture, its size included."""

    name: str
    kind: str
    sha256: str
    file: Path


_ART, _FUN = "pictures/openclipart-png", "pictures/gcompris-qt-data"
CORPORA: Mapping[str, tuple[Place, ...]] = MappingProxyType(
    {
        "main": (
            Place("photograph", "samples/images/photographs/**/*"),
            Place("painting", f"{_FUN}/paintings/resource/image/*"),
            Place("painting", f"{_FUN}/details/**/*_background.*"),
            Place("building", f"{_FUN}/explore_monuments/**/*"),
            Place("building", f"{_FUN}/categorization/resource/images/monuments/*"),
            Place("building", "pictures/vismatch/**/*"),
            Place("photograph", f"{_FUN}/explore_world_animals/**/*"),
            Place("photograph", f"{_FUN}/explore_farm_animals/**/*"),
            Place("photograph", f"{_FUN}/categorization/**/*"),
            Place("photograph", f"{_FUN}/erase/**/*"),
            Place("face", "face-samples/*"),
            Place("object", "pictures/opencv-doc/left[0-9]*"),
            Place("object", "pictures/opencv-doc/right[0-9]*"),
            Place("photograph", "pictures/opencv-doc/*"),
            Place("clip-art", f"{_FUN}/lang/**/*"),
            Place("clock", f"{_ART}/signs_and_symbols/clocks/*"),
            Place("clock", "samples/images/twemoji/*/*_oclock.png"),
            Place("clock", "samples/images/twemoji/*/*_thirty.png"),
            Place("clock", "pictures/emoji-datasource-google/1f55[0-9a-f].png"),
            Place("clock", "pictures/emoji-datasource-google/1f56[0-7].png"),
            Place("flag", "pictures/iso-flags-png-320x240/**/*"),
            Place("flag", "pictures/kgeography-data/**/*", 420),
            Place("flag", f"{_ART}/signs_and_symbols/flags/**/*", 360),
            Place("flag", "samples/images/twemoji/flags/*", 80),
            Place("road sign", f"{_ART}/transportation/roadsigns/*"),
            Place("road sign", f"{_ART}/signs_and_symbols/map_symbols/*"),
            Place("card", f"{_ART}/recreation/games/cards/**/*"),
            Place("gradient", f"{_ART}/special/gradients/*"),
            Place("texture", f"{_ART}/special/patterns/*"),
            Place("texture", "pictures/propaganda-debian/*"),
            Place("icon", f"{_ART}/computer/icons/**/*", 500),
            Place("icon", "pictures/oxygen-icon-theme/**/*", 420),
            Place("icon", "pictures/gnome-icon-theme/**/*", 222),
            Place("shape", f"{_ART}/shapes/**/*", 160),
            Place("emoji", "samples/images/twemoji/[aofpt]*/*", 400),
            Place("emoji", "samples/images/twemoji/symbols/*", 60),
            Place("emoji", "pictures/emoji-datasource-google/*", 320),
            Place("clip-art", f"{_ART}/**/*", 2300),
            Place("text", "drawn/text", 200),
            Place("gradient", "drawn/gradient", 160),
            Place("texture", "drawn/texture", 160),
        ),
        "second": (
            Place("flag", "pictures/tuxpaint-stamps-default/town/flags/*"),
            Place("road sign", "pictures/tuxpaint-stamps-default/town/roadsigns/*"),
            Place("letter", "pictures/tuxpaint-stamps-default/symbols/alphabets/**/*", 90),
            Place("clip-art", "pictures/tuxpaint-stamps-default/**/cartoon/**/*"),
            Place("stamp", "pictures/tuxpaint-stamps-default/**/*"),
            *(
                Place("wallpaper", f"pictures/{name}/**/*")
                for name in (
                    "mate-backgrounds",
                    "lomiri-wallpapers-16.04",
                    "lomiri-wallpapers-20.04",
                    "ukui-wallpapers",
                    "plasma-workspace-wallpapers",
                )
            ),
        ),
    }
)


def named(corpus: str) -> dict[str, str]:
    """Kinds of all pictures of a corpus, by name. Raises BenchmarkError where scripts/fetch_* have not been run."""
    found: dict[str, str] = {}
    for kind, pattern, most in CORPORA[corpus]:
        names = _drawn_names(kind, most) if pattern.startswith("drawn/") else _names(pattern)
        fresh = sorted((n for n in names if n not in found), key=_at_random)[:most]
        if not fresh:
            raise BenchmarkError(
                f"no {kind} in {cache_folder() / pattern}: run scripts/fetch_samples, _faces and _pictures"
            )
        found |= dict.fromkeys(fresh, kind)
        # What a place leaves over is not for a later one that matches it too
        found |= {n: "" for n in names if n not in found}
    return {name: kind for name, kind in found.items() if kind}


def _names(pattern: str) -> list[str]:
    root = cache_folder()
    return [
        path.relative_to(root).as_posix()
        for path in root.glob(pattern)
        if path.suffix.lower() in SUFFIXES and not path.stem.endswith(COLOUR_MASK)
    ]


def _drawn_names(kind: str, most: int) -> list[str]:
    return [f"drawn/{kind}/{number:03d}" for number in range(most)]


def _at_random(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def opened(name: str) -> Image.Image | None:
    """The picture as RGB, on white; None for what is no picture, too small or far too large."""
    if name.startswith("drawn/"):
        _, kind, number = name.split("/")
        return drawn(kind, int(number))
    path = cache_folder() / name
    try:
        with Image.open(path) as image:
            if min(image.size) < LEAST or image.width * image.height > MOST_PIXELS:
                return None
        return read_rgb(path)
    except (OSError, Image.DecompressionBombError):
        return None


def digest_of(image: Image.Image) -> str:
    """SHA-256 of an RGB picture: its width and height, and its pixels."""
    return hashlib.sha256(f"{image.width}x{image.height}\n".encode() + image.tobytes()).hexdigest()


def written(names: Mapping[str, str], out: Path) -> Iterator[Picture]:
    """Write each picture at the benchmark's size; equal pictures once, by the first name. Memory: two pictures."""
    out.mkdir(parents=True)
    seen: set[str] = set()
    with ThreadPoolExecutor(2) as pool:
        for picture in pool.map(lambda item: _written(item[0], item[1], out), enumerate(names.items())):
            if picture is not None and picture.sha256 not in seen:
                seen.add(picture.sha256)
                yield picture


def _written(number: int, item: tuple[str, str], out: Path) -> Picture | None:
    name, kind = item
    image = opened(name)
    if image is None:
        return None
    picture = Picture(name, kind, digest_of(image), out / f"{number:06d}.{'jpg' if kind in PHOTOGRAPHS else 'png'}")
    write_picture(sized(image), picture.file)
    return picture


__all__ = ["CORPORA", "DRAWN", "PHOTOGRAPHS", "Picture", "digest_of", "named", "opened", "written"]
