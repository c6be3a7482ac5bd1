"""Where things lie: stores by path or opened, and the folders of runs that were given none."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from memaudit.folders import TemporaryFolder

if TYPE_CHECKING:
    from memaudit.index import Searcher
    from memaudit.store import Store


@runtime_checkable
class HasFolder(Protocol):
    """What knows the folder that it was opened from: a store, an index, or what made one."""

    @property
    def folder(self) -> Path: ...


@runtime_checkable
class IsMadeOfSeveral(Protocol):
    """A store that was made of several, which are named where it is."""

    @property
    def made_of(self) -> Sequence[HasFolder]: ...


AnyStore = str | Path | HasFolder
"""A store: its folder, or what was opened or made there."""


Files = str | Path | Sequence[str | Path]
"""A file, or several."""


def files_of(given: Files) -> list[Path]:
    return [Path(given)] if isinstance(given, str | Path) else [Path(each) for each in given]


class Scratch:
    """A folder for its owner alone that is there as long as anybody holds this object."""

    def __init__(self) -> None:
        temporary = TemporaryFolder(None, "memaudit-")
        self.folder = temporary.path
        weakref.finalize(self, temporary.remove)


def folder_of(place: AnyStore) -> Path:
    return Path(place) if isinstance(place, str | Path) else place.folder


def store_at(place: AnyStore) -> Store:
    """The store, opened. Raises as Store.open."""
    from memaudit.store import Store

    return place if isinstance(place, Store) else Store.open(folder_of(place))


def searcher_at(place: AnyStore) -> Searcher:
    """An index, or exact search of a store, opened. Raises as open_searcher."""
    from memaudit.index import ExactSearch, Index, open_searcher

    if isinstance(place, IsMadeOfSeveral) and place.made_of:
        return ExactSearch(store_at(place))
    return place if isinstance(place, Index) else open_searcher(folder_of(place))


def searcher_of_set(place: AnyStore) -> Searcher:
    """The same, for what tells of a set. Raises InconclusiveError for a part of one alone."""
    from memaudit.store import require_whole_set

    searcher = searcher_at(place)
    require_whole_set(searcher.store)
    return searcher


def sources_of(given: str | Path | Sequence[str | Path]) -> list[str]:
    """One source, or several, as `iter_images` takes them."""
    return [str(given)] if isinstance(given, str | Path) else list(map(str, given))
