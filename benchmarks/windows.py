"""Windows of a picture from one pass over it (`embed --tiles`, `--fine-tiles`), beside each encoded by itself.

On photographs of scripts/fetch_samples, drawn at random. Cost: what an image takes with its tiles and details, by the
pixels that the encoder is given and by CPU time, each in units of one pass of one picture of the encoder's side.

Recall: a part of each photograph, of some share of either side, at a random place, through JPEG 80, is embedded as a
picture of its own. It counts as found where a window of its photograph, or the whole, reaches the floor of a search and
no other photograph comes closer. Other photographs that reach the floor are counted as well. Intervals are 95 %
Clopper-Pearson, by photograph.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure, of_rounds, rate
from benchmarks.runner import Benchmark
from benchmarks.samples import COLOUR_MASK, sample_photographs
from memaudit.embedding.passes import seen_views
from memaudit.encoders import Encoder
from memaudit.encoders.regions import TrunkRegions, bands
from memaudit.encoders.sscd import load_sscd
from memaudit.images.decode import decode
from memaudit.images.views import View, details, tiles
from memaudit.matching.plan import SEARCH_FLOORS
from memaudit.types import Float32

SHARES = (0.7, 0.5, 0.35, 0.25, 0.17)
ASKED_PASSES = "<= 45"
UNIT_ROUNDS = 20


class Seen(NamedTuple):
    """Embeddings (n, dim) of a picture and its windows; the passes that they took, by pixels; CPU seconds."""

    rows: Float32
    passes: float
    seconds: float


def seen(data: bytes, encoder: Encoder) -> Seen:
    """Tiles and details, each kind of the picture at its own scale, as `embed` decodes it."""
    start = process_time()
    rows, passes = [], 0.0
    for views, side in (((View("whole", lambda image: image), *tiles()), 2), (details(), 6)):
        image = decode(data, side=side * encoder.side).image
        made = seen_views(image, views, encoder)
        rows.append(encoder.encode(np.stack(list(made.items.values())))) if made.items else None
        passes += len(made.items) + sum(_pixels(each.picture, each.boxes) for each in made.passes) / encoder.side**2
        if encoder.regions is not None:
            rows += [each.encoded(encoder.regions) for each in made.passes]
    return Seen(np.concatenate(rows), passes, process_time() - start)


def _pixels(picture: np.ndarray, boxes: np.ndarray) -> int:
    height, width, _ = picture.shape
    return sum((band.bottom - band.top) * width for band in bands(boxes, (height, width), TrunkRegions.most_pixels))


def unit_seconds(encoder: Encoder, image: Image.Image) -> float:
    """CPU seconds of a pass of one picture."""
    batch = encoder.preprocess(image)[None]
    encoder.encode(batch)
    start = process_time()
    for _ in range(UNIT_ROUNDS):
        encoder.encode(batch)
    return (process_time() - start) / UNIT_ROUNDS


def part_of(image: Image.Image, share: float, place: random.Random) -> Image.Image:
    """A part of this share of either side, at a random place, through JPEG 80."""
    width, height = (round(share * length) for length in image.size)
    left, top = place.randint(0, image.width - width), place.randint(0, image.height - height)
    data = io.BytesIO()
    image.crop((left, top, left + width, top + height)).save(data, "JPEG", quality=80)
    return Image.open(data).convert("RGB")


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    paths = [path for path in sample_photographs() if not path.stem.endswith(COLOUR_MASK)]
    if len(paths) < options.pictures:
        raise BenchmarkError(f"--pictures {options.pictures}: there are {len(paths)}")
    paths = random.Random(options.seed).sample(paths, options.pictures)
    encoder = load_sscd("cpu")
    images = [decode(path.read_bytes()).image for path in paths]
    parts = {share: _parts(images, share, encoder, options.seed) for share in SHARES}
    unit = unit_seconds(encoder, images[0])
    yield Figure("one pass of one picture", UNIT_ROUNDS, "CPU ms", 1000 * unit)
    for name, used, asked in (
        ("windows of one pass", encoder, ASKED_PASSES),
        ("windows one by one", replace(encoder, regions=None), ""),
    ):
        found = [seen(path.read_bytes(), used) for path in paths]
        yield of_rounds(name, len(paths), "passes an image, by pixels", [each.passes for each in found], asked)
        times = [each.seconds / unit for each in found[1:]]  # the first loads what makes passes
        yield of_rounds(name, len(times), "passes an image, by CPU time, decoding included", times, asked)
        for share, queries in parts.items():
            yield from _recall(name, share, queries, [each.rows for each in found])


def _parts(images: Sequence[Image.Image], share: float, encoder: Encoder, seed: int) -> Float32:
    place = random.Random(f"{seed} {share}")
    return np.concatenate([encoder.encode(encoder.preprocess(part_of(i, share, place))[None]) for i in images])


def _recall(name: str, share: float, queries: Float32, pictures: Sequence[Float32]) -> Iterator[Figure]:
    similarity = np.stack([(queries @ rows.T).max(axis=1) for rows in pictures], axis=1)
    own, floor = similarity.diagonal(), SEARCH_FLOORS["sscd"]
    others = np.where(np.eye(len(own), dtype=bool), -1, similarity)
    data, drawn = f"{name}, parts of {share:g} of either side", np.ones(len(own), np.int64)
    for measure, hits in (
        (f"found first, from {floor:g} on", (own >= floor) & (own > others.max(axis=1))),
        (f"another photograph from {floor:g} on", others.max(axis=1) >= floor),
    ):
        share_of = rate(hits.astype(np.int64), drawn)
        if share_of is not None:
            yield Figure(data, len(own), measure, *share_of)
    yield Figure(data, len(own), "similarity, median", float(np.median(own)))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", metavar="N", type=int, default=100)
    parser.add_argument("--seed", metavar="N", type=int, default=1)


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "onnxruntime", "pillow"), add_options, figures)
