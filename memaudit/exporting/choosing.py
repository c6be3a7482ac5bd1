"""What becomes of each image: by a dedup run, by a list of image_ids, or because it can be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.dedup.results import Reason
from memaudit.embedding.opt_outs import opted_out
from memaudit.embedding.reconcile import text_key
from memaudit.errors import InconclusiveError, InputError
from memaudit.exporting.membership import Membership
from memaudit.files import reason_of, text_lines
from memaudit.store import Store
from memaudit.types import Status

KEEP, DROP, UNREADABLE = 0, 1, 2  # the lowest one of its images is a sample's
_CODES = {"keep": KEEP, "drop": DROP, "unreadable": UNREADABLE}
_COLUMNS = ("image_id", "decision", "witness_id", "reason")


class Tally(NamedTuple):
    """How many, and the first of them."""

    number: int = 0
    first: str = ""


class Fates(NamedTuple):
    """What becomes of each row of a store, (rows,) of KEEP, DROP and UNREADABLE; and, where folds are asked for, the
    hash of the image that its group keeps. excluded (rows,): those that must not be there: no sample that has one is
    kept, or exported as something else. Memory: 10 bytes a row."""

    code: NDArray[np.uint8]
    group: NDArray[np.uint64] | None = None
    excluded: NDArray[np.bool_] | None = None

    def without(self, store: Store, dropped: Membership) -> Fates:
        """The same, and what `dropped` names is dropped, whoever keeps it. It may name images of other stores, but
        not those alone: InputError."""
        named = np.concatenate([dropped.mask(part.image_id, unknown="drop") for part in store.iter_columns()])
        if len(dropped) and not named.any():
            raise InputError(
                f"the list of --drop names {len(dropped):,} images, of which store {store.folder} has none: a list of "
                "another set? without --drop they are not looked for"
            )
        code = np.where(named & (self.code == KEEP), np.uint8(DROP), self.code)
        return self._replace(code=code, excluded=named)


def by_dedup(store: Store, decisions: Path, *, groups: bool) -> Fates:
    """By the decisions.parquet of a run on this store; groups: for folds. Raises InconclusiveError for one of other
    images, InputError for what is no such table."""
    codes, hashes = np.empty(len(store), np.uint8), np.zeros(len(store) if groups else 0, np.uint64)
    ids = (image_id for columns in store.iter_columns() for image_id in columns.image_id)
    row = -1
    for row, (image_id, decision, witness) in enumerate(decided(decisions)):
        if row >= len(store) or next(ids) != image_id:
            raise InconclusiveError(f"{decisions} is about other images than store {store.folder}: run dedup again")
        codes[row] = _CODES[decision]
        if groups:
            hashes[row] = group_hash(witness or image_id)
    if row + 1 != len(store):
        raise InconclusiveError(f"{decisions} is about {row + 1:,} of the {len(store):,} images of {store.folder}")
    return Fates(codes, hashes if groups else None)


def decided(path: Path) -> Iterator[tuple[str, str, str | None]]:
    """image_id, decision and witness, where that is an image of the same set: an image of another one may be called as
    any of this one is."""
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=list(_COLUMNS)):
            columns = [batch[name].to_pylist() for name in _COLUMNS]
            for image_id, decision, witness, reason in zip(*columns, strict=True):
                if decision not in _CODES:
                    raise ValueError(f"a decision {str(decision)[:40]!r}")
                yield image_id, decision, None if reason == Reason.ELSEWHERE else witness
    except KeyError:
        raise InputError(f"{path} has not the columns of a dedup run: {', '.join(_COLUMNS)}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def without_opt_outs(store: Store, fates: Fates, decisions: Path | None) -> tuple[Fates, int]:
    """With images that reserve rights as dropped, and how many kept ones that are. An opt-out holds for its group: the
    image that was kept for one with an opt-out, by the decisions of a dedup run, goes as well, for copies lose their
    metadata. Raises InconclusiveError for a store whose opt-outs were not looked for."""
    opted = opted_out(store)
    if decisions is not None:
        rows = zip(opted.tolist(), decided(decisions), strict=True)
        witnesses = {text_key(witness) for is_opted, (_, _, witness) in rows if is_opted and witness}
        ids = (image_id for columns in store.iter_columns() for image_id in columns.image_id)
        opted |= np.fromiter((text_key(image_id) in witnesses for image_id in ids), bool, len(store))
    removed = opted & (fates.code == KEEP)
    excluded = opted if fates.excluded is None else opted | fates.excluded
    code = np.where(removed, np.uint8(DROP), fates.code)
    return fates._replace(code=code, excluded=excluded), int(removed.sum())


def group_hash(kept: str) -> int:
    """Of the image that a group keeps: modulo their number it is the group's fold, whatever else there is."""
    return int.from_bytes(hashlib.sha256(kept.encode()).digest()[:8], "big")


def by_list(store: Store, path: Path | None, *, groups: bool) -> Fates:
    """Those of a list, None: all; what cannot be read is neither. groups: for folds, each image by itself. Raises
    InputError if it names an image that the store has not: it would be missing without a word."""
    keep = None if path is None else read_list(path)
    codes, hashes = np.empty(len(store), np.uint8), np.zeros(len(store) if groups else 0, np.uint64)
    row, listed = 0, 0
    for columns in store.iter_columns():
        part = slice(row, row + len(columns.image_id))
        named = np.ones(len(columns.image_id), bool) if keep is None else keep.mask(columns.image_id, unknown="drop")
        codes[part] = np.where(named, KEEP, DROP)
        codes[part][columns.status == Status.UNREADABLE] = UNREADABLE
        if groups:
            hashes[part] = [group_hash(name) for name in columns.image_id]
        row, listed = part.stop, listed + int(named.sum())
    if path is not None and keep is not None and listed != len(keep):
        unknown = unknown_names(store, path)
        raise InputError(
            f"the list {path} names {len(keep):,} images, of which store {store.folder} has {listed:,}, and not "
            f"{unknown.first!r}: a list of another set?"
        )
    return Fates(codes, hashes if groups else None)


def _ids(store: Store) -> Iterator[str]:
    return (image_id for columns in store.iter_columns() for image_id in columns.image_id)


def unknown_names(store: Store, path: Path) -> Tally:
    """Lines of a list that name no image of the store. Memory: 17 bytes an image of the store, 34 of a tar."""
    known = Membership.of((image_id, True) for image_id in _ids(store))
    found = Tally()
    for line in lines_of(path):
        if not known.mask([line], unknown="drop")[0]:
            found = Tally(found.number + 1, found.first or line)
    return found


def read_list(path: Path) -> Membership:
    """A file of image_ids, one a line, such as keep.txt. Raises InputError. Memory: 16 bytes an image."""
    return Membership.of((line, True) for line in lines_of(path))


def lines_of(path: Path) -> Iterator[str]:
    """Its image_ids, as they come. Raises InputError."""
    try:
        lines = (line.rstrip("\r\n") for line in text_lines(path, newline="\n"))
        yield from (_plain(path, line) for line in lines if line)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {path} cannot be read: {reason_of(error)}") from None


def _plain(path: Path, line: str) -> str:
    if "\0" in line:
        raise InputError(f"list {path} has a NUL in it, which no image_id has: it is damaged; restore it")
    return line
