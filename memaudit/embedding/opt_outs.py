"""Opt-outs of a store's images, as they were noted when it was made: counted, and whom they concern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError
from memaudit.images.opt_outs import C2PA, COLUMNS, FOUND, opt_outs_in
from memaudit.store import Columns, Store

_WHERE = {"file": "metadata of files", "columns": "columns of the sources", C2PA: "manifests of C2PA"}


class _Unread(NamedTuple):
    what: str
    advice: str


_UNREAD = {
    C2PA: _Unread("a manifest of C2PA that was not read", "pip install '.[c2pa]'"),
    COLUMNS: _Unread("columns, or JSON beside them, too long to be read", "shorten these"),
}
_NOT_READ = "reservations of rights (opt-outs) were not looked for when this store was made"


class OptOutCounts(NamedTuple):
    """read: where they were looked for, () for nowhere. images: that have one; by_kind: of these; unread: images of
    which something that is there was not read, by what."""

    read: tuple[str, ...]
    images: int
    by_kind: dict[str, int]
    unread: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        if not self.read:
            return {"read": "not read"}
        return {"read": list(self.read), "images": self.images, "by kind": self.by_kind, "not read": self.unread}

    @property
    def sentence(self) -> str:
        if not self.read:
            return f"{_NOT_READ}."
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in self.by_kind.items())
        found = f"{self.images:,} images reserve rights{f' ({kinds})' if kinds else ''}"
        where = ", ".join(_WHERE.get(each, each) for each in self.read)
        return " ".join((f"{found}. Looked at were {where}.", *self.warnings))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What nobody may take for no opt-out."""
        return tuple(
            f"{count:,} images have {_UNREAD[kind].what}, which is not to say that they have no opt-out: "
            f"{_UNREAD[kind].advice}, and embed anew."
            for kind, count in self.unread.items()
            if kind in _UNREAD
        )


def opt_out_counts(store: Store) -> OptOutCounts:
    """Memory: a block."""
    images, kinds, unread = 0, Counter[str](), Counter[str]()
    for columns in store.iter_columns():
        for metadata in _noted(columns):
            noted = opt_outs_in(metadata)
            images += bool(noted.found)
            kinds.update(noted.found)
            unread.update(noted.unread)
    return OptOutCounts(store.manifest.opt_outs, images, dict(kinds.most_common()), dict(unread))


def _noted(columns: Columns) -> Iterator[str]:
    return (metadata for metadata in columns.metadata if FOUND in metadata)


def opted_out(store: Store) -> NDArray[np.bool_]:
    """Of each row whether it reserves rights, or may, because something that is there was not read, (rows,). Raises
    InconclusiveError for a store that was made without looking."""
    if not store.manifest.opt_outs:
        raise InconclusiveError(f"store {store.folder}: {_NOT_READ}; embed its sources anew, into another --out")
    result, start = np.zeros(len(store), bool), 0
    for columns in store.iter_columns():
        for row, metadata in enumerate(columns.metadata, start):
            if FOUND in metadata:  # which the other key begins with too
                noted = opt_outs_in(metadata)
                result[row] = bool(noted.found or noted.unread)
        start += len(columns.metadata)
    return result
