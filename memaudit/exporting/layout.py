"""Which images make a sample, and which samples go into which shard: from the store alone, before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.reconcile import KEY, text_key
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.exporting.choosing import DROP, KEEP, UNREADABLE, Fates
from memaudit.exporting.options import ALL, DROPPED, KEPT, MANIFEST, ExportOptions, Fold
from memaudit.images.reading import tar_place
from memaudit.images.remote import plain_name
from memaudit.images.tables import table_place
from memaudit.images.tar_members import Member
from memaudit.store import Store
from memaudit.types import Int64

WANTED = {KEPT: (KEEP,), DROPPED: (DROP,), ALL: (KEEP, DROP)}


class SampleCounts(NamedTuple):
    """Samples, or images: what came in is what is kept, dropped and unreadable; exported: as it was chosen."""

    all: int
    kept: int
    dropped: int
    unreadable: int
    exported: int

    @classmethod
    def of(cls, code: NDArray[np.uint8], exported: NDArray[np.bool_]) -> SampleCounts:
        kept, dropped, unreadable = (int((code == each).sum()) for each in (KEEP, DROP, UNREADABLE))
        return cls(len(code), kept, dropped, unreadable, int(exported.sum()))

    def as_dict(self) -> dict[str, int]:
        return {"in": self.all, **{name: count for name, count in self._asdict().items() if name != "all"}}


class Layout:
    """The samples of a store, and the shards that they make. Memory: about 100 bytes an image while it is made.

    mixed: samples of which one image is kept and another one is not; they are exported whole, as kept. tables: where
    the images are, if all of them are rows of tables.
    """

    def __init__(self, store: Store, fates: Fates, options: ExportOptions) -> None:
        places = _places(store)
        self.tables = places.tables
        self._first, self._of_row = _samples(places.keys)  # of each sample its first row; of each row its sample
        code = np.full(len(self._first), UNREADABLE, np.uint8)
        np.minimum.at(code, self._of_row, fates.code)
        worst = np.zeros(len(self._first), np.uint8)
        np.maximum.at(worst, self._of_row, fates.code)
        self._chosen = np.ones(len(code), bool)
        if fates.excluded is not None:
            named = self._of_row[fates.excluded]
            code[named] = worst[named] = np.maximum(code[named], DROP)
            self._chosen[named] = False
        self.mixed = int((code != worst).sum())
        self._code = code
        self._chosen &= np.isin(code, WANTED[options.which])
        if fates.group is not None:
            fold, hashes = Fold.of(options.fold), _fold_hashes(fates.group, self._of_row, len(code))
            self._chosen &= hashes % np.uint64(fold.folds) == fold.number - 1
        if not self._chosen.any():
            fold_said = f" in fold {options.fold}" if options.fold else ""
            of_others = ", or all that are must not be there" if fates.excluded is not None else ""
            raise EmptyInputError(
                f"there is nothing to export: no image of {store.folder} is {options.which}{fold_said}{of_others}"
            )
        size = int(self._chosen.sum()) if options.to == MANIFEST else options.shard_samples
        if size:
            self._shard, self.names = self._runs(size)
        else:
            self._shard, self.names = self._as_sources(places)
        self.samples = SampleCounts.of(code, self._chosen)
        self.images = SampleCounts.of(fates.code, self._chosen[self._of_row])
        order = np.lexsort((self._of_row, self._shard[self._of_row]))
        self._rows = order[self._chosen[self._of_row[order]]]
        self._starts = np.searchsorted(self._shard[self._of_row[self._rows]], np.arange(len(self.names) + 1))

    def _runs(self, size: int) -> tuple[Int64, Sequence[str]]:
        """So many chosen samples in each shard, and those passed over before the next one."""
        before: Int64 = np.cumsum(self._chosen) - self._chosen
        count = -(-int(self._chosen.sum()) // size)
        return np.minimum(before // size, count - 1), [f"shard-{number:06d}" for number in range(count)]

    def _as_sources(self, places: _Places) -> tuple[Int64, Sequence[str]]:
        """A shard for each archive or table."""
        if "" in places.packs:
            raise UsageError(
                "--shard-samples 0 makes a shard for each archive or table, and there are images in neither: say how "
                "many samples a shard is to hold"
            )
        _require_distinct(places.packs)
        return places.pack[self._first], list(places.packs.values())

    def counts(self) -> list[SampleCounts]:
        """Of samples, for each shard."""
        order = np.argsort(self._shard, kind="stable")
        starts = np.searchsorted(self._shard[order], np.arange(len(self.names) + 1))
        parts = [order[low:high] for low, high in pairwise(starts)]
        return [SampleCounts.of(self._code[part], self._chosen[part]) for part in parts]

    def rows_of(self, number: int) -> tuple[Int64, Int64]:
        """The rows of a shard's samples, and of each row the number of its sample."""
        rows = self._rows[self._starts[number] : self._starts[number + 1]]
        return rows, self._of_row[rows]


