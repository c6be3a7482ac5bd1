"""Whether the folders and lists that a store was made of hold images by now that it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from memaudit.embedding.reconcile import known_rows
from memaudit.errors import MemauditError
from memaudit.images.remote import is_url
from memaudit.images.sources import TABLES, iter_images
from memaudit.store import IMAGES, MANIFEST, Store, Tally


def grown(store: Store) -> str:
    """A sentence on images that the store's sources hold and it does not; empty where there are none, or the sources
    are not at hand: at a URL, moved, or others by the same name.

    Folders and lists are read only where one of them was changed since they were listed for the store. Memory: 64
    bytes a row.
    """
    sources = [Path(source) for source in store.sources]
    if not sources or store.manifest.part or store.manifest.kind != IMAGES or store.manifest.views is not None:
        return ""
    try:
        if any(map(is_url, store.manifest.sources)) or not _changed(store, sources):
            return ""
        together = [sources, *([source] for source in sources)] if len(sources) > 1 else [sources]
        return next(filter(None, (_unknown(store, each) for each in together)), "")
    except (OSError, MemauditError):  # gone, or no source of images: embeddings that were imported
        return ""


def _unknown(store: Store, sources: list[Path]) -> str:
    """Of sources that a store was made of together, or one after the other: then image_ids have no prefix."""
    known, new, first, seen = known_rows(store), 0, "", False
    for ref in iter_images(sources, contents=False):
        if known.row_of(ref) >= 0:
            seen = True
        else:
            new, first = new + 1, first or ref.image_id
    if not new or not seen:
        return ""
    what = f"{new:,} images that are not in the store, the first is {first[:80]!r}" if new > 1 else f"{first[:80]!r}"
    more = "" if new > 1 else ", which is not in the store"
    hold = "hold" if len(sources) > 1 else "holds"
    return f"{', '.join(map(str, sources))} {hold} by now {what}{more}: memaudit embed adds what is new"


def states_of(sources: Sequence[str | Path]) -> tuple[str, ...]:
    """Of each source what is another one once a folder in it, a pack of images or a list was changed; empty of what is
    not there, or at a URL. A folder changes with each name that comes or goes, not with what is written into a file.

    Taken before the sources are listed, it leaves nothing out that comes meanwhile. No clock is asked: a disk may
    have another.
    """
    return tuple(_state_of(Path(source)) if not is_url(str(source)) else "" for source in sources)


def _state_of(source: Path) -> str:
    seen = Tally()
    try:
        for path in _folders(source):
            seen.add(f"{path.relative_to(source)}\0{path.stat().st_mtime_ns}")
    except OSError:
        return ""
    return seen.listing.digest


def _changed(store: Store, sources: list[Path]) -> bool:
    """Whether that is so of a source since the store was made of it."""
    if store.manifest.states:
        return states_of(sources) != store.manifest.states
    made = (store.folder / MANIFEST).stat().st_mtime_ns  # of one of an earlier version
    return any(path.stat().st_mtime_ns > made for source in sources for path in _folders(source))


def _folders(source: Path) -> Iterator[Path]:
    """The source, the folders below it, and the tars and tables in them. Links to folders are followed, but for
    hidden ones, as they are where images are listed: each folder once, in order of the names. Memory: two numbers a
    folder."""
    yield source
    if source.is_dir():
        walked = set[tuple[int, int]]()
        for folder, names, files in os.walk(source, followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in walked:
                names.clear()
                continue
            walked.add((status.st_dev, status.st_ino))
            names[:] = sorted(name for name in names if not _is_hidden_link(Path(folder) / name, source))
            packs = (name for name in files if name.lower().endswith((".tar", *TABLES)))
            yield from (Path(folder) / name for name in (*names, *packs))


def _is_hidden_link(path: Path, source: Path) -> bool:
    """Whether it is a link that is hidden, or in a hidden folder: a cache may lie behind it."""
    return any(part.startswith(".") for part in path.relative_to(source).parts) and path.is_symlink()
