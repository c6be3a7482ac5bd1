"""Precision and recall of `memaudit dedup` on altered copies of images: `scripts/bench_copies.py [--images DIR ...]`.

Sources are pictures of the given folders, then of scripts/fetch_samples, at most 512 px: 7 in 10 opaque (photographs,
paintings), the others with transparent parts (graphics), as far as there are so many. Each gets five copies: 0.7 of
each side, mirrored, turned by 25 degrees, JPEG of quality 30 at half size, an emoji and a caption over it. The true
pairs are all pairs within such a family of six. One `memaudit embed`, then `memaudit dedup` as it is, which decides
pairs below the threshold on pixels; and with `--verify none` at the default and at other thresholds.

The sources are thinned first: no two of them reach a similarity of `--apart`. What resembles another source by nature
would count as false otherwise, although it may well be a copy. It FLATTERS PRECISION: at thresholds above `--apart`
two sources never match, in a real set some would.

Beside it the 24 clock faces among the emoji, which differ by the place of two strokes: what they are grouped with.

Intervals are 95 % Clopper-Pearson for as many draws as families tell (memaudit.statistics.ratio_interval), because the
pairs of a family stand and fall together. Results are added to results/bench_copies-MACHINE.csv.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from alterations import WHITE, Rng, enlarge, flip, read_rgb, stream, write_picture
from bench_embed import RESULTS, embed_command, sample_photographs
from bench_record import BenchmarkError, Cost, Figure, cost_of, memaudit, show, versions, write_figures
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from memaudit.matching.plan import PAIR_FLOORS
from memaudit.similarity import exact
from memaudit.statistics import ratio_interval
from memaudit.store import Store
from memaudit.types import CONFIDENCE, Int64

MOST_SIDE, LEAST_SIDE = 512, 128
MOST_PIXELS = 30_000_000  # some clip-arts are drawn at 600 Mpx
OPAQUE_SHARE = 0.7
SPARE = 2  # candidates for each source that is wanted: thinning takes some
SOURCE = "source"
THRESHOLDS = (0.65, 0.6, 0.55, 0.5, 0.45)
CAPTIONS = ("when you see it", "SALE 50% OFF", "me every monday", "photo by anon", "DO NOT COPY", "breaking news")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
COLOUR_MASK = "_segmented"  # the samples' real copies: as sources of their own they would be unlabelled pairs
CHECKS = {"held against each other": "checked", "confirmed on pixels": "confirmed", "left out": "left_out"}
CLOCK = re.compile(r"_(oclock|thirty)\.png$")


class Rate(NamedTuple):
    value: float
    low: float
    high: float


class Pairs(NamedTuple):
    """Pairs found: number of the family and name of the copy (`source`, `crop` …) of either side."""

    family: Int64
    other_family: Int64
    copy: NDArray[np.object_]
    other_copy: NDArray[np.object_]


def crop(image: Image.Image, rng: Rng, emoji: Sequence[Path]) -> Image.Image:
    """Exactly 0.7 of each side, at a random place."""
    width, height = (round(side * 0.7) for side in image.size)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def mirror(image: Image.Image, rng: Rng, emoji: Sequence[Path]) -> Image.Image:
    return flip(image, 0.0, rng)


def rotate_25(image: Image.Image, rng: Rng, emoji: Sequence[Path]) -> Image.Image:
    """By 25 degrees to either side, nothing cut off; the corners are black."""
    return image.rotate(25 if rng.random() < 0.5 else -25, Image.Resampling.BICUBIC, expand=True)


def half_jpeg_30(image: Image.Image, rng: Rng, emoji: Sequence[Path]) -> Image.Image:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    half.save(encoded, "JPEG", quality=30)
    return Image.open(encoded).convert("RGB")


def overlay(image: Image.Image, rng: Rng, emoji: Sequence[Path]) -> Image.Image:
    """An emoji of 0.3 of the short side at a random place, and a caption at the top or bottom."""
    altered, side = image.copy(), round(min(image.size) * 0.3)
    with Image.open(emoji[int(rng.integers(len(emoji)))]) as opened:
        sticker = opened.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    place = (int(rng.integers(0, image.width - side + 1)), int(rng.integers(0, image.height - side + 1)))
    altered.paste(sticker, place, sticker)
    draw, size = ImageDraw.Draw(altered), max(10, image.height // 10)
    font, text = ImageFont.load_default(size), str(rng.choice(CAPTIONS))
    top = image.height * (0.02 if rng.random() < 0.5 else 0.86)
    left = (image.width - draw.textlength(text, font)) / 2
    draw.text((left, top), text, WHITE, font, stroke_width=max(1, size // 12), stroke_fill="black")
    return altered


COPIES: Mapping[str, Callable[[Image.Image, Rng, Sequence[Path]], Image.Image]] = MappingProxyType(
    {"crop": crop, "flip": mirror, "rotate": rotate_25, "jpeg": half_jpeg_30, "overlay": overlay}
)
FAMILY_PAIRS = (len(COPIES) + 1) * len(COPIES) // 2


def sample_emoji() -> Path:
    """The folder of Twemoji among the samples. Raises BenchmarkError where scripts/fetch_samples has not been run."""
    return sample_photographs()[0].parents[2] / "twemoji"


def pictures_of(folder: Path) -> list[tuple[str, Path]]:
    """Names and paths, in an order that follows from the names alone and resembles a random one."""
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.stem.endswith(COLOUR_MASK)]
    names = {f"{folder.name}/{path.relative_to(folder).as_posix()}": path for path in paths}
    return sorted(names.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest())


def is_opaque(path: Path, least_side: int) -> bool | None:
    """Whether no part is transparent; None for what is no source: unreadable, too small or far too large."""
    try:
        with Image.open(path) as opened:
            if min(opened.size) < least_side or opened.width * opened.height > MOST_PIXELS:
                return None
            if not opened.has_transparency_data:
                return True
            return bool(np.asarray(opened.convert("RGBA").getchannel("A")).min() == 255)
    except (OSError, Image.DecompressionBombError):
        return None


def write_candidates(folders: Sequence[Path], emoji: Path, wanted: Mapping[bool, int], out: Path) -> dict[str, str]:
    """Write up to SPARE times the wanted opaque and other pictures; returns their names by file.

    Files are numbered in the order in which thinning shall prefer them. Icons are smaller than other sources may be.
    """
    out.mkdir()
    names: dict[str, str] = {}
    room = {kind: SPARE * count for kind, count in wanted.items()}
    for folder in (*folders, sample_photographs()[0].parents[1], emoji):
        for name, path in pictures_of(folder):
            opaque = is_opaque(path, 1 if folder == emoji else LEAST_SIDE) if any(room.values()) else None
            if opaque is None or not room[opaque]:
                continue
            file = f"{len(names):06d}-{'opaque.jpg' if opaque else 'graphic.png'}"
            write_picture(_sized(read_rgb(path)), out / file)
            names[file] = name
            room[opaque] -= 1
    return names


def _sized(image: Image.Image) -> Image.Image:
    enlarged = enlarge(image, LEAST_SIDE)
    enlarged.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return enlarged


def thinned(candidates: Path, encoder: str, apart: float, scratch: Path) -> list[str]:
    """Files no two of which are as similar as `apart`, in order: what `dedup` keeps is just that."""
    store, out = scratch / "candidates-store", scratch / "candidates-dedup"
    cost_of(embed_command(candidates, store, encoder))
    cost_of(memaudit("dedup", store, "--out", out, "--threshold", str(apart), "--keep", "first", "--verify", "none"))
    return sorted((out / "keep.txt").read_text(encoding="utf-8").splitlines())


def choose(files: Sequence[str], wanted: Mapping[bool, int]) -> list[str]:
    """The first opaque ones and graphics; where one kind is short, there are fewer sources."""
    by_kind = {opaque: [f for f in files if f.endswith(".jpg") == opaque] for opaque in wanted}
    return [file for opaque, count in wanted.items() for file in by_kind[opaque][:count]]


def write_families(files: Sequence[str], names: Mapping[str, str], candidates: Path, emoji: Path, out: Path) -> None:
    """`out/NUMBER/source.*` and a JPEG for each of COPIES; each copy depends on the source's name and bytes alone."""
    stickers = sorted(emoji.rglob("*.png"))
    for number, file in enumerate(files):
        folder = out / f"{number:05d}"
        folder.mkdir(parents=True)
        source = candidates / file
        (folder / f"{SOURCE}{source.suffix}").write_bytes(source.read_bytes())
        image = Image.open(source).convert("RGB")
        for copy, make in COPIES.items():
            altered = make(image, stream(0, names[file], copy, 0), stickers)
            altered.save(folder / f"{copy}.jpg", quality=30 if copy == "jpeg" else 90)


