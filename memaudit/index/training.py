"""Fitting what an index needs before rows can be added: lists, codes; or a graph of everything, on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from memaudit.errors import UsageError
from memaudit.index.faiss_library import gpus, import_faiss, ivf_of, made, reason_of
from memaudit.index.recall import sample_rows
from memaudit.index.recipes import Plan
from memaudit.store import Store
from memaudit.types import Float32, Int64

_SEED = 7
_GRAPH_DEGREE, _INTERMEDIATE_DEGREE = 64, 128  # FAISS's own defaults


def trained_index(plan: Plan, store: Store) -> Any:
    """An empty index, trained on random rows of the store; k-means runs on the GPUs if there are any.

    Memory: the rows that it is trained on. Raises UsageError if they are too few.
    """
    index = made(store.encoder.dim, plan.factory)
    ivf = ivf_of(index)
    if index.is_trained:
        return index
    _allow_few_rows(ivf)
    sample = store.embeddings(sample_rows(store, plan.training_rows, _SEED))
    try:
        if not (ivf is not None and gpus() and _trained_on_gpus(index, ivf, sample)):
            index.train(sample)
    except RuntimeError as error:
        reason = " ".join(str(error).split()).rpartition("failed: ")[2]
        raise UsageError(
            f"recipe {plan.recipe.name} cannot be trained on {len(sample):,} rows ({reason}): choose --recipe flat"
        ) from None
    return index


def _trained_on_gpus(index: Any, ivf: Any, sample: Float32) -> bool:
    """Train with lists found on the GPUs; False if that failed, as where they have no room: the CPU trains anew."""
    flat = None
    try:
        flat = _flat_on_gpus(sample.shape[1])
        ivf.clustering_index = flat
        index.train(sample)
    except RuntimeError:
        return False
    finally:
        ivf.clustering_index = None
        if flat is not None:
            flat.this.own(True)  # to be set takes it from Python, and the index never frees it
    return True


def _allow_few_rows(ivf: Any) -> None:
    """Small stores train lists and codes on fewer rows than FAISS likes: the recall is measured, so no warning."""
    if ivf is None:
        return
    ivf = import_faiss().downcast_index(ivf)
    ivf.cp.min_points_per_centroid = 1
    if hasattr(ivf, "pq"):
        ivf.pq.cp.min_points_per_centroid = 1


def _flat_on_gpus(dim: int) -> Any:
    faiss = import_faiss()
    return faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(dim))


def cagra_index(store: Store) -> Any:
    """A graph of all rows, built by cuVS and brought to the CPU. Memory: all embeddings, here and on the GPU.

    Raises UsageError where the GPU has no room.
    """
    faiss = import_faiss()
    config = faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = _GRAPH_DEGREE, _INTERMEDIATE_DEGREE
    built = faiss.GpuIndexCagra(faiss.StandardGpuResources(), store.encoder.dim, faiss.METRIC_INNER_PRODUCT, config)
    rows = store.comparable_rows()
    vectors = _all_embeddings(store, len(rows))  # named: FAISS keeps their address, and reads there again in copyTo
    graph = faiss.IndexHNSWCagra(store.encoder.dim, _GRAPH_DEGREE // 2, faiss.METRIC_INNER_PRODUCT)
    try:
        built.train(vectors)
        built.copyTo(graph)
    except RuntimeError as error:
        raise UsageError(
            f"recipe cagra: the GPU cannot build a graph of {len(rows):,} rows ({reason_of(error)}): choose ivf or hnsw"
        ) from None
    return with_ids(graph, rows)


def with_ids(filled: Any, rows: Int64) -> Any:
    """An index that holds vectors already, its k-th under the id rows[k]: FAISS itself maps ids of empty ones only."""
    faiss = import_faiss()
    index = made(filled.d, "Flat")
    index.index, index.ntotal = filled, filled.ntotal
    index.referenced_objects = [filled]
    faiss.copy_array_to_vector(np.ascontiguousarray(rows, dtype=np.int64), index.id_map)
    return index


def _all_embeddings(store: Store, rows: int) -> Float32:
    result = np.empty((rows, store.encoder.dim), np.float32)
    low = 0
    for block in store.blocks():
        result[low : low + len(block.rows)] = block.embeddings
        low += len(block.rows)
    return result
