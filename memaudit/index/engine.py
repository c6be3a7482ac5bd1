"""Where candidates come from: a FAISS index on the CPU, and a copy of it on GPUs where many queries come at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from memaudit.index.faiss_library import bytes_on_card, gpus, import_faiss, inner_of, set_parameter
from memaudit.similarity.card import SHARE, free_bytes
from memaudit.types import Float32, Int64

GPU_CANDIDATES = 2048  # FAISS's limit of k, and of nprobe, on a GPU
WORTH_GPU = 64  # queries at once: for fewer, the copy costs more than it saves
GPU_ROUNDING = 4e-3  # float16 vectors and products: scores of unit vectors err by less
CPU_ROUNDING = 2e-5


class Engine:
    """An index that is searched; `value` is that of its search parameter. copies: whether many queries may be answered
    by a copy of it on GPUs; not while it is tuned and measured, so that what is stated is true of what is saved."""

    def __init__(self, index: Any, parameter: str, value: int, *, copies: bool = True) -> None:
        self.index = index
        self.parameter = parameter
        self.value = value
        self._copy: Any = None
        self._tried = not copies
        set_parameter(index, parameter, value)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def tune(self, value: int) -> None:
        """Search with another nprobe or efSearch from here on."""
        self.value = value
        set_parameter(self.index, self.parameter, value)
        if self._copy is not None:  # it has the parameter of before
            self._copy, self._tried = None, False

    @property
    def rounding(self) -> float:
        """How far scores that order the candidates of an exact index can be off."""
        return CPU_ROUNDING if self._copy is None else GPU_ROUNDING

    def search(self, queries: Float32, count: int) -> Int64:
        """The store rows of at most `count` candidates for each query (q, count) int64, -1 where there are fewer.

        More candidates than a GPU gives, or has room for, come from the CPU's index.
        """
        if self._on_gpu(len(queries), count):
            try:
                _, places = self._copy.search(queries, count)
                return self._rows_at(places)
            except RuntimeError:  # full; whatever else it is, the CPU's index says it again
                self._copy = None
        _, rows = self.index.search(queries, count)
        return np.asarray(rows, dtype=np.int64)

    def _on_gpu(self, queries: int, count: int) -> bool:
        if count > GPU_CANDIDATES or (self.parameter == "nprobe" and self.value > GPU_CANDIDATES):
            return False
        if self._copy is None and not self._tried and queries >= WORTH_GPU and gpus():
            self._tried = True
            self._copy = _gpu_copy(inner_of(self.index))
        return self._copy is not None

    def _rows_at(self, places: Int64) -> Int64:
        """The copy is of what the id map wraps: it counts from 0."""
        faiss = import_faiss()
        if not isinstance(self.index, faiss.IndexIDMap):
            return np.asarray(places, dtype=np.int64)
        ids = faiss.vector_to_array(self.index.id_map)
        return np.where(places >= 0, ids[np.maximum(places, 0)], -1)


def _gpu_copy(index: Any) -> Any:
    """A float16 copy on all GPUs, a part on each; None for what has no room there, or no GPU kind.

    A graph is never copied: CAGRA would search it by parameters of its own, which the index does not state.
    """
    faiss = import_faiss()
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = options.useFloat16CoarseQuantizer = True
    options.shard = True
    try:
        free = free_bytes()  # asked before: to copy an index that lies on the disk means to read all of it
        if not free or bytes_on_card(index) > SHARE * min(free) * len(free):
            return None
        return faiss.index_cpu_to_all_gpus(index, options)
    except RuntimeError:
        return None