def dedup(store: Path, out: Path, *options: str) -> Cost:
    """The real command, in a process of its own."""
    return cost_of(memaudit("dedup", store, "--out", out, *options))


def read_pairs(out: Path) -> Pairs:
    table = pq.read_table(out / "pairs.parquet", columns=["left_id", "right_id"])
    left, right = ([i.partition("/") for i in table[name].to_pylist()] for name in table.column_names)
    family, other_family = (np.array([int(family) for family, _, _ in side], np.int64) for side in (left, right))
    copy, other_copy = (np.array([file.partition(".")[0] for _, _, file in side], object) for side in (left, right))
    return Pairs(family, other_family, copy, other_copy)


def rate(found: Int64, true: Int64) -> Rate | None:
    """Sum of found / sum of true, by family; None where there is nothing to have found."""
    found, true = found[true > 0], true[true > 0]
    if not len(true):
        return None
    return Rate(float(found.sum() / true.sum()), *ratio_interval(found, true, CONFIDENCE))


def rates(pairs: Pairs, families: int) -> dict[str, Rate | None]:
    """Precision; recall of all pairs, of those with the source, and of these by kind of copy."""
    within = pairs.family == pairs.other_family
    ends = np.concatenate([pairs.family, pairs.other_family])  # a false pair counts for both its families
    true_ends, all_ends = (np.bincount(e, minlength=families) for e in (ends[np.tile(within, 2)], ends))
    found = {"precision": rate(true_ends, all_ends)}

    def recall(chosen: NDArray[np.bool_], of_family: int) -> Rate | None:
        return rate(np.bincount(pairs.family[within & chosen], minlength=families), np.full(families, of_family))

    with_source = (pairs.copy == SOURCE) | (pairs.other_copy == SOURCE)
    found["recall, all pairs"] = recall(within, FAMILY_PAIRS)
    found["recall, source and copy"] = recall(with_source, len(COPIES))
    for copy in COPIES:
        found[f"recall, source and {copy}"] = recall(
            with_source & ((pairs.copy == copy) | (pairs.other_copy == copy)), 1
        )
    return found


