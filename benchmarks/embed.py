"""Speed and memory of `memaudit embed`.

Throughput: images/s of `embedding.run.embed` from files to finished store, over images/s of the bare encoder fed with
the same images prepared in memory, by one thread or by one per core, whichever is faster. Both run in this process
with the encoder loaded, in turns: what a user pays for each image counts, what is paid once (interpreter, imports,
weights) does not.

Beside immaculate (PyPI, Python >= 3.12, in a throwaway venv): both as whole commands, with their start, on the same
folder. It compares the images too; `memaudit embed` keeps a store.

Memory: peak of the command at 2,000 and at 20,000 small images, each in a process of its own.

`default` is the photographs of scripts/fetch_samples, each also mirrored, at their original size (500 to 1024 px) and
as a prepared training set holds them (cropped to 512 x 512, JPEG quality 95).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.measure import BenchmarkError, cost_of, embed_command, timed
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark
from benchmarks.samples import sample_photographs
from benchmarks.venvs import install_immaculate, version_of
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import Encoder, load_encoder
from memaudit.images.decode import UnreadableImageError, decode, is_blank
from memaudit.images.sources import iter_images, read_image

SIDE = 512
SMALL_SIDE = 128
ASKED_RATIO = ">= 0.90"
ASKED_GROWTH = "<= 100"


@dataclass(frozen=True)
class ImageSet:
    name: str
    folder: Path


def default_sets(folder: Path) -> list[ImageSet]:
    """The photographs as files of 512 x 512 and at their own size, each also mirrored: a run shall last long enough."""
    prepared, originals = folder / "jpeg-512", folder / "originals"
    prepared.mkdir()
    originals.mkdir()
    for number, path in enumerate(sample_photographs()):
        picture = Image.open(path).convert("RGB")
        square = ImageOps.fit(picture, (SIDE, SIDE))
        square.save(prepared / f"{number:04d}.jpg", quality=95)
        ImageOps.mirror(square).save(prepared / f"{number:04d}-mirrored.jpg", quality=95)
        shutil.copy(path, originals / f"{number:04d}.jpg")
        ImageOps.mirror(picture).save(originals / f"{number:04d}-mirrored.jpg", quality=95)
    return [ImageSet("photographs, 512 px", prepared), ImageSet("photographs, original size", originals)]


def prepared_pixels(folder: Path, encoder: Encoder) -> NDArray[Any]:
    """What the encoder is fed with, of every image that can be fed. Memory: all of them."""
    return np.stack(list(_each_prepared(folder, encoder)))


def _each_prepared(folder: Path, encoder: Encoder) -> Iterator[NDArray[Any]]:
    for ref in iter_images([folder]):
        try:
            image = decode(read_image(ref.uri) if ref.data is None else ref.data, side=encoder.side).image
        except (OSError, UnreadableImageError):
            continue
        if not is_blank(image):
            yield encoder.preprocess(image)


def encode_all(pixels: NDArray[Any], encoder: Encoder, callers: int) -> None:
    """Batch by batch, from so many threads at once."""
    size = EmbedOptions().batch_size
    batches = [pixels[low : low + size] for low in range(0, len(pixels), size)]
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(encoder.encode, batches))


def bare_seconds(pixels: NDArray[Any], encoder: Encoder) -> float:
    """With one caller or one per core, whichever is faster: an encoder may use all cores by itself, or need it."""
    return min(timed(partial(encode_all, pixels, encoder, callers)).seconds for callers in {1, os.cpu_count() or 1})


def embed_all(folder: Path, encoder: Encoder) -> None:
    # Without reuse, which would spare the encoder what it has to do for the comparison: a folder may hold a file twice.
    with tempfile.TemporaryDirectory() as out:
        embed([folder], Path(out, "store"), encoder, EmbedOptions(reuse=False))


def throughput(images: ImageSet, encoder: Encoder, rounds: int) -> list[Figure]:
    """Both in turns, after one round that is not counted."""
    count = sum(1 for _ in iter_images([images.folder]))
    pixels = prepared_pixels(images.folder, encoder)
    bare_seconds(pixels, encoder)
    embed_all(images.folder, encoder)
    bare, whole = [], []
    for _ in range(rounds):
        bare.append(len(pixels) / bare_seconds(pixels, encoder))
        whole.append(count / timed(lambda: embed_all(images.folder, encoder)).seconds)
    ratios = [ours / encoders for ours, encoders in zip(whole, bare, strict=True)]
    return [
        of_rounds(images.name, count, "bare encoder, images/s", bare),
        of_rounds(images.name, count, "embed, images/s", whole),
        of_rounds(images.name, count, "embed / bare encoder", ratios, ASKED_RATIO),
    ]


def beside_immaculate(sets: Sequence[ImageSet], encoder: str, rounds: int, scratch: Path) -> list[Figure]:
    """Whole commands in turns. One line that says why where there is nothing to compare."""
    try:
        if encoder != "sscd":
            raise BenchmarkError("it has no such encoder: only sscd is compared")
        python = install_immaculate(scratch / "venv")
        command = python.with_name("immaculate")
        found = [figure for images in sets for figure in _both_commands(images, command, rounds)]
    except BenchmarkError as error:
        return [Figure("immaculate", 0, "embed command / immaculate command", None, note=str(error))]
    note = version_of("immaculate", python)
    return [replace(figure, note=note) for figure in found]


def _both_commands(images: ImageSet, immaculate: Path, rounds: int) -> list[Figure]:
    count = sum(1 for _ in iter_images([images.folder]))
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(count / cost_of([immaculate, "--json", "--method", "sscd", images.folder]).seconds)
        with tempfile.TemporaryDirectory() as out:
            ours.append(count / cost_of(embed_command(images.folder, Path(out, "store"), "sscd")).seconds)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [
        of_rounds(images.name, count, "immaculate --method sscd, whole command, images/s", theirs),
        of_rounds(images.name, count, "memaudit embed, whole command, images/s", ours),
        of_rounds(images.name, count, "embed command / immaculate command", ratios),
    ]


def write_small_images(folder: Path, count: int) -> None:
    """`count` different JPEGs: crops of the photographs, each at another place and mirrored in turns."""
    folder.mkdir()
    room = SMALL_SIDE // 2
    pictures = [ImageOps.fit(Image.open(p).convert("RGB"), (SMALL_SIDE + room,) * 2) for p in sample_photographs()]
    for number in range(count):
        turn, which = divmod(number, len(pictures))
        turn, mirrored = divmod(turn, 2)
        top, left = divmod(turn * 7 % (room * room), room)
        small = pictures[which].crop((left, top, left + SMALL_SIDE, top + SMALL_SIDE))
        (ImageOps.mirror(small) if mirrored else small).save(folder / f"{number:06d}.jpg", quality=85)


def memory(encoder: str, counts: Sequence[int], scratch: Path) -> list[Figure]:
    name, peaks = f"{SMALL_SIDE}-px JPEGs, {encoder}", []
    for count in counts:
        write_small_images(scratch / f"small-{count}", count)
        cost = cost_of(embed_command(scratch / f"small-{count}", scratch / f"store-{count}", encoder))
        peaks.append(Figure(name, count, "embed command, peak MB", cost.peak_mb))
    if len(peaks) < 2:
        return peaks
    growth = (peaks[-1].median or 0) - (peaks[0].median or 0)
    measure = f"peak over that of {counts[0]:,} images, MB"
    return [*peaks, Figure(name, counts[-1], measure, growth, asked=ASKED_GROWTH)]


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    named = [ImageSet(Path(folder).name, Path(folder)) for folder in options.folders if folder != "default"]
    sets = named + (default_sets(scratch) if "default" in options.folders else [])
    encoder = load_encoder(options.encoder)
    for images in sets:
        yield from throughput(images, encoder, options.rounds)
    if not options.no_immaculate:
        yield from beside_immaculate(sets, options.encoder, (options.rounds + 1) // 2, scratch)
    yield from memory(options.memory_encoder or options.encoder, sorted(options.memory), scratch)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folders", metavar="FOLDER", nargs="*", default=["default"], help="images, or `default`")
    add("--encoder", metavar="NAME", default="sscd")
    add("--rounds", metavar="N", type=int, default=5, help="of throughput; half as many of commands")
    add("--memory", metavar="N", type=int, nargs="*", default=[2000, 20000], help="numbers of images")
    add("--memory-encoder", metavar="NAME", help="thumbnail is quick (default: the one of --encoder)")
    add("--no-immaculate", action="store_true", help="do not install and run it")


def settings(options: argparse.Namespace) -> dict[str, str]:
    return {"encoder": options.encoder}


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "onnxruntime", "pillow"), add_options, figures, settings)
