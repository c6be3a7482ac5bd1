"""A store, or several as one: joined beside a run, or for as long as somebody asks them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path

from memaudit.api.places import AnyStore, Scratch, folder_of, searcher_of_set, store_at
from memaudit.embedding.windows import DETAILS, TILES
from memaudit.errors import UsageError
from memaudit.index import MANIFEST as INDEX
from memaudit.index import ExactSearch, Searcher
from memaudit.matching.kept import FOLDER, not_used
from memaudit.store import Store, merge, merge_by_links

Stores = AnyStore | Sequence[AnyStore]
"""A store, or several that are searched as one."""


def listed(given: Stores) -> list[AnyStore]:
    """Each of them. Raises UsageError for none."""
    found = [given] if isinstance(given, str | Path) or not isinstance(given, Sequence) else list(given)
    if not found:
        raise UsageError("no store was named: expected at least one")
    return found


def as_one(given: Stores, out: str | Path | None) -> AnyStore:
    """A store as it is, or an index; of several stores the one that they make together, which is OUT-store beside the
    run at `out` and stays.

    Raises UsageError for several without an `out`, and as `merge`.
    """
    stores = listed(given)
    if len(stores) == 1:
        return stores[0]
    if out is None:
        raise UsageError("several stores become one beside the run: name the folder of it (out)")
    whole = Path(out).resolve()
    opened = _opened(stores)
    return _made_of(merge(opened, whole.with_name(f"{whole.name}-store")), opened)


def searcher_of(given: Stores) -> Searcher:
    """A searcher of a store or an index, or of several stores as one: then of names for their shards in a temporary
    folder, which goes with it. Raises as `merge`, and InconclusiveError for a part of a set alone."""
    stores = listed(given)
    if len(stores) == 1:
        return searcher_of_set(stores[0])
    opened, scratch = _opened(stores), Scratch()
    store = _made_of(merge_by_links(opened, scratch.folder / "stores"), opened)
    store.links_to = store.made_of
    weakref.finalize(store, lambda _: None, scratch)  # which is there as long as this store
    return ExactSearch(store)


def not_taken_over(parts: Sequence[Store]) -> list[str]:
    """Folders of windows and of kept features beside the parts of a store: they are not searched."""
    beside = (part.folder / name for part in parts for name in (TILES, DETAILS, FOLDER))
    return [f"not taken over: {folder}" for folder in beside if folder.is_dir()]


def without(store: Store) -> list[str]:
    """What lies beside a store, or the stores that it is made of, and is not used, a sentence for each."""
    unused = not_used(store)
    return [*not_taken_over(store.made_of), *([str(unused)] if unused else [])]


def _opened(given: Sequence[AnyStore]) -> list[Store]:
    for each in given:
        if (folder_of(each) / INDEX).is_file():
            raise UsageError(
                f"{folder_of(each)} is an index, and of one store: index several with memaudit index A B --out INDEX"
            )
    return [store_at(each) for each in given]


def _made_of(store: Store, parts: Sequence[Store]) -> Store:
    store.made_of = tuple(parts)
    return store
