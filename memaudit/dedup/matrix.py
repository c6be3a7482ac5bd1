"""The embeddings to compare, in a scratch file."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from memaudit.errors import InconclusiveError, InputError
from memaudit.store import Store
from memaudit.types import Float32, Int64

BLOCK_ROWS = 8192


class Matrix:
    """The embeddings to compare, in a scratch file: rows can be gathered in any order, memory stays free.

    float32, because rescaling to unit length and rounding to float16 once more would move similarities by 1e-4.
    """

    def __init__(self, path: Path, store: Store, rows: Int64) -> None:
        """Copy the given store rows (sorted) to `path`. Position i of the matrix is rows[i] of the store."""
        self.rows = rows
        self.dim = store.encoder.dim
        _write(path, store, rows)
        # Read, not mapped: of a mapped file the system counts 2 MiB around every row as this process's memory.
        self._path, self._file = path, os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Int64 | slice) -> Float32:
        """The embeddings (n, dim) at the given positions. Raises InconclusiveError if they cannot be read."""
        if isinstance(positions, slice):
            low, high, _ = positions.indices(len(self))
            result = np.empty((max(0, high - low), self.dim), np.float32)
            for start in range(0, len(result), BLOCK_ROWS):
                self._read(result[start : start + BLOCK_ROWS], low + start)
            return result
        result = np.empty((len(positions), self.dim), np.float32)
        for row, position in zip(result, positions.tolist(), strict=True):
            self._read(row, position)
        return result

    def _read(self, target: Float32, position: int) -> None:
        if os.preadv(self._file, [target.data], 4 * self.dim * position) != target.nbytes:
            raise InconclusiveError(f"scratch file {self._path} was cut while it was read: run again")

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Yield the first position and the embeddings (n, dim) of each block, in order."""
        for low in range(0, len(self), BLOCK_ROWS):
            yield low, self.take(slice(low, low + BLOCK_ROWS))


def _write(path: Path, store: Store, rows: Int64) -> None:
    is_wanted = np.zeros(len(store), bool)
    is_wanted[rows] = True
    with path.open("wb") as file:
        _reserve(file.fileno(), path, 4 * len(rows) * store.encoder.dim)
        for block in store.blocks(BLOCK_ROWS):
            wanted = is_wanted[block.rows]
            file.write(np.ascontiguousarray(block.embeddings if wanted.all() else block.embeddings[wanted]).data)


def _reserve(descriptor: int, path: Path, size: int) -> None:
    """Take the disk space now: a run that cannot have it should not begin."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        raise InputError(f"no room for {size:,} bytes of scratch in {path.parent}: {error.strerror}") from None
