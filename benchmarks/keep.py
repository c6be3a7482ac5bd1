"""Whether dedup keeps the original of families of known origin, by keep rule.

A family is a photograph or an emoji of 72 pixels of the samples, or a clip-art of scripts/fetch_pictures, 64 to 512
pixels wide, and copies of it, by FAMILIES: bordered, captioned, enlarged, compressed at quality 25, cropped; and
cropped, mirrored, turned on a plain ground, at half its size, under a sticker and a caption. `--all`: all of COPIES.
Photographs are in the bytes of their own files. No two sources are as similar as APART: a family has one origin.
Families are run through `memaudit embed` and `memaudit dedup`; an original counts as kept if it stays, whatever else
does. Then each copy alone with its original, where nothing but the pixels of the two can tell which was first. The
constants of the rule `cleanest` were chosen on pictures of the half `fit`; the half `report` had no part in it.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from benchmarks.alterations import Beside, crop, emoji, emoji_and_text, half_jpeg
from benchmarks.measure import cost_of, embed_command, memaudit
from benchmarks.record import Figure, rate
from benchmarks.runner import Benchmark
from benchmarks.samples import COLOUR_MASK, sample_emoji, sample_photographs, thinned
from memaudit.dedup.cleanest import judge
from memaudit.similarity import Pairs
from memaudit.store import NO_FILE, Row
from memaudit.store.columns import columns_of
from memaudit.types import Int64, Status, silent
from scripts.alterations import WHITE, Rng, colour, read_rgb, stream, text_strip
from scripts.cache import cache_folder

HALVES = ("fit", "report")
RULES = ("largest", "cleanest")
CLIP_ART = "pictures/openclipart-png"
LEAST_SIDE, MOST_SIDE = 64, 512  # of it
APART, SPARE = 0.5, 3  # similarity that no two sources reach; candidates for each source that is wanted
FAMILIES = {
    "": ("bordered", "captioned", "enlarged 1.5", "JPEG 25", "crop 0.85"),
    ", turned and drawn over": ("crop 0.7", "mirrored", "turned 25", "half size, JPEG 30", "emoji 0.3, caption"),
}
_LANCZOS = Image.Resampling.LANCZOS


class Copy(NamedTuple):
    """quality: of the JPEG that it is written as; 0: PNG."""

    make: Callable[[Image.Image, Rng, Beside], Image.Image]
    quality: int = 90


def bordered(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
    """Of one random colour, 0.03 to 0.1 of the short side."""
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return ImageOps.expand(image, max(1, round(min(image.size) * rng.uniform(0.03, 0.1))), (red, green, blue))


def captioned(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
    """A strip with writing above or below, 0.1 to 0.18 of the height, black on white or white on black."""
    height = max(8, round(image.height * rng.uniform(0.1, 0.18)))
    colours = ["white", "black"] if rng.random() < 0.5 else ["black", "white"]
    strip, font = Image.new("RGB", (image.width, height), colours[0]), ImageFont.load_default(max(6, height * 6 // 10))
    words = str(rng.choice(("when you see it", "me every monday", "look at this", "SALE 50% OFF")))
    ImageDraw.Draw(strip).text((height // 4, height // 10), words, colours[1], font)
    return _stacked([strip, image] if rng.random() < 0.5 else [image, strip])


def screenshot(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
    """A bar with a clock above, one with four buttons below; each 0.08 of the height."""
    height, ground = max(10, round(image.height * 0.08)), str(rng.choice(("white", "#141414", "#f0f0f5")))
    top, bottom = (Image.new("RGB", (image.width, height), ground) for _ in range(2))
    ImageDraw.Draw(top).text(
        (height // 2, height // 4), "12:41", "#5a5a5a", ImageFont.load_default(max(6, height // 2))
    )
    for button in range(4):
        x = round(image.width * (button + 0.5) / 4)
        ImageDraw.Draw(bottom).ellipse(
            (x - height // 4, height // 4, x + height // 4, height * 3 // 4), outline="#5a5a5a"
        )
    return _stacked([top, image, bottom])


def watermarked(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
    """Half transparent words."""
    layer, font = Image.new("RGBA", image.size), ImageFont.load_default(max(8, image.height // 12))
    place = image.width * 0.2 * rng.random(), image.height * rng.uniform(0.1, 0.85)
    ImageDraw.Draw(layer).text(place, "photo by anon.com", (*WHITE, 150), font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def scaled(factor: float, how: Image.Resampling = _LANCZOS) -> Callable[[Image.Image, Rng, Beside], Image.Image]:
    def make(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
        return image.resize((round(image.width * factor), round(image.height * factor)), how)

    return make


def turned(angle: float, *, whole: bool = True) -> Callable[[Image.Image, Rng, Beside], Image.Image]:
    """By `angle` degrees to either side, on black, white or one random colour. whole: nothing is cut off."""

    def make(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
        colours = ((0, 0, 0), (255, 255, 255), tuple(int(level) for level in rng.integers(0, 256, 3)))
        ground = colours[int(rng.integers(len(colours)))]
        turn = angle if rng.random() < 0.5 else -angle
        return image.rotate(turn, Image.Resampling.BICUBIC, expand=whole, fillcolor=ground)

    return make


def at_quality_25(image: Image.Image, rng: Rng, beside: Beside) -> Image.Image:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=25)
    return Image.open(encoded).convert("RGB")


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    whole = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole


COPIES: Mapping[str, Copy] = MappingProxyType(
    {
        "bordered": Copy(bordered),
        "captioned": Copy(captioned),
        "enlarged 1.5": Copy(scaled(1.5)),
        "JPEG 25": Copy(lambda image, rng, beside: image, 25),
        "crop 0.85": Copy(lambda image, rng, beside: crop(image, 0.85, rng, beside)),
        "crop 0.7": Copy(lambda image, rng, beside: crop(image, 0.7, rng, beside)),
        "strip over it": Copy(lambda image, rng, beside: text_strip(image, 0.12, rng)),
        "screenshot": Copy(screenshot),
        "enlarged 1.2, PNG": Copy(scaled(1.2, Image.Resampling.BICUBIC), 0),
        "enlarged 2": Copy(scaled(2.0, Image.Resampling.BICUBIC)),
        "JPEG 25, then 90": Copy(at_quality_25),
        "JPEG 25, then PNG": Copy(at_quality_25, 0),
        "reduced 0.75": Copy(scaled(0.75)),
        "blurred": Copy(lambda image, rng, beside: image.filter(ImageFilter.GaussianBlur(1))),
        "mirrored": Copy(lambda image, rng, beside: ImageOps.mirror(image)),
        "recoloured 0.2": Copy(lambda image, rng, beside: colour(image, 0.2, rng)),
        "recoloured 0.2, PNG": Copy(lambda image, rng, beside: colour(image, 0.2, rng), 0),
        "recoloured 0.4": Copy(lambda image, rng, beside: colour(image, 0.4, rng)),
        "grey": Copy(lambda image, rng, beside: image.convert("L").convert("RGB")),
        "watermarked": Copy(watermarked),
        "emoji 0.3": Copy(lambda image, rng, beside: emoji(image, 0.3, rng, beside)),
        "turned 25": Copy(turned(25)),
        "turned 5": Copy(turned(5)),
        "turned 10, cut off": Copy(turned(10, whole=False)),
        "half size, JPEG 30": Copy(lambda image, rng, beside: half_jpeg(image, 30, rng, beside), 30),
        "emoji 0.3, caption": Copy(lambda image, rng, beside: emoji_and_text(image, 0.3, rng, beside)),
    }
)


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    beside = Beside(sorted(sample_emoji().rglob("*.png")), [])
    wanted = {"photographs": options.photographs, "emoji": options.emoji, "clip-art": options.clip_art}
    candidates = {kind: SPARE * number for kind, number in wanted.items()}
    for kind, similar in sources(options.half, candidates).items():
        if not similar:
            continue
        paths = unlike(similar, options.encoder, scratch / f"{kind}-sources")[: wanted[kind]]
        folder = scratch / f"{kind}-{options.half}"
        families = [write_family(path, folder / f"{i:04d}", beside) for i, path in enumerate(paths)]
        for which, names in ({", all copies": tuple(COPIES)} if options.all else FAMILIES).items():
            yield from families_kept(f"{kind}{which}", families, names, options.encoder, scratch)
        for name in () if options.no_pairs else COPIES:
            kept = np.array([original_first(family["original"], family[name]) for family in families], np.int64)
            yield _share(kind, f"alone with its copy, {name}", kept)


def sources(half: str, wanted: Mapping[str, int]) -> dict[str, list[Path]]:
    """Pictures of one half, in an order that resembles a random one."""
    kinds = {
        "photographs": [path for path in sample_photographs() if not path.stem.endswith(COLOUR_MASK)],
        "emoji": sorted(sample_emoji().rglob("*.png")),
        "clip-art": sorted((cache_folder() / CLIP_ART).rglob("*.png")),
    }
    fitting = (path for path in _of_half(kinds["clip-art"], half) if _is_small(path))
    others = {kind: _of_half(kinds[kind], half)[: wanted[kind]] for kind in ("photographs", "emoji")}
    return {**others, "clip-art": list(islice(fitting, wanted["clip-art"]))}


def unlike(paths: Sequence[Path], encoder: str, scratch: Path) -> list[Path]:
    """Those no two of which are as similar as APART: a family is of one origin."""
    candidates = scratch / "candidates"
    candidates.mkdir(parents=True)
    for number, path in enumerate(paths):
        (candidates / f"{number:06d}{path.suffix}").symlink_to(path)
    return [paths[int(Path(name).stem)] for name in thinned(candidates, encoder, APART, scratch)]


def _is_small(path: Path) -> bool:
    with Image.open(path) as opened:
        return min(opened.size) >= LEAST_SIDE and max(opened.size) <= MOST_SIDE


def _of_half(paths: Sequence[Path], half: str) -> list[Path]:
    digests = {path: hashlib.sha256("/".join(path.parts[-3:]).encode()).digest() for path in paths}
    return sorted((path for path in paths if digests[path][0] % 2 == HALVES.index(half)), key=lambda p: digests[p])


def write_family(path: Path, folder: Path, beside: Beside) -> dict[str, Path]:
    """The original, a photograph byte by byte and a drawing as PNG, and all copies of it."""
    folder.mkdir(parents=True, exist_ok=True)
    image, original = read_rgb(path), folder / f"original{path.suffix}"
    if path.suffix == ".png":
        image.save(original)
    else:
        original.write_bytes(path.read_bytes())
    written = {"original": original}
    for number, (name, copy) in enumerate(COPIES.items()):
        altered = copy.make(image, stream(0, "/".join(path.parts[-3:]), name, 0), beside)
        written[name] = folder / f"copy-{number:02d}.{'jpg' if copy.quality else 'png'}"
        altered.save(written[name], quality=copy.quality)  # which a PNG does not heed
    return written


def families_kept(
    kind: str, families: Sequence[Mapping[str, Path]], names: Sequence[str], encoder: str, scratch: Path
) -> Iterator[Figure]:
    """In how many families each rule keeps the original, and which copies it keeps."""
    images = scratch / f"{kind}-images"
    for number, family in enumerate(families):
        for name in ("original", *names):
            link = images / f"{number:04d}" / f"{name.replace(' ', '-')}{family[name].suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(family[name].resolve())
    store = scratch / f"{kind}-store"
    cost_of(embed_command(images, store, encoder))
    for rule in RULES:
        out = scratch / f"{kind}-{rule}"
        cost_of(memaudit("dedup", store, "--out", out, "--keep", rule))
        table = pq.read_table(out / "decisions.parquet").to_pydict()
        stays = {i for i, decision in zip(table["image_id"], table["decision"], strict=True) if decision == "keep"}
        for name in ("original", *names):
            wanted = f"{name.replace(' ', '-')}."
            kept = [any(i.startswith(f"{n:04d}/{wanted}") for i in stays) for n in range(len(families))]
            yield _share(kind, f"--keep {rule}, families that keep: {name}", np.array(kept, np.int64))


def original_first(original: Path, copy: Path) -> bool:
    """Whether the rule prefers the original to one copy; where it sees no difference, its name decides."""
    paths = sorted((original, copy), key=lambda path: hashlib.sha256(path.read_bytes()).digest())
    rows = [
        Row(str(i), str(path), "", NO_FILE, *Image.open(path).size, Status.OK, "", None) for i, path in enumerate(paths)
    ]
    size = np.array([-row.width * row.height for row in rows])
    judged = judge(columns_of(rows), Pairs(np.array([0]), np.array([1]), np.ones(1, np.float32)), size, silent)
    return paths[int(judged.rank.argmin())] == original


def _share(kind: str, measure: str, kept: Int64) -> Figure:
    found = rate(kept, np.ones(len(kept), np.int64))
    return Figure(kind, len(kept), measure, *(found or (None,)))


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--half", choices=HALVES, default="report")
    add("--photographs", metavar="N", type=int, default=80)
    add("--emoji", metavar="N", type=int, default=60)
    add("--clip-art", metavar="N", type=int, default=60)
    add("--no-pairs", action="store_true", help="leave out each copy alone with its original")
    add("--encoder", metavar="NAME", default="sscd")
    add("--all", action="store_true", help="families of all copies")


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "pillow"), add_options, figures)
