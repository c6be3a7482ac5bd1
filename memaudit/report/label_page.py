"""A page on which a person says of single images whether they are of a class: one file, its pictures within it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from memaudit.errors import InputError
from memaudit.filters.filter_file import Filter, NextImage
from memaudit.report.inline import inline
from memaudit.report.page import script_of, write_page

PAGE = "label.html"
MOST = 2000  # images of a page
ROOM = 48 * 2**20  # bytes of its pictures
_SIDE = 240


class _Shown(NamedTuple):
    """An image of the page; source: what its picture element names; empty where there is none, and `absent` says
    why."""

    image_id: str
    why: str
    source: str
    absent: str


_WHY = {
    "uncertain": "the probe is unsure",
    "missed": "near a known one, and rejected",
    "sample": "drawn at random, to measure the probe",
}


def write_label_page(path: Path, found: Filter, images: Sequence[NextImage]) -> None:
    """Write the page of the images that are to be labelled. Pictures that have no room are named alone.

    Raises InputError where there is nothing to label.
    """
    if not images:
        raise InputError("there is nothing to label: next.csv is empty; train a further round first")
    room, shown = ROOM, []
    for each in images[:MOST]:
        one = _shown(each, room)
        room -= len(one.source)
        shown.append(one)
    script, digest = script_of("label.js")
    write_page(
        path,
        "label.html",
        name=found.name,
        images=shown,
        left=len(images) - len(shown),
        sample=sum(one.why == _WHY["sample"] for one in shown),
        script=script,
        script_digest=digest,
        data={"filter": found.digest, "ids": [one.image_id for one in shown]},
    )


def _shown(image: NextImage, room: int) -> _Shown:
    return _Shown(image.image_id, _WHY.get(image.why, image.why), *inline(image.uri, image.sha256, _SIDE, room))
