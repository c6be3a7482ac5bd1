"""Which images a filter had before it, and which of them it left."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.prompts import GroupSizes
from memaudit.embedding.reconcile import KEY, text_key
from memaudit.errors import EmptyInputError, InputError
from memaudit.files import reason_of, text_lines
from memaudit.store import Store
from memaudit.types import Coverage, Int64, Status

_BATCH = 65_536


class Names:
    """image_ids of a list, each once, as sorted digests. Memory: 16 bytes each, and twice as much while it is read."""

    def __init__(self, names: Iterable[str], source: str) -> None:
        self.source = source
        keys = bytearray()
        for name in names:
            keys += text_key(name)
        self._keys = np.unique(np.frombuffer(bytes(keys), KEY))
        self._met = np.zeros(len(self._keys), bool)

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, image_ids: Iterable[str]) -> NDArray[np.bool_]:
        """Whether each is in the list, (n,); which of the list were met is remembered."""
        wanted = np.array([text_key(name) for name in image_ids], KEY)
        if not len(self._keys):
            return np.zeros(len(wanted), bool)
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found = np.asarray(self._keys[place] == wanted)
        self._met[place[found]] = True
        return found

    def require_met(self, where: str) -> None:
        """Raise InputError if some of the list were never asked for."""
        if not self._met.all():
            raise InputError(
                f"{self.source} names {len(self) - int(self._met.sum()):,} image_ids that {where} does not have, of "
                f"{len(self):,}: give the list that belongs to it"
            )


class Selection(NamedTuple):
    """The images with an embedding that a filter had before it, by their place in the store, (n,), sorted; kept (n,):
    those that it left; family (n,): a label, of linked duplicates one. others: rows of what it left without an
    embedding: blank or unreadable. coverage: of the images asked for, those that could be read."""

    rows: Int64
    kept: NDArray[np.bool_]
    family: Int64
    others: Int64
    coverage: Coverage


def read_names(path: Path) -> Names:
    """A list as `memaudit dedup` writes it: an image_id a line. Raises InputError."""
    try:
        return Names((line.rstrip("\r\n") for line in text_lines(path) if line.strip()), str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text in UTF-8: expected an image_id a line") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None


def select(store: Store, kept: Names, of: Names | None = None, groups: Path | None = None) -> Selection:
    """Find the images in the store. of: those that the filter had before it; None: all. groups: groups.parquet of a
    dedup run, of which each is a family.

    Raises InputError for names that the store does not have, or that the filter did not have before it;
    EmptyInputError where the filter left nothing.
    """
    taken, left, others = array("q"), array("b"), array("q")
    start = asked = readable = 0
    for columns in store.iter_columns():
        is_left = kept.has(columns.image_id)
        is_in = np.ones(len(is_left), bool) if of is None else of.has(columns.image_id)
        if (is_left & ~is_in).any():
            name = columns.image_id[int(np.argmax(is_left & ~is_in))]
            raise InputError(f"{kept.source} keeps {name!r}, which {of.source if of else ''} does not have")
        is_read = columns.status != Status.UNREADABLE
        comparable = np.asarray(columns.status == Status.OK)
        asked, readable = asked + int(is_in.sum()), readable + int((is_in & is_read).sum())
        taken.extend((np.flatnonzero(is_in & comparable) + start).tolist())
        left.extend(is_left[is_in & comparable].tolist())
        others.extend((np.flatnonzero(is_left & ~comparable) + start).tolist())
        start += len(is_left)
    for names in (kept, *([of] if of else [])):
        names.require_met(f"store {store.folder}")
    rows, is_kept = np.array(taken, np.int64), np.array(left, bool)
    if not is_kept.any():
        raise EmptyInputError(f"of the images of {kept.source} none has an embedding: nothing is left to be weighted")
    families = _families(store, rows, groups)
    return Selection(rows, is_kept, families, np.array(others, np.int64), Coverage(readable, asked))


def in_batches(store: Store, rows: Int64) -> Iterator[tuple[slice, NDArray[np.object_]]]:
    """image_ids of these rows, a batch at a time."""
    for low in range(0, len(rows), _BATCH):
        part = slice(low, min(low + _BATCH, len(rows)))
        yield part, store.columns(rows[part]).image_id


def _families(store: Store, rows: Int64, groups: Path | None) -> Int64:
    """Each image is one, but for those of a group."""
    label = np.arange(len(rows))
    if groups is None:
        return label
    group = GroupSizes.read(groups).rows(store)[rows]
    label = np.where(group >= 0, len(rows) + group, label)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)