class Decision(NamedTuple):
    """A run of dedup. threshold None: no option, so that it is the encoder's own; pixels: whether they have a say."""

    threshold: float | None
    pixels: bool

    @property
    def options(self) -> list[str]:
        chosen = [] if self.threshold is None else ["--threshold", str(self.threshold)]
        return chosen if self.pixels else [*chosen, "--verify", "none"]

    def name(self, threshold: float) -> str:
        return f"{threshold:g}{' (default)' if self.threshold is None else ''}{' and pixels' if self.pixels else ''}"


def by_default(encoder: str) -> list[Decision]:
    """At the encoder's own threshold: with pixels, where `dedup` asks them of its own accord, and without."""
    return [Decision(None, pixels=True)] * (encoder in PAIR_FLOORS) + [Decision(None, pixels=False)]


def decided(store: Path, decision: Decision, families: int, scratch: Path) -> list[Figure]:
    """One run of dedup, and what it found."""
    out = scratch / f"dedup-{decision.threshold}{'-pixels' if decision.pixels else ''}"
    cost = dedup(store, out, *decision.options)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    pairs = read_pairs(out)
    data = f"copies, threshold {decision.name(report['threshold'])}"

    def figure(measure: str, value: float, rated: Rate | None = None) -> Figure:
        low, high = (rated.low, rated.high) if rated else (None, None)
        return Figure(data, families, measure, value, low, high)

    found = [figure("pairs found", len(pairs.family))]
    found += [figure(measure, rated.value, rated) for measure, rated in rates(pairs, families).items() if rated]
    if pixels := report["results"]["pixels"]:
        found += [figure(f"pairs {name}", pixels[key]) for name, key in CHECKS.items()]
    return [*found, figure("dedup, CPU s", cost.cpu_seconds), figure("dedup, peak MB", cost.peak_mb)]


