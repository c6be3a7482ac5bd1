"""Where the files of images are, by the stores that a report names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from msgspec import UNSET

from memaudit.errors import MemauditError
from memaudit.report.model import Report
from memaudit.reviewing.queue import Shown
from memaudit.store import Store

BLOCK = 4096  # rows whose columns are held at once


class Images:
    """The images of a store with these image_ids: their rows, found by one reading of it, and files when they are asked
    for. Memory: a block of the store, and a row for each image."""

    def __init__(self, store: Store | None, wanted: Iterable[str]) -> None:
        self._store = store
        self._rows = dict(_rows_of(store, set(wanted))) if store else {}

    @property
    def lost(self) -> str:
        """Where the first file was looked for that is gone; empty where none is."""
        return self._store.lost_images(np.array(sorted(self._rows.values()), np.int64)) if self._store else ""

    def shown(self, image_id: str, sha256: str, thumbnail: Path | None, caption: str = "") -> Shown:
        """The picture as the store has it; without one as its thumbnail."""
        row = self._rows.get(image_id)
        if self._store is None or row is None:
            return Shown(image_id, sha256, "", caption, thumbnail)
        columns = self._store.columns(np.array([row]))
        return Shown(image_id, sha256, str(columns.uri[0]), caption or str(columns.caption[0]), thumbnail)


def _rows_of(store: Store, wanted: set[str]) -> Iterator[tuple[str, int]]:
    start = 0
    for columns in store.iter_columns(BLOCK) if wanted else ():
        for place, image_id in enumerate(columns.image_id.tolist()):
            if image_id in wanted:
                yield image_id, start + place
        start += len(columns.image_id)


def store_of(report: Report, folder: Path, role: str) -> tuple[Store | None, str]:
    """The store that a report read for this role, and why there is none. folder: of the report."""
    digest = report.inputs.get(role, "")
    places: Mapping[str, str] = {} if report.head.stores is UNSET else report.head.stores
    for place, of in places.items():
        if of == digest:
            return _opened(Path(os.path.normpath(folder / place)), digest)
    if report.head.stores is UNSET:
        return None, "an earlier version wrote the report, which does not say where its stores are: run it again"
    return None, f"the report does not name the store of its {role}"


def _opened(folder: Path, digest: str) -> tuple[Store | None, str]:
    try:
        store = Store.open(folder)
    except MemauditError as error:
        return None, str(error)
    return (store, "") if store.digest == digest else (None, f"{folder} is another store by now")


def thumbnail_of(folder: Path, path: str | None) -> Path | None:
    """A picture beside a report, by the name that the report gives it: never one elsewhere."""
    if not path or Path(path).is_absolute() or ".." in Path(path).parts:
        return None
    return folder / path
