"""What runs keep of people who were forgotten: their pictures are deleted, in pages too, their names are told of."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from memaudit.errors import InputError
from memaudit.faces.names import Tombstones
from memaudit.files import keep_private, read_json
from memaudit.report.bounds import MOST_BYTES
from memaudit.report.document import read_report
from memaudit.report.model import JsonValue
from memaudit.report.page import has_digest
from memaudit.report.pages import write_report_page
from memaudit.report.run_folder import FACE_CROPS, PAGE, REPORT, THUMBNAILS, previous_runs

# No other file is deleted, whatever a report says
_OWN_PICTURE = re.compile(rf"({THUMBNAILS}|{FACE_CROPS})/[\w-]+\.(jpg|png)")
_HELD = re.compile(r'src="data:image/[^"]*" data-name=')  # a picture of the run, and no drawn example
_IDS = ("image_id", "query_id", "query_face", "reference_id", "reference_face")
_WHOLE = ("picture", "query_picture", "reference_picture")
_PICTURES = (*_WHOLE, "query_crop", "reference_crop")


class Traces(NamedTuple):
    """pictures: deleted files; naming: folders whose report or tables still name somebody who was forgotten, or cannot
    be read, the pages and PDFs beside them, which hold pictures, and pictures that could not be deleted."""

    pictures: tuple[Path, ...]
    naming: tuple[Path, ...]


def remove_forgotten(out: Path, forgotten: Collection[str]) -> Traces:
    """Delete the pictures of whoever is forgotten (tombstones of image_ids) from the run in `out`, and from those that
    were put aside there; their pages are made anew without them."""
    pictures, naming, stones = list[Path](), list[Path](), Tombstones(forgotten)
    for folder in (out, *previous_runs(out)):
        if not (folder / REPORT).is_file():
            continue
        try:
            told = list(_told(read_json(folder / REPORT, most=MOST_BYTES), stones))
        except InputError:
            naming.append(folder)
            continue
        own = {name for names in told for name in names if _OWN_PICTURE.fullmatch(name)}
        there = [folder / name for name in sorted(own) if (folder / name).is_file()]
        refused = [path for path in there if not _deleted(path)]
        pictures += [path for path in there if path not in refused]
        if told:
            made = (*_made_of(folder), *_made_of(out))  # what a gate wrote there is not put aside with a run
            naming += [folder, *refused, *made, *_renewed_page(folder)]
    return Traces(tuple(pictures), tuple(dict.fromkeys(naming)))


def _deleted(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _made_of(folder: Path) -> Iterator[Path]:
    """Pages beside that of a run, and PDFs: nobody writes again what may be signed, or shows another report."""
    for path in sorted(folder.iterdir()):
        kind = path.suffix.lower()
        if path.is_file() and (kind == ".pdf" or (kind in (".html", ".htm") and path.name != PAGE and _may_show(path))):
            yield path


def _may_show(path: Path) -> bool:
    """Whether it is a page of ours, or may not be read, and so may be one."""
    try:
        return has_digest(path)
    except OSError:
        return True


def _renewed_page(folder: Path) -> Iterator[Path]:
    """Without the pictures that are gone: a page holds them. One whose report is not sound goes with them; yielded is
    one that could be neither read nor deleted."""
    page = folder / PAGE
    if not page.is_file():
        return
    try:
        if not page.stat().st_mode & 0o077:
            keep_private(folder, itself=False)
        held = _HELD.search(page.read_text(encoding="utf-8", errors="replace"))
        write_report_page(page, read_report(folder / REPORT), beside=held is None)
    except (InputError, OSError):
        if not _deleted(page):
            yield page


def _told(part: JsonValue, forgotten: Tombstones) -> Iterator[list[str]]:
    """The names of the pictures of each part of a report that tells of somebody who is forgotten, and of the whole
    pictures of those that tell of others on the same image."""
    if isinstance(part, Mapping):
        ids = [str(part[key]) for key in _IDS if key in part]
        whole = _names_in(part, _WHOLE)
        if any(map(forgotten.named, ids)):
            yield _names_in(part, _PICTURES)
        elif whole and any(map(forgotten.on_picture, ids)):
            yield whole
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            if isinstance(each, Mapping | list):
                yield from _told(each, forgotten)


def _names_in(part: Mapping[str, JsonValue], keys: Collection[str]) -> list[str]:
    return [str(part[key]) for key in keys if part.get(key)]
