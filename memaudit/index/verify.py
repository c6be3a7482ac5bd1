"""Whether an index is what its manifest says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from memaudit.errors import InconclusiveError, InputError, MissingDependencyError
from memaudit.files import NOT_BOUND
from memaudit.index.faiss_library import import_faiss, ivf_of, read
from memaudit.index.manifest import (
    MANIFEST,
    SCHEMA,
    open_store,
    paths_of,
    read_manifest,
    require_files,
    require_rows,
    strays,
)
from memaudit.store import Store
from memaudit.types import Int64


def verify_index(folder: str | Path) -> list[str]:
    """Re-compute the digests of an index and hold it against its store; one line for each fault.

    Checked: every byte of its files, that the store is the one that was indexed, made by the same encoder and with
    all its shards, and that every comparable row of it is in the index. Without FAISS the rows are not: one more line.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    faults = [f"{path.name} is not listed in {MANIFEST}" for path in strays(folder, manifest)]
    for check in (_files, _rows):
        try:
            faults += check(folder, manifest)
        except (InputError, InconclusiveError) as error:
            faults.append(str(error))
            break
        except MissingDependencyError as error:
            faults.append(f"the files are as {MANIFEST} says, but the rows were not held against the store: {error}")
    return faults


def index_unchecked(folder: str | Path) -> list[str]:
    """What has no digest of its own by which to tell whether it was changed."""
    bound = read_manifest(Path(folder))["schema"] == SCHEMA
    return [] if bound else [NOT_BOUND.format(Path(folder) / MANIFEST)]


def _files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    require_files(folder, manifest, all_bytes=True)
    return []


def _rows(folder: Path, manifest: dict[str, Any]) -> list[str]:
    store = open_store(folder, manifest)
    index = read(paths_of(folder, manifest), mapped=True)
    require_rows(folder, manifest, int(index.ntotal), store)
    return _ids(folder, index, store)


def _ids(folder: Path, index: Any, store: Store) -> list[str]:
    """It holds as many rows as the store has to compare: with each of these there, none is another, or there twice.
    Memory: a byte a row, and a list's ids."""
    there = np.zeros(len(store), bool)
    for ids in _rows_held(index):
        there[ids[(ids >= 0) & (ids < len(store))]] = True
    same = all(there[rows].all() for rows in store.iter_comparable_rows())
    return [] if same else [f"index {folder} holds other rows than its store: build it again"]


def _rows_held(index: Any) -> Iterator[Int64]:
    """The store rows in it, list by list where it has lists."""
    faiss = import_faiss()
    if isinstance(index, faiss.IndexIDMap):
        yield faiss.vector_to_array(index.id_map)
        return
    ivf = ivf_of(index)
    if ivf is None:  # of a kind that is never built here: nobody knows its rows
        return
    lists = ivf.invlists
    for number in range(lists.nlist):
        if size := lists.list_size(number):  # of none there is no address
            held = lists.get_ids(number)
            ids = np.array(faiss.rev_swig_ptr(held, size), np.int64)
            lists.release_ids(number, held)
            yield ids
