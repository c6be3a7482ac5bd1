"""Stores that tasks read where they lie: by their folder, and only in the state that the task is about."""

from __future__ import annotations

from memaudit.errors import InconclusiveError
from memaudit.store import Store


def told_of(store: Store) -> list[str]:
    """What a task is told of it."""
    return [str(store.folder.resolve()), store.digest]


def opened(told: list[str]) -> Store:
    """The store, for a worker. Raises InconclusiveError if it is another one by now."""
    folder, digest = told
    store = Store.open(folder)
    if store.digest != digest:
        raise InconclusiveError(f"store {folder} was changed since the run began: run again")
    return store