def of_copies(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    opaque = round(options.sources * OPAQUE_SHARE)
    wanted = {True: opaque, False: options.sources - opaque}
    emoji, candidates, copies = sample_emoji(), scratch / "candidates", scratch / "copies"
    names = write_candidates(options.images, emoji, wanted, candidates)
    apart = thinned(candidates, options.encoder, options.apart, scratch)
    chosen = choose(apart, wanted)
    write_families(chosen, names, candidates, emoji, copies)
    yield Figure("copies", len(names), "sources left when thinned", len(apart))
    yield Figure("copies", len(chosen), "opaque sources", sum(file.endswith(".jpg") for file in chosen))
    cost = cost_of(embed_command(copies, scratch / "store", options.encoder))
    yield Figure("copies", len(chosen), "embed, CPU s", cost.cpu_seconds)
    yield Figure("copies", len(chosen), "embed, peak MB", cost.peak_mb)
    plain = (Decision(threshold, pixels=False) for threshold in options.thresholds)
    for decision in (*by_default(options.encoder), *plain):
        yield from decided(scratch / "store", decision, len(chosen), scratch)


def of_emoji(folder: Path, encoder: str, scratch: Path) -> Iterator[Figure]:
    """Under both group rules, with pixels and without: the largest group, and where the clocks went."""
    store = scratch / "emoji-store"
    cost_of(embed_command(folder, store, encoder))
    for rule, decision in itertools.product(("cover", "components"), by_default(encoder)):
        name = f"{rule}{' and pixels' if decision.pixels else ''}"
        out = scratch / f"emoji-{name.replace(' ', '-')}"
        dedup(store, out, "--groups", rule, *decision.options)
        for figure in emoji_figures(out, store):
            yield replace(figure, data=f"emoji, {name}")


def emoji_figures(out: Path, store: Path) -> Iterator[Figure]:
    groups = read_groups(out)
    opened = Store.open(store)
    count = len(opened)
    largest = max(groups, key=len, default=[])
    yield Figure("", count, "largest group", len(largest), note=shown(largest))
    yield Figure("", count, "largest group, smallest similarity", smallest_similarity(opened, largest))
    with_clocks = [group for group in groups if any(map(CLOCK.search, group))]
    grouped = [name for group in with_clocks for name in group]
    clocks = [name for name in grouped if CLOCK.search(name)]
    others = sorted(set(grouped) - set(clocks))
    yield Figure("", count, "groups with clocks", len(with_clocks), note=", ".join(str(len(g)) for g in with_clocks))
    yield Figure("", count, "clocks in groups", len(clocks))
    yield Figure("", count, "others grouped with clocks", len(others), note=shown(others))


def read_groups(out: Path) -> list[list[str]]:
    """image_ids of each group of two and more."""
    table = pq.read_table(out / "groups.parquet", columns=["group", "image_id"])
    rows = zip(table["group"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    return [[name for _, name in members] for _, members in itertools.groupby(rows, key=lambda row: row[0])]


def smallest_similarity(store: Store, group: Sequence[str]) -> float | None:
    """Of any two of the group, not only of those that were paired."""
    if len(group) < 2:
        return None
    ids = store.all_columns().image_id
    rows = np.flatnonzero(np.isin(ids, list(group)))
    vectors = store.embeddings(np.intersect1d(rows, store.comparable_rows()))
    left, right = np.triu_indices(len(vectors), 1)
    return float(exact(vectors[left], vectors[right]).min())


def shown(group: Sequence[str], most: int = 30) -> str:
    names = [Path(name).stem for name in group[:most]]
    return ", ".join(names) + (f" and {len(group) - most} more" if len(group) > most else "")


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table with a row for each threshold, for a reader; the CSV has the intervals."""
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        if "threshold" in figure.data:
            rows.setdefault(figure.data.removeprefix("copies, threshold "), {})[figure.measure] = figure
    measures = list(dict.fromkeys(measure for row in rows.values() for measure in row))
    lines = [f"| threshold | {' | '.join(measures)} |", "|---|" + "--:|" * len(measures)]
    return lines + [f"| {name} | {' | '.join(_cell(row.get(m)) for m in measures)} |" for name, row in rows.items()]


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.median is None:
        return ""
    return f"{figure.median:,.0f}" if figure.least is None else f"{figure.median:.2%}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench_copies.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sources", metavar="N", type=int, default=1000)
    parser.add_argument("--images", metavar="FOLDER", type=Path, nargs="*", default=[], help="taken before the samples")
    parser.add_argument(
        "--thresholds", metavar="T", type=float, nargs="*", default=THRESHOLDS, help="beside the default"
    )
    parser.add_argument("--apart", metavar="T", type=float, default=0.5, help="similarity that no two sources reach")
    parser.add_argument("--encoder", metavar="NAME", default="sscd")
    parser.add_argument("--work", metavar="DIR", type=Path, help="a new folder; keep images, stores and reports there")
    parser.add_argument("--results", metavar="DIR", type=Path, default=RESULTS)
    return parser.parse_args(arguments)


def measured(options: argparse.Namespace, scratch: Path) -> list[Figure]:
    found = []
    for figure in itertools.chain(of_copies(options, scratch), of_emoji(sample_emoji(), options.encoder, scratch)):
        show(figure)
        if figure.note:
            print(f"    {figure.note}", flush=True)
        found.append(figure)
    return found


def new_folder(path: Path) -> Path:
    """Stores and reports of an earlier run would be continued, and pass for those of this one."""
    if path.exists():
        raise BenchmarkError(f"--work {path} exists: name a new folder")
    path.mkdir(parents=True)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="bench_copies.") as temporary:
            found = measured(options, new_folder(options.work) if options.work else Path(temporary))
    except BenchmarkError as error:
        print(f"bench_copies: {error}", file=sys.stderr)
        return 2
    print("\n".join(table_of(found)))
    folders = " ".join([*(folder.name for folder in options.images), "samples"])
    settings = {"encoder": options.encoder, "apart": f"{options.apart:g}", "images": folders}
    about = settings | versions("numpy", "onnxruntime", "pillow")
    print(write_figures(found, "bench_copies", options.results, about))
    return 0


if __name__ == "__main__":
    sys.exit(main())
