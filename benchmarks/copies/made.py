"""A part of the split as files: its pictures, and the copies of its sources, each with what it is."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from benchmarks.alterations import SETTINGS, TWO, Beside, Boxes, boxes_of, copies_of, of_two
from benchmarks.copies.corpora import PHOTOGRAPHS, digest_of, opened
from benchmarks.copies.split import CLEAN, SOURCE, Line
from benchmarks.measure import BenchmarkError
from benchmarks.samples import sample_emoji, sized
from scripts.alterations import write_picture

Job = TypeVar("Job")
Done = TypeVar("Done")
TWOS = 4  # of the combinations of two, for each source: in turn
STICKERS = "smileys"  # emoji that are laid over copies: those are no references, or they would be found
GROUNDS = ("photograph", "painting", "building", "wallpaper")


MADE, COPY = "made.csv", "copy"


class Made(NamedTuple):
    """A picture of the part, or a copy. source: name of the picture that it is of, its own for what is no copy;
    alteration: "" for what is no copy; kind: of the source; boxes: see `boxes_of`."""

    image_id: str
    file: Path
    source: str
    role: str
    alteration: str
    kind: str
    boxes: Boxes | None = None

    @property
    def photograph(self) -> bool:
        return self.kind in PHOTOGRAPHS


def make(lines: Sequence[Line], out: Path, sources: int = 10_000) -> list[Made]:
    """Write a part, with the copies of so many of its sources. The same lines, the same files. Memory: two pictures.

    Raises BenchmarkError for a picture that is absent, or is another one than was split.
    """
    pictures = list(_in_threads(_picture, lines, out))
    grounds = [made.file for made in pictures if made.role == CLEAN and made.kind in GROUNDS]
    emoji = sorted((sample_emoji() / STICKERS).glob("*.png"))
    if not grounds or not emoji:
        raise BenchmarkError("no clean photograph to paste copies onto, or no emoji to lay over them")
    beside = Beside(emoji, grounds)
    chosen = list(islice((made for made in pictures if made.role == SOURCE), sources))
    jobs = [(made, beside) for made in chosen]
    copies = [copy for each in _in_threads(_copies, jobs, out) for copy in each]
    return [*pictures, *copies]


def _in_threads(work: Callable[[Job, Path], Done], jobs: Sequence[Job], out: Path) -> Iterator[Done]:
    """In the order of the jobs."""
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda job: work(job, out), jobs)


def _picture(line: Line, out: Path) -> Made:
    image = opened(line.name)
    if image is None or not digest_of(image).startswith(line.sha256):
        raise BenchmarkError(f"{line.name} is absent or another picture: run scripts/fetch_pictures")
    suffix = "jpg" if line.kind in PHOTOGRAPHS else "png"
    file = out / line.role / f"{line.sha256}.{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_picture(sized(image), file)
    return Made(line.name, file, line.name, line.role, "", line.kind)


def _copies(job: tuple[Made, Beside], out: Path) -> list[Made]:
    source, beside = job
    return [
        _saved(copy, altered, quality, source, len(beside.grounds), out)
        for copy, altered, quality in _altered(source, beside)
    ]


def _altered(source: Made, beside: Beside) -> Iterator[tuple[str, Image.Image, int]]:
    """All single alterations, and `TWOS` of the combinations."""
    for setting, altered in copies_of(source.file, source.image_id, beside, SETTINGS):
        yield setting, altered, SETTINGS[setting].quality
    first = int(hashlib.sha256(source.image_id.encode()).hexdigest()[:8], 16)
    for turn in range(TWOS):
        pair = list(TWO)[(first + turn * len(TWO) // TWOS) % len(TWO)]
        yield pair, *of_two(source.file, source.image_id, beside, pair)


def _saved(copy: str, altered: Image.Image, quality: int, source: Made, grounds: int, out: Path) -> Made:
    number = [*SETTINGS, *TWO].index(copy)
    file = out / "copies" / source.file.stem / f"{number:02d}.jpg"
    file.parent.mkdir(parents=True, exist_ok=True)
    altered.save(file, "JPEG", quality=quality)
    with Image.open(source.file) as opened_source:
        boxes = boxes_of(copy, opened_source.size, source.image_id, grounds)
    return Made(f"{source.image_id}/{copy}", file, source.image_id, COPY, copy, source.kind, boxes)


def made_in(folder: Path, lines: Sequence[Line], sources: int = 10_000) -> list[Made]:
    """What `make` writes into the folder; what an earlier run wrote there is taken as it is."""
    manifest = folder / MADE
    if not manifest.exists():
        made = make(lines, folder / "images", sources)
        rows = [[*one[:-1], *(one.boxes.copy + one.boxes.source if one.boxes else ())] for one in made]
        with manifest.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle, lineterminator="\n").writerows(rows)
    with manifest.open(encoding="utf-8", newline="") as handle:
        return [_read(row) for row in csv.reader(handle)]


def _read(row: Sequence[str]) -> Made:
    image_id, file, source, role, alteration, kind, *ends = row
    boxes = Boxes(_box(ends[:4]), _box(ends[4:])) if ends else None
    return Made(image_id, Path(file), source, role, alteration, kind, boxes)


def _box(ends: Sequence[str]) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, ends)
    return left, top, right, bottom
