"""Where candidates come from: a FAISS index on the CPU, and a copy of it on GPUs where many queries come at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from memaudit.index.faiss_library import gpus, import_faiss, inner_of, set_parameter
from memaudit.types import Float32, Int64

GPU_CANDIDATES = 2048  # FAISS's limit of k, and of nprobe, on a GPU
WORTH_GPU = 64  # queries at once: for fewer, the copy costs more than it saves
GPU_ROUNDING = 4e-3  # float16 vectors and products: scores of unit vectors err by less
CPU_ROUNDING = 2e-5


class Engine:
    """An index that is searched; `value` is that of its search parameter."""

    def __init__(self, index: Any, parameter: str, value: int) -> None:
        self.index = index
        self.parameter = parameter
        self.value = value
        self._copy: Any = None
        self._tried = False
        set_parameter(index, parameter, value)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def tune(self, value: int) -> None:
        """Search with another nprobe or efSearch from here on."""
        self.value = value
        set_parameter(self.index, self.parameter, value)
        if self._copy is not None:
            self._drop_copy()

    @property
    def rounding(self) -> float:
        """How far scores that order the candidates of an exact index can be off."""
        return CPU_ROUNDING if self._copy is None else GPU_ROUNDING

    def search(self, queries: Float32, count: int) -> Int64:
        """The store rows of at most `count` candidates for each query (q, count) int64, -1 where there are fewer.

        More candidates than a GPU gives come from the CPU's index.
        """
        if self._on_gpu(len(queries), count):
            _, places = self._copy.search(queries, count)
            return self._rows_at(places)
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

    def _drop_copy(self) -> None:
        self._copy, self._tried = None, False


def _gpu_copy(index: Any) -> Any:
    """A float16 copy on all GPUs, a part on each; None for what has no room there, or no GPU kind."""
    faiss = import_faiss()
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = options.useFloat16CoarseQuantizer = True
    options.shard = True
    try:
        if isinstance(index, getattr(faiss, "IndexHNSWCagra", ())):  # the graph is kept whole, on one GPU
            return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
        return faiss.index_cpu_to_all_gpus(index, options)
    except RuntimeError:
        return None
