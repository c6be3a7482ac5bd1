"""The pictures of the benchmark: thinned, drawn at random, and copied."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from benchmarks.alterations import Beside, write_copies
from benchmarks.measure import BenchmarkError
from benchmarks.samples import OPAQUE_SHARE, sample_emoji, thinned, write_candidates
from memaudit.store import Store
from memaudit.types import Status

ENCODER = "sscd"
STICKERS = "smileys"  # emoji that are laid over copies: those are no references, or they would be found
BACKGROUND = "_background"


class Pictures(NamedTuple):
    """Files by name, and names by their part in the benchmark; sources are references too. clip_art: names of it."""

    files: Mapping[str, Path]
    references: list[str]
    clean: list[str]
    sources: list[str]
    clip_art: frozenset[str]

    def some(self, names: Iterable[str]) -> dict[str, Path]:
        return {name: self.files[name] for name in names}


def pool(options: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Pictures no two of which are as similar as `--apart`, none cut from another and none a sticker, by name.

    What an earlier run has left in `folder` is taken as it is: so two versions of the tool can be compared.
    """
    candidates, names_file, apart_file = (folder / n for n in ("candidates", "names.json", f"{options.apart:g}.json"))
    wanted = options.references + options.clean
    if not names_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folders = [*options.images, *options.clip_art]
        names = write_candidates(folders, sample_emoji(), {True: wanted, False: wanted}, candidates)
        names_file.write_text(json.dumps(names), encoding="utf-8")
    if not apart_file.exists():
        apart_file.write_text(json.dumps(thinned(candidates, ENCODER, options.apart, folder)), encoding="utf-8")
    names, apart = (json.loads(path.read_text(encoding="utf-8")) for path in (names_file, apart_file))
    seen = Store.open(folder / "candidates-store").all_columns()
    with_content, all_names = set(seen.image_id[seen.status == Status.OK]), set(names.values())
    chosen = (file for file in apart if file in with_content and not _unfit(names[file], all_names))
    return {names[file]: candidates / file for file in chosen}


def _unfit(name: str, names: set[str]) -> bool:
    """A sticker, or cut from another picture of its folder: that would be a copy that nobody labelled."""
    whole, _, suffix = name.rpartition(".")
    parts = whole.split("_")
    wholes = {f"{'_'.join(parts[:end])}{BACKGROUND}.{suffix}" for end in range(1, len(parts))}
    return bool(wholes & (names - {name})) or f"/{STICKERS}/" in name


def drawn(options: argparse.Namespace, folder: Path) -> Pictures:
    """References, clean images and sources, at random, by their names. Too few left: fewer clean images."""
    files = pool(options, folder)
    names = sorted(files, key=lambda name: sha256(name.encode()).digest())
    references, clean = names[: options.references], names[options.references :][: options.clean]
    clip_art = frozenset(name for name in names if _is_clip_art(name, files[name], options))
    clips = options.sources - round(options.sources * OPAQUE_SHARE)
    sources = [
        *[name for name in references if name not in clip_art][: options.sources - clips],
        *[name for name in references if name in clip_art][:clips],
    ]
    if not clean or not sources:
        raise BenchmarkError(f"only {len(files)} pictures are left when thinned: give more with --images")
    return Pictures(files, references, clean, sources, clip_art)


def _is_clip_art(name: str, file: Path, options: argparse.Namespace) -> bool:
    """Transparent pictures are not written as .jpg."""
    drawn_ones = {*(folder.name for folder in options.clip_art), sample_emoji().name}
    return name.partition("/")[0] in drawn_ones or file.suffix != ".jpg"


def write_manifest(path: Path, files: Mapping[str, Path]) -> Path:
    """image_ids and files, for `memaudit embed`."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["path", "image_id"])
        writer.writerows((str(file.resolve()), image_id) for image_id, file in files.items())
    return path


def copy_id(source: str, setting: str) -> str:
    return f"{source}/{setting}"


def generations_of(pictures: Pictures, out: Path) -> dict[str, Path]:
    """As written, or as an earlier part has written them."""
    manifest = out.with_suffix(".csv")
    if not manifest.exists():
        write_manifest(manifest, write_generations(pictures, out))
    with manifest.open(encoding="utf-8", newline="") as handle:
        return {row["image_id"]: Path(row["path"]) for row in csv.DictReader(handle)}


def write_generations(pictures: Pictures, out: Path) -> dict[str, Path]:
    """All copies of the sources, and the clean images, by image_id."""
    grounds = [pictures.files[name] for name in pictures.clean if name not in pictures.clip_art]
    emoji = sorted((sample_emoji() / STICKERS).glob("*.png"))
    if not grounds or not emoji:
        raise BenchmarkError("no clean photograph to paste copies onto, or no emoji to lay over them")
    found: dict[str, Path] = {}
    for name in pictures.sources:
        copies = write_copies(pictures.files[name], name, Beside(emoji, grounds), out / pictures.files[name].stem)
        found |= {copy_id(name, setting): path for setting, path in copies.items()}
    return found | pictures.some(pictures.clean)