class _Places(NamedTuple):
    """Of each row the key of its sample and the number of the archive or table that it is in; packs: the names of these
    by where they are, "" where images are in none."""

    keys: NDArray[np.bytes_]
    pack: Int64
    packs: dict[str, str]
    tables: tuple[str, ...]


def _places(store: Store) -> _Places:
    keys, pack, packs = bytearray(), np.empty(len(store), np.int64), dict[str, str]()
    numbers: dict[str, int] = {}
    row = 0
    for columns in store.iter_columns():
        for image_id, uri in zip(columns.image_id, columns.uri, strict=True):
            location, name, key = _place(image_id, uri)
            keys += key
            if location not in numbers:
                numbers[location] = len(numbers)
                packs[location] = name
            pack[row] = numbers[location]
            row += 1
    are_tables = all(table_place(f"{location}#row=0") for location in packs)
    tables = tuple(packs) if are_tables else ()
    return _Places(np.frombuffer(keys, KEY), pack, packs, tables)


def _place(image_id: str, uri: str) -> tuple[str, str, bytes]:
    """Where the archive or table is, what it is called, and the key of the sample."""
    if (member := tar_place(uri)) is not None:
        inside = f"/{member.name}"
        name = image_id.removesuffix(inside) if image_id.endswith(inside) else plain_name(member.archive)
        name = name.removesuffix(".tar")
        key = Member(member.name, 0, 0).key if member.size >= 0 else image_id
        return member.archive, name, text_key(f"{member.archive}\0{key}")
    row = table_place(uri)
    location = row.location if row else ""
    return location, plain_name(location).rpartition(".")[0] if row else "", text_key(f"\0{image_id}")


def _require_distinct(packs: dict[str, str]) -> None:
    """Raise InputError where two archives have one name: a shard of the one would replace that of the other."""
    seen: dict[str, str] = {}
    for location, name in packs.items():
        if seen.setdefault(name, location) != location:
            raise InputError(f"{seen[name]} and {location} are both called {name!r}: give one another name, and embed")


def _fold_hashes(group: NDArray[np.uint64], of_row: Int64, samples: int) -> NDArray[np.uint64]:
    """Of each sample the hash that makes its fold, (samples,): the least one of its groups, and of all samples that
    share a group with it, or with one that does: else two samples of several images could have one image in two folds.

    group: of each row; of_row: its sample.
    """
    most = np.iinfo(np.uint64).max
    least = np.full(samples, most, np.uint64)
    np.minimum.at(least, of_row, group)
    if samples == len(group):  # of one image each: its group is all that it shares
        return least
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups, number = np.unique(group, return_inverse=True)
    size = samples + len(groups)
    graph = coo_array((np.ones(len(group), bool), (of_row, samples + number.reshape(-1))), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    of_label = np.full(count, most, np.uint64)
    np.minimum.at(of_label, labels[:samples], least)
    return np.asarray(of_label[labels[:samples]], np.uint64)


def _samples(keys: NDArray[np.bytes_]) -> tuple[Int64, Int64]:
    """The first row of each sample, in rising order, and of each row the number of its sample."""
    _, first, of_row = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.asarray(first[order], np.int64), rank[of_row.reshape(-1)]
