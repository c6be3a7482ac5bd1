"""FAISS indexes of stores: built, brought up to date, opened."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.places import store_at
from memaudit.api.several import Stores, as_one
from memaudit.errors import UsageError
from memaudit.faces.uses import note_use
from memaudit.files import keep_private
from memaudit.index import Index, update_index
from memaudit.index import build_index as build
from memaudit.index.manifest import MANIFEST
from memaudit.store import FACES, require_whole_set
from memaudit.types import Progress, silent


def build_index(
    store: Stores,
    out: str | Path,
    *,
    recipe: str | None = None,
    update: bool = False,
    progress: Progress = silent,
) -> Index:
    """Build a FAISS index of a store, and measure its recall.

    store: or several, which become one beside `out`, OUT-store, as `merge_stores` makes it; with `update` some more may
    follow those of before. recipe: auto (None), flat, ivf, ivfpq, cagra, the path of a recipe, or a FAISS factory
    string. update: add what the store has got since. Raises InconclusiveError if the index's recall is below the
    recipe's floor.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.build_index(store, "index").manifest["rows"]
    12
    """
    if update and recipe is not None:
        raise UsageError("--update keeps the recipe that the index was built by: leave --recipe away")
    opened, folder = require_whole_set(store_at(as_one(store, out))), Path(out)
    if opened.manifest.kind == FACES:
        keep_private(folder, itself=not folder.exists() or (folder / MANIFEST).is_file())
        note_use(opened, folder)
    return update_index(opened, folder, progress) if update else build(opened, folder, recipe or "auto", progress)


def open_index(folder: str | Path) -> Index:
    """Open an index and its store; the vectors stay on the disk until a search touches them.

    Raises InputError for something else, InconclusiveError if the store or an index file changed since.

    >>> _ = ma.build_index(ma.embed("training", out="store", encoder="thumbnail"), "index")
    >>> ma.open_index("index").method
    'index:flat'
    """
    return Index.open(folder)
