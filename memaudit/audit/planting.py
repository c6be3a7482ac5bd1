"""Altered training images as files: they go the way of generations, so that an audit knows how much it detects."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.rows import ahead
from memaudit.errors import InputError, UsageError
from memaudit.files import digest_of, make_folder, whole_file
from memaudit.images.alterations import COPIES
from memaudit.images.copy_kinds import MOST_COPIES
from memaudit.images.decode import UnreadableImageError, decoding
from memaudit.images.sources import read_image
from memaudit.store import Store, is_same_file
from memaudit.types import Int64

_SEED = 0
_TRIES = 2  # times as many training images are looked at as are wanted, before their files count as gone
_SIDE = 1024  # of copies, where nothing says how large generations are


class Copy(NamedTuple):
    """An altered training image: its file's name, the kind of alteration, and the row of the training image."""

    name: str
    kind: str
    source: int


@dataclass(frozen=True)
class Planting:
    """Copies that were asked for, those that were made, and how many training images could not be read for it."""

    asked: int
    copies: tuple[Copy, ...] = ()
    unreadable: int = 0
    why_none: str = ""


def require_plantable(count: int | None) -> None:
    """Raise UsageError for a number of copies that is none."""
    if count is not None and not 0 <= count <= MOST_COPIES:
        raise UsageError(f"--planted {count} is out of range: expected 0 to {MOST_COPIES:,} altered training images")


@contextmanager
def planting(references: Store, like: Store, folder: Path, count: int, options: EmbedOptions) -> Iterator[Planting]:
    """Write altered training images into `folder`, which is gone afterwards: they show what nobody is to keep.

    The images are drawn at random, always the same of the same store, other ones for each kind as far as there are
    enough; of each kind equally many. They are drawn as large as the model draws: as the generations, `like`, are in
    the median. Memory: a few decoded images.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield _planted(references, _side_of(like), folder, count, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _side_of(generations: Store) -> int:
    """The longer side of generations, in the median."""
    sides = [np.maximum(columns.width, columns.height) for columns in generations.iter_columns()]
    known = np.concatenate([np.empty(0, np.int64), *sides])
    known = known[known > 0]
    return int(np.median(known)) if len(known) else _SIDE


def _planted(references: Store, side: int, folder: Path, count: int, options: EmbedOptions) -> Planting:
    make_folder(folder)
    rows = np.random.default_rng(_SEED).permutation(references.comparable_rows())
    copies, unreadable = list[Copy](), 0
    for number, kind in enumerate(COPIES):
        wanted = count // len(COPIES) + (number < count % len(COPIES))
        turned = np.roll(rows, -len(copies))[: _TRIES * wanted]
        for source, altered in _altered(references, turned, kind, side, options):
            if altered is None:
                unreadable += 1
                continue
            copies.append(_written(folder, Copy(f"{source:09d}-{kind}.jpg", kind, source), altered))
            wanted -= 1
            if not wanted:
                break
    os.utime(folder, (0, 0))  # a store notes the times of its sources, and must be the same whenever it is made
    why = "" if copies or not count else "no file of the training set could be read"
    return Planting(count, tuple(copies), unreadable, why)


def _altered(
    references: Store, rows: Int64, kind: str, side: int, options: EmbedOptions
) -> Iterator[tuple[int, bytes | None]]:
    """The file of a copy of each of these images, None where its own is gone, or another by now."""
    columns = references.columns(rows)
    sources = zip(columns.image_id, columns.uri, columns.sha256, strict=True)
    with ThreadPoolExecutor(options.threads) as pool:
        made = ahead(pool, lambda source: _copy_of(*source, kind, side, options.max_pixels), sources, options.threads)
        yield from zip(rows.tolist(), made, strict=True)


def _copy_of(image_id: str, uri: str, sha256: str, kind: str, side: int, max_pixels: int) -> bytes | None:
    try:
        data = read_image(uri)
        if not is_same_file(data, sha256):
            return None
        with decoding(data, max_pixels, side) as decoded:
            image = decoded.image.copy()
    except (OSError, InputError, UnreadableImageError):
        return None
    width, height = (max(1, round(length * side / max(image.size))) for length in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    alteration, encoded = COPIES[kind], io.BytesIO()
    rng = np.random.default_rng(int(digest_of([_SEED, image_id, kind]), 16))
    alteration.make(image, alteration.strength, rng).save(encoded, "JPEG", quality=alteration.quality)
    return encoded.getvalue()


def _written(folder: Path, copy: Copy, data: bytes) -> Copy:
    with whole_file(folder / copy.name) as file:
        file.write(data)
    return copy
