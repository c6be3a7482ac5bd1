"""What a list of what must not be there does not reach: names that the store has not, and copies of what it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.reconcile import text_key
from memaudit.exporting.choosing import Fates, Tally, decided, read_list, unknown_names
from memaudit.exporting.layout import WANTED
from memaudit.store import Store


def not_reached(
    store: Store, path: Path, fates: Fates, named: NDArray[np.bool_], which: str, decisions: Path | None
) -> tuple[str, ...]:
    """What there is to say of a list at `path` that names these rows; nothing where it reaches all."""
    copies = copies_left(store, fates, named, which, decisions)
    unknown = unknown_names(store, path) if len(read_list(path)) != named.sum() else Tally()
    said = {
        f"copies of what --drop names are left in: {copies.number:,}, such as {copies.first!r}: the same file, or of "
        "one group by the dedup run; name them too where no copy may stay": copies,
        f"names of --drop that the store has not: {unknown.number:,}, such as {unknown.first!r}: nothing was left out "
        "for them": unknown,
    }
    return tuple(line for line, tally in said.items() if tally.number)


def copies_left(store: Store, fates: Fates, named: NDArray[np.bool_], which: str, decisions: Path | None) -> Tally:
    """Images that are exported although they are copies of named ones, (rows,): the same file, or of the same group by
    the decisions of a dedup run. fates: what becomes of each image, the named ones being excluded. Memory: 90 bytes a
    named image."""
    excluded = named if fates.excluded is None else fates.excluded
    exported = np.isin(fates.code, WANTED[which]) & ~excluded
    files = {text_key(sha256) for _, sha256, is_named in _rows(store, named) if is_named and sha256}
    group = _kept_for(store, named, decisions)
    found = Tally()
    for (image_id, sha256, is_exported), witness in zip(
        _rows(store, exported), _witnesses(store, decisions), strict=True
    ):
        if is_exported and (text_key(sha256) in files or text_key(witness or image_id) in group):
            found = Tally(found.number + 1, found.first or image_id)
    return found


def _kept_for(store: Store, named: NDArray[np.bool_], decisions: Path | None) -> set[bytes]:
    """The image that is kept for each named one, or is it itself: one for each group."""
    pairs = zip(_rows(store, named), _witnesses(store, decisions), strict=True)
    return {text_key(witness or image_id) for (image_id, _, is_named), witness in pairs if is_named}


def _rows(store: Store, flags: NDArray[np.bool_]) -> Iterator[tuple[str, str, bool]]:
    """image_id, sha256 and flag of each row."""
    row = 0
    for columns in store.iter_columns():
        end = row + len(columns.image_id)
        yield from zip(columns.image_id, columns.sha256, flags[row:end].tolist(), strict=True)
        row = end


def _witnesses(store: Store, decisions: Path | None) -> Iterator[str | None]:
    """Of each row the image that stays for it; none without a dedup run."""
    if decisions is None:
        return iter([None] * len(store))
    return (witness for _, _, witness in decided(decisions))
