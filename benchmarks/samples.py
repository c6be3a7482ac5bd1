"""The pictures that benchmarks are given: those that scripts/fetch_samples and scripts/fetch_faces brought, thinned."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import BenchmarkError, cost_of, embed_command, memaudit
from scripts.alterations import enlarge, read_rgb, write_picture
from scripts.cache import cache_folder

MOST_SIDE, LEAST_SIDE = 512, 128
MOST_PIXELS = 30_000_000  # some clip-arts are drawn at 600 Mpx
SPARE = 2  # candidates for each source that is wanted: thinning takes some
OPAQUE_SHARE = 0.7
CLOCK = re.compile(r"_(oclock|thirty)\.png$")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
COLOUR_MASK = "_segmented"  # the samples' real copies: as sources of their own they would be unlabelled pairs


def sample_photographs() -> list[Path]:
    """Raises BenchmarkError where scripts/fetch_samples has not been run."""
    folder = cache_folder() / "samples/images/photographs"
    return _there(folder.rglob("*.jpg"), f"no sample photographs in {folder}: run scripts/fetch_samples")


def sample_emoji() -> Path:
    """The folder of Twemoji among the samples. Raises BenchmarkError where scripts/fetch_samples has not been run."""
    return sample_photographs()[0].parents[2] / "twemoji"


def face_photographs() -> list[Path]:
    """Raises BenchmarkError where scripts/fetch_faces has not been run."""
    folder = cache_folder() / "face-samples"
    found = (path for path in folder.glob("*.*") if path.suffix in SUFFIXES)
    return _there(found, f"no photographs of faces in {folder}: run scripts/fetch_faces")


def _there(paths: Iterable[Path], otherwise: str) -> list[Path]:
    found = sorted(paths)
    if not found:
        raise BenchmarkError(otherwise)
    return found


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
            write_picture(sized(read_rgb(path)), out / file)
            names[file] = name
            room[opaque] -= 1
    return names


def sized(image: Image.Image) -> Image.Image:
    enlarged = enlarge(image, LEAST_SIDE)
    enlarged.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return enlarged


def thinned(candidates: Path, encoder: str, apart: float, scratch: Path) -> list[str]:
    """Files no two of which are as similar as `apart`, in order: what `dedup` keeps is just that."""
    store, out = scratch / "candidates-store", scratch / "candidates-dedup"
    cost_of(embed_command(candidates, store, encoder))
    cost_of(memaudit("dedup", store, "--out", out, "--threshold", str(apart), "--keep", "first", "--match", "none"))
    return sorted((out / "keep.txt").read_text(encoding="utf-8").splitlines())
