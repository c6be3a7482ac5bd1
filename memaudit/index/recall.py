"""What an index finds of what exact search finds, measured on rows of its store that it does not hold yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memaudit.errors import InconclusiveError
from memaudit.similarity import Neighbours, top_k
from memaudit.store import Store, StoredBlock
from memaudit.types import Float32, Int64

ROWS = 1000  # to measure on; as many others to tune on
LEAST_HELD_OUT = 20_000  # of a smaller store so many rows would be missed
ENOUGH_NEAR = 100  # rows with a near-duplicate; with fewer, made ones speak for near-duplicate scale
DEPTH = 10
_SEED = 0
Search = Callable[[Float32, int, float], Neighbours]


@dataclass(frozen=True)
class NearRecall:
    """Recall@1 at near-duplicate scale: over queries whose true nearest other reaches `threshold`,
    searched with that threshold, as an audit does.

    made: whether the queries were made from rows of the store, because too few rows have a near-duplicate.
    """

    at_1: float
    rows: int
    threshold: float
    made: bool


@dataclass(frozen=True)
class IndexRecall:
    """Measured against exact search, over `rows` rows of the store, `held_out` of which the index did not hold; the
    others each without itself."""

    at_1: float
    at_10: float
    rows: int
    held_out: int
    near: NearRecall


class Sample(NamedTuple):
    """Rows to measure on and rows to tune on, and those that are left out of the index meanwhile; all sorted."""

    measure: Int64
    tune: Int64
    held_out: Int64


class Queries(NamedTuple):
    """vectors (q, dim); own: the row of each that does not count (-1: none); truth: what exact search finds."""

    vectors: Float32
    own: Int64
    truth: Neighbours


def draw(store: Store, *, tuned: bool, hold_out: bool) -> Sample:
    """Draw rows to measure and to tune on. hold_out: leave them out of the index until it is measured."""
    drawn = sample_rows(store, 2 * ROWS if tuned else ROWS, _SEED)
    mixed = np.random.default_rng(_SEED + 1).permutation(drawn)
    half = len(mixed) // 2 if tuned and len(mixed) > 1 else len(mixed)
    measure, tune = np.sort(mixed[:half]), np.sort(mixed[half:] if tuned and len(mixed) > 1 else mixed)
    held = drawn if hold_out and store.comparable >= LEAST_HELD_OUT else np.empty(0, np.int64)
    return Sample(measure, tune, held)


def asked(store: Store, rows: Int64, held_out: Int64) -> Queries:
    """Rows as queries, and their true nearest others among what the index holds. Costs one reading of the store."""
    vectors = store.embeddings(rows)
    return Queries(vectors, rows, top_k(vectors, without(store, held_out), DEPTH + 1, 1.0))


def near_queries(store: Store, queries: Queries, held_out: Int64, threshold: float) -> tuple[Queries, bool]:
    """Those whose true nearest other reaches the threshold; made ones, and True, where they are too few."""
    best = np.array([_others(queries, i, queries.truth)[:1].max(initial=-2) for i in range(len(queries.own))])
    chosen = np.flatnonzero(best >= np.float32(threshold))
    if len(chosen) >= ENOUGH_NEAR:
        truth = Neighbours._make(column[chosen] for column in queries.truth)
        return Queries(queries.vectors[chosen], queries.own[chosen], truth), False
    vectors = _made(store, held_out, threshold)
    return Queries(vectors, np.full(len(vectors), -1), top_k(vectors, without(store, held_out), 2, 1.0)), True


def _made(store: Store, held_out: Int64, threshold: float) -> Float32:
    """Vectors at similarities between the threshold and 1 to rows of the index, in directions of the data.

    y = s x + sqrt(1 - s^2) z', with z' the part of another row that is orthogonal to x, at unit length (codes.py).
    """
    rng = np.random.default_rng(_SEED + 2)
    rows = store.comparable_rows()
    rows = rows[~np.isin(rows, held_out)]
    x, z = (store.embeddings(rng.choice(rows, min(ROWS, len(rows)))) for _ in range(2))
    s = rng.uniform(threshold, 1, (len(x), 1)).astype(np.float32)
    aside = z - np.einsum("ij,ij->i", x, z)[:, None] * x
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    made = s * x + np.sqrt(1 - s * s) * aside
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def measured(search: Search, store: Store, sample: Sample, threshold: float) -> IndexRecall:
    """Hold an index against exact search on the rows of `sample.measure`."""
    queries = asked(store, sample.measure, sample.held_out)
    found = search(queries.vectors, DEPTH + 1, 1.0)
    near, made = near_queries(store, queries, sample.held_out, threshold)
    near_found = search(near.vectors, 2, threshold)
    held = int(np.isin(sample.measure, sample.held_out).sum())
    return IndexRecall(
        recall(queries, found, 1),
        recall(queries, found, DEPTH),
        len(queries.own),
        held,
        NearRecall(recall(near, near_found, 1), len(near.own), threshold, made),
    )


def recall(queries: Queries, found: Neighbours, k: int) -> float:
    """Share of the k nearest others that were found; ties count as found, whichever of them came."""
    shares = []
    for i in range(len(queries.own)):
        others, hits = _others(queries, i, queries.truth)[:k], _others(queries, i, found)[:k]
        shares.append(np.sum(hits[: len(others)] >= others[-1]) / len(others) if len(others) else 1.0)
    return float(np.mean(shares)) if shares else 1.0


def _others(queries: Queries, i: int, found: Neighbours) -> Float32:
    others: Float32 = found.similarity[i][(found.rows[i] != queries.own[i]) & (found.rows[i] >= 0)]
    return others


def require_floor(found: IndexRecall, floor: float, recipe: str) -> None:
    """Raise InconclusiveError if recall@1 at near-duplicate scale is below a recipe's floor."""
    near = found.near
    if not near.at_1 >= floor:
        raise InconclusiveError(
            f"index recall@1 is {near.at_1:.4f} at near-duplicate scale (similarity >= {near.threshold:g}, "
            f"{near.rows:,} queries), below the floor {floor:g} of recipe {recipe}: not saved; choose another recipe"
        )


def without(store: Store, held_out: Int64, first_shard: int = 0) -> Iterator[StoredBlock]:
    """The blocks of a store, less some rows."""
    for rows, stored in store.stored_blocks(first_shard=first_shard):
        keep = ~np.isin(rows, held_out) if len(held_out) else np.ones(len(rows), bool)
        if keep.all():
            yield StoredBlock(rows, stored)
        elif keep.any():
            yield StoredBlock(rows[keep], stored[keep])


def sample_rows(store: Store, size: int, seed: int) -> Int64:
    """At most `size` comparable rows, drawn at random without replacement, sorted."""
    return drawn(store.comparable_rows(), size, seed)


def drawn(rows: Int64, size: int, seed: int) -> Int64:
    """At most `size` of these rows, at random without replacement, sorted."""
    if len(rows) <= size:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
