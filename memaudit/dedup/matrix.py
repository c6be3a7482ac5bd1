"""The embeddings to compare, in a scratch file."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of, whole_file
from memaudit.folders import nameless_file
from memaudit.store import Store, unit_rows
from memaudit.store.rows import naming, row_lengths
from memaudit.types import Float32, Int64

BLOCK_ROWS = 8192
_BYTES = 2  # of a number
_COPIED = 2**22  # bytes at once


class Matrix:
    """The embeddings to compare, in a scratch file: rows can be gathered in any order, memory stays free.

    They lie there as they are stored, and are brought to unit length when they are read. Memory: 4 bytes a row.
    """

    def __init__(self, folder: Path | None, store: Store, rows: Int64) -> None:
        """Copy the given store rows (sorted) to a file in `folder` (None: the system's for temporary ones) that has no
        name: whatever becomes of this process, nothing of it stays. Position i of the matrix is rows[i] of the store.
        """
        self.rows = rows
        self.dim = store.encoder.dim
        self.digest = digest_of([store.digest, hashlib.sha256(rows.tobytes()).hexdigest()])
        # Read, not mapped: of a mapped file the system counts 2 MiB around every row as this process's memory.
        self._file = nameless_file(folder)
        weakref.finalize(self, self._file.close)
        _reserve(self._file.fileno(), _BYTES * len(rows) * self.dim, folder)
        self._lengths = _write(self._file, store, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, rows: Int64) -> bool:
        """Whether these rows of the store are all in it."""
        place = np.minimum(np.searchsorted(self.rows, rows), len(self) - 1)
        return bool((self.rows[place] == rows).all())

    def take(self, positions: Int64 | slice) -> Float32:
        """The embeddings (n, dim) at the given positions. Raises InconclusiveError if they cannot be read."""
        if isinstance(positions, slice):
            low, high, _ = positions.indices(len(self))
            stored = np.empty((max(0, high - low), self.dim), np.float16)
            for start in range(0, len(stored), BLOCK_ROWS):
                self._read(stored[start : start + BLOCK_ROWS], low + start)
        else:
            stored = np.empty((len(positions), self.dim), np.float16)
            for row, position in zip(stored, positions.tolist(), strict=True):
                self._read(row, position)
        return unit_rows(stored, self._lengths[positions])

    def _read(self, target: NDArray[np.float16], position: int) -> None:
        if os.preadv(self._file.fileno(), [target.data], _BYTES * self.dim * position) != target.nbytes:
            raise InconclusiveError("the scratch file was cut while it was read: run again")

    def keep(self, folder: Path) -> Path:
        """A file of the same embeddings for other processes, named by what it holds: written unless it is there."""
        path = folder / f"embeddings-{self.digest[:24]}.f16"
        if not path.is_file():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with whole_file(path) as file:
                self._file.seek(0)
                shutil.copyfileobj(self._file, file, _COPIED)
        return path


class KeptMatrix:
    """A file of `Matrix.keep`, read by position."""

    def __init__(self, path: Path, dim: int) -> None:
        self.dim = dim
        self._stored = np.memmap(path, np.float16, "r").reshape(-1, dim)

    def __len__(self) -> int:
        return len(self._stored)

    def take(self, positions: Int64 | slice) -> Float32:
        return unit_rows(self._stored[positions])


def _write(file: IO[bytes], store: Store, rows: Int64) -> Float32:
    """Write the rows, and return their lengths. While a block is written, the next one is read."""
    is_wanted = np.zeros(len(store), bool)
    is_wanted[rows] = True
    lengths = [np.empty(0, np.float32)]
    with ThreadPoolExecutor(1) as writer:
        written: Future[int] | None = None
        for block in store.stored_blocks(BLOCK_ROWS):
            wanted = is_wanted[block.rows]
            stored = np.ascontiguousarray(block.embeddings if wanted.all() else block.embeddings[wanted])
            with naming(store.folder):
                lengths.append(row_lengths(stored))
            if written is not None:
                written.result()
            written = writer.submit(file.write, stored.data)
        if written is not None:
            written.result()
    file.flush()
    return np.concatenate(lengths)


def _reserve(descriptor: int, size: int, folder: Path | None) -> None:
    """Take the disk space now: a run that cannot have it should not begin."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        place = folder or tempfile.gettempdir()
        raise InputError(f"no room for {size:,} bytes of scratch in {place}: {error.strerror}") from None
