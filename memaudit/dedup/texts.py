"""Captions and metadata of a store in a scratch file, from which those of a few rows are read."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np

from memaudit.dedup.skew_values import absent
from memaudit.errors import InconclusiveError
from memaudit.folders import nameless_file
from memaudit.store import Columns, Store
from memaudit.types import Int64

_NAMES = ("caption", "metadata")


class Texts:
    """Of each row the caption and the metadata, one after the other. The store would be read by chunks, whole, for rows
    in any order. Memory: 16 bytes a row."""

    def __init__(self, store: Store, scratch: Path | None) -> None:
        self._file = nameless_file(scratch)
        weakref.finalize(self, self._file.close)
        lengths = [np.zeros((0, len(_NAMES)), np.int32)]
        for part in store.iter_columns(only=_NAMES):
            found = [[text.encode() for text in column.tolist()] for column in (part.caption, part.metadata)]
            self._file.write(b"".join(text for row in zip(*found, strict=True) for text in row))
            lengths.append(np.array([[len(text) for text in column] for column in found], np.int32).T)
        self._file.flush()
        self._lengths = np.concatenate(lengths)
        self._ends = np.cumsum(self._lengths.sum(axis=1, dtype=np.int64))
        captions, metadata = (bool(length) for length in self._lengths.max(axis=0, initial=0))
        self.absent = absent(captions=captions, metadata=metadata)

    def at(self, columns: Columns, rows: Int64) -> Columns:
        """Of these rows, in the order given, the columns that `columns` holds of all, captions and metadata."""
        lengths = self._lengths[rows]
        sizes = lengths.sum(axis=1, dtype=np.int64)
        starts = self._ends[rows] - sizes
        caption, metadata = np.full(len(rows), "", object), np.full(len(rows), "", object)
        some = np.argsort(starts)
        some = some[sizes[some] > 0]
        for place, start, size, first in zip(some.tolist(), starts[some], sizes[some], lengths[some, 0], strict=True):
            data = os.pread(self._file.fileno(), size, start)
            if len(data) != size:
                raise InconclusiveError("the scratch file was cut while it was read: run again")
            caption[place], metadata[place] = data[:first].decode(), data[first:].decode()
        found = (column[rows] if len(column) else column for column in columns)
        return Columns._make(found)._replace(caption=caption, metadata=metadata)
