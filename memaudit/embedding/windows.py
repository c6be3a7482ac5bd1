"""Tiles and details of a store's images: folders within it that are whole and of its state, or must not be searched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.embedding.views import ViewStore, are_views_of, open_views
from memaudit.errors import InconclusiveError, InputError
from memaudit.images.views import details, tiles
from memaudit.store import Manifest, Store, verify_store

TILES, DETAILS = "tiles", "details"
"""The folders, within a store, where the tiles and the details of its images are: each by itself, so that neither is
embedded anew where the other is asked for."""
_OPTIONS = {TILES: "--tiles", DETAILS: "--fine-tiles"}
_VIEWS = {TILES: tiles, DETAILS: details}


class WindowCounts(NamedTuple):
    """images: how many have a window with an embedding; windows: all there are; of these blank ones, and unreadable."""

    images: int
    windows: int
    blank: int
    unreadable: int

    def __str__(self) -> str:
        return (
            f"{self.windows:,} windows of {self.images:,} images, {self.blank:,} blank and "
            f"{self.unreadable:,} unreadable"
        )


def windows_of(images: Store, name: str) -> ViewStore | None:
    """The TILES or the DETAILS of a store's images, if it has them.

    Raises InconclusiveError for those that are unfinished, or of another state of the store.
    """
    if not has_windows(images, name):
        return None
    if why := _unfinished(images, name) or _stale(images, name):
        raise InconclusiveError(why)
    return open_views(images, images.folder / name)


def has_windows(images: Store, name: str) -> bool:
    """Whether there is anything, whole or not, where a store's TILES or DETAILS have their place."""
    return os.path.lexists(images.folder / name)


def embed_again(name: str, folder: Path) -> str:
    """What to do about TILES or DETAILS in this folder that cannot be searched as they are."""
    return f"run memaudit embed again with {_OPTIONS[name]}, or delete {folder}"


def window_counts(windows: ViewStore) -> WindowCounts:
    """Count windows. Memory: a shard's, which holds whole images."""
    store, each = windows.store, len(windows.names)
    images = sum(len(np.unique(rows // each)) for rows in store.iter_comparable_rows())
    coverage = store.coverage
    return WindowCounts(images, len(store), len(store) - coverage.total, coverage.total - coverage.measured)


def window_faults(folder: Path) -> list[str]:
    """As `verify_store`, for the tiles and details of the store at `folder`."""
    images = Store(folder, Manifest.read(folder))
    return [fault for name in _OPTIONS if has_windows(images, name) for fault in _faults(images, name)]


def unfit_windows(images: Store) -> list[str]:
    """What to say of tiles and details of a finished store that must not be searched as they are."""
    return [why for name in _OPTIONS if has_windows(images, name) and (why := _unfit(images, name))]


def _unfit(images: Store, name: str) -> str:
    try:
        return _unfinished(images, name) or _stale(images, name)
    except InconclusiveError as error:  # its manifest was changed
        return str(error)


def _faults(images: Store, name: str) -> list[str]:
    if why := _unfinished(images, name):
        return [why]
    stale = _stale(images, name) if images.manifest.complete else ""
    return [*([stale] if stale else []), *verify_store(images.folder / name)]


def _unfinished(images: Store, name: str) -> str:
    """What to say of windows that are not all there; nothing if they are."""
    folder = images.folder / name
    try:
        if Manifest.read(folder).complete:
            return ""
    except InputError:
        pass  # killed before the manifest was there, damaged, or no folder at all: in none of them may it be searched
    return f"{folder} is unfinished: {embed_again(name, folder)}"


def _stale(images: Store, name: str) -> str:
    folder = images.folder / name
    manifest = Manifest.read(folder)
    if manifest.views is None or manifest.views.names != tuple(view.name for view in _VIEWS[name]()):
        return f"{folder} holds other {name} than this version of memaudit makes: {embed_again(name, folder)}"
    if are_views_of(images, manifest):
        return ""
    return f"{folder} holds {name} of another state of {images.folder}: {embed_again(name, folder)}"
