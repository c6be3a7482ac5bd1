"""Adding rows to a trained index, block by block from the store, and writing it, in parts if need be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memaudit.errors import InconclusiveError, UsageError
from memaudit.files import appearing_whole
from memaudit.index.faiss_library import gpus, import_faiss, read, reason_of, write
from memaudit.index.manifest import next_number
from memaudit.index.recall import without
from memaudit.store import BLOCK_ROWS, Store, unit_rows
from memaudit.types import Float32, Int64, Progress, silent


class Adder:
    """A trained index that takes rows. part_rows: how many are held in memory before they are written as a part of
    the index, which is then searched where it lies (0: all are held).

    Where there are GPUs the nearest lists are found there; codes are made and kept on this side.
    """

    def __init__(self, index: Any, folder: Path, part_rows: int = 0, earlier: tuple[Path, ...] = ()) -> None:
        self.paths = list(earlier)
        self._index = index
        self._folder = folder
        self._part_rows = part_rows
        self._coarse = _coarse_on_gpus(index)

    def add(
        self,
        store: Store,
        *,
        but: Int64 | None = None,
        first_shard: int = 0,
        progress: Progress = silent,
    ) -> None:
        """Add the store's comparable rows from a shard on, all `but` some. Memory: a block, beside the index."""
        for rows, stored in without(store, np.empty(0, np.int64) if but is None else but, first_shard):
            self._take(unit_rows(stored), rows)
            if self._part_rows and self._index.ntotal >= self._part_rows:
                self._put_aside()
            progress("indexing", int(rows[-1]) + 1, len(store))

    def add_rows(self, store: Store, rows: Int64) -> None:
        """Add some rows of the store."""
        for low in range(0, len(rows), BLOCK_ROWS):
            part = rows[low : low + BLOCK_ROWS]
            self._take(store.embeddings(part), part)

    def searchable(self) -> Any:
        """The index as it stands."""
        if not self._part_rows:
            return self._index
        self._put_aside()
        return read(self.paths, mapped=True)

    @property
    def in_parts(self) -> bool:
        """Whether rows are written as further files, which are searched where they lie."""
        return bool(self._part_rows)

    def finish(self, rows: int) -> list[Path]:
        """Write what is not yet written; return the index's files. They count once a manifest lists them.

        Raises InconclusiveError unless they hold so many rows: a row that an index lacks is never found.
        """
        self._put_aside()
        if (held := int(self.searchable().ntotal)) != rows:
            raise InconclusiveError(
                f"the index in {self._folder} would hold {held:,} of {rows:,} rows: not saved; build it again"
            )
        return self.paths

    def _put_aside(self) -> None:
        if not self._index.ntotal and self.paths:
            return
        path = self._folder / f"vectors-{next_number(self._folder):05d}.faiss"
        with appearing_whole(path) as temporary:
            write(self._index, temporary)
        self.paths.append(path)
        if self._part_rows:
            self._index.reset()

    def _take(self, vectors: Float32, rows: Int64) -> None:
        lists = self._lists_of(vectors)
        if lists is None:
            try:
                self._index.add_with_ids(vectors, rows)
            except RuntimeError as error:
                raise UsageError(
                    f"FAISS cannot fill this index ({reason_of(error)}): choose another --recipe, such as flat or ivf"
                ) from None
            return
        _add_to_lists(self._index, vectors, rows, lists)

    def _lists_of(self, vectors: Float32) -> Int64 | None:
        """The list of each vector, found on the GPUs; None where the index itself finds it."""
        if self._coarse is None:
            return None
        try:
            return np.asarray(self._coarse.search(vectors, 1)[1][:, 0], dtype=np.int64)
        except RuntimeError:  # full: from here on the CPU does it
            self._coarse = None
            return None


def _coarse_on_gpus(index: Any) -> Any:
    """The centroids of an index's lists, on every GPU; None where a graph over them is fast enough."""
    faiss = import_faiss()
    ivf = faiss.downcast_index(index)
    if not gpus() or not isinstance(ivf, faiss.IndexIVF):
        return None
    quantizer = faiss.downcast_index(ivf.quantizer)
    if not isinstance(quantizer, faiss.IndexFlat):
        return None
    try:
        return faiss.index_cpu_to_all_gpus(quantizer)
    except RuntimeError:  # no room there
        return None


def _add_to_lists(index: Any, vectors: Float32, rows: Int64, lists: Int64) -> None:
    """Add rows whose lists are known."""
    faiss = import_faiss()
    columns = [np.ascontiguousarray(vectors, np.float32)] + [np.ascontiguousarray(c, np.int64) for c in (rows, lists)]
    faiss.downcast_index(index).add_core(len(rows), *map(faiss.swig_ptr, columns))
