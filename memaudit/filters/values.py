"""What images have that a filter may favour: words, metadata, bands of size, and clusters of what they show."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from memaudit.dedup.kmeans import fit
from memaudit.dedup.skew import MIN_SUPPORT
from memaudit.dedup.skew_sums import LONGEST, Sums, ValueCodes
from memaudit.dedup.skew_values import Bands, absent_values, entries_of
from memaudit.filters.results import CLUSTER
from memaudit.filters.selection import Selection
from memaudit.store import Store
from memaudit.types import Float32, Float64, Int64, Progress

IMAGES_PER_CLUSTER, MOST_CLUSTERS = 500, 256
FITTED = 65_536  # images that clusters are fitted on, at most, and so the most clusters
_BATCH = 16_384
_AT_ONCE = 65_536
_SUMS, _TOTALS = 11, 6
_MIDDLES = 16  # at once
_NAMED_BY = 3  # captions nearest to the middle


class Values(NamedTuple):
    """of (n, v): 1 where an image has a value, of those that `MIN_SUPPORT` images have; names (feature, value), v.
    left_out: for each feature how many entries were beyond the cap; note: why something is absent."""

    of: csr_array
    names: list[tuple[str, str]]
    left_out: dict[str, int]
    note: str


class Clusters(NamedTuple):
    """The cluster of each image (n,) and the clusters' names."""

    of: Int64
    names: list[str]

    def bands(self, part: slice) -> Bands:
        return Bands([(CLUSTER, name) for name in self.names], self.of[part])


def read_values(store: Store, chosen: Selection, clusters: Clusters | None, progress: Progress) -> Values:
    """Of all images before the filter. Memory: 12 bytes for each value of each image, and as many again
    while those that few images have are left out."""
    codes, notes = ValueCodes(), set[str]()
    values, counts = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for low in range(0, len(chosen.rows), _BATCH):
        part = slice(low, low + _BATCH)
        columns = store.columns(chosen.rows[part])
        notes.add(absent_values(columns))
        of_clusters = (
            None if clusters is None else Bands([(CLUSTER, name) for name in clusters.names], clusters.of[part])
        )
        entries = entries_of(columns, of_clusters)
        code = codes.of_all(entries)
        there = code >= 0
        values.append(code[there].astype(np.int32))
        counts.append(np.bincount(entries.image[there], minlength=len(columns.image_id)))
        progress("reading words and metadata", low + len(columns.image_id), len(chosen.rows))
    shape = (len(chosen.rows), len(codes.codes))
    entry, ends = np.concatenate(values), np.cumsum(np.concatenate(counts))
    whole = csr_array((np.ones(len(entry)), entry, ends), shape=shape)
    held = np.flatnonzero(np.asarray(whole.sum(axis=0)).ravel() >= MIN_SUPPORT)
    names = list(codes.codes)
    note = "" if "" in notes else min(notes, default="")
    if len(held) < len(names):
        whole = csr_array(whole[:, held])
    return Values(whole, [names[i] for i in held], dict(sorted(codes.left_out.items())), note)


def clusters_of(store: Store, chosen: Selection, count: int | None, seed: int, progress: Progress) -> Clusters | None:
    """k-means of the images before the filter, named by the captions nearest to their middles; None for none.

    count: how many, at most `FITTED`; None: one for `IMAGES_PER_CLUSTER` images, at most `MOST_CLUSTERS`.
    """
    rows = chosen.rows
    wanted = min(MOST_CLUSTERS, len(rows) // IMAGES_PER_CLUSTER) if count is None else min(count, len(rows))
    if wanted < 2:
        return None
    sample = np.sort(np.random.default_rng(seed).choice(rows, min(FITTED, len(rows)), replace=False))
    vectors = store.embeddings(sample)
    centroids = fit(vectors, wanted, seed)
    names = _names(store, sample, vectors, centroids)
    result = np.empty(len(rows), np.int64)
    for low in range(0, len(rows), _BATCH):
        part = slice(low, low + _BATCH)
        result[part] = np.argmax(store.embeddings(rows[part]) @ centroids.T, axis=1)  # by numpy: torch takes 0.5 GB
        progress("clustering", min(low + _BATCH, len(rows)), len(rows))
    return Clusters(result, names)


def _names(store: Store, sample: Int64, vectors: Float32, centroids: Float32) -> list[str]:
    lows = range(0, len(centroids), _MIDDLES)  # a whole table of similarities would be the most that a run takes
    nearest = np.concatenate([_nearest(vectors, centroids[low : low + _MIDDLES]) for low in lows])
    columns = store.columns(sample[nearest.ravel()])
    names = []
    for number, own in enumerate(np.arange(nearest.size).reshape(nearest.shape)):
        captions = list(dict.fromkeys(" ".join(str(columns.caption[i]).split()) for i in own))
        told = "; ".join(filter(None, captions)) or str(columns.image_id[own[0]])
        names.append(f"{number}: {told}"[:LONGEST])
    return names


def _nearest(vectors: Float32, centroids: Float32) -> Int64:
    """The rows of the `_NAMED_BY` most similar vectors of each centroid, (len(centroids), _NAMED_BY)."""
    return np.argsort(-(vectors @ centroids.T), axis=0, kind="stable")[:_NAMED_BY].T


def sums_of(values: csr_array, kept: Float64, family: Int64) -> tuple[Sums, Sums, Float64]:
    """The sums of each value's images over families, and those of all other images, as `ValueCounter` has them; and of
    what the kept ones of a family weigh with a value, times what all of them weigh, (v,). kept (n,): weights, 0 of what
    was not kept. Memory: `_AT_ONCE` images, with their families."""
    order = np.argsort(family, kind="stable")
    starts = np.flatnonzero(np.diff(family[order], prepend=-1))
    cuts: list[int] = []
    if len(order):
        first = np.searchsorted(starts, np.arange(0, len(order), _AT_ONCE), "right") - 1
        cuts = np.unique(starts[first]).tolist()
    found = np.zeros((_SUMS, values.shape[1]))
    totals = np.zeros(_TOTALS)
    for low, high in pairwise([*cuts, len(order)]):
        rows = order[low:high]
        found_here, totals_here = _of_families(values[rows], kept[rows], family[rows])
        found += found_here
        totals += totals_here
    n, k, nn, nk, kk, families, n_all_n, n_all_k, k_all_n, k_all_k, whole = found
    all_n, all_k, all_nn, all_nk, all_kk, every = totals
    inside = Sums(n, k, nn, nk, kk, families)
    outside = Sums(
        n=all_n - n,
        k=all_k - k,
        nn=all_nn - 2 * n_all_n + nn,
        nk=all_nk - n_all_k - k_all_n + nk,
        kk=all_kk - 2 * k_all_k + kk,
        families=every - whole,
    )
    return inside, outside, k_all_k


def _of_families(values: csr_array, kept: Float64, family: Int64) -> tuple[Float64, Float64]:
    """Sums of each value (11, v), and of all (6,), of whole families."""
    label = np.unique(family, return_inverse=True)[1]
    member = csr_array((np.ones(len(label)), (label, np.arange(len(label)))))
    n, k = csr_array(member @ values), csr_array(member @ (diags_array(kept) @ values))
    all_n, all_k = np.asarray(member @ np.ones(len(label))), np.asarray(member @ kept)
    crossed = [np.asarray(each.T @ one) for each in (n, k) for one in (all_n, all_k)]
    of_values = [_sum(n), _sum(k), _sum(n * n), _sum(n * k), _sum(k * k), _sum(_there(n)), *crossed, _whole(n, all_n)]
    return np.array(of_values), np.array(
        [all_n.sum(), all_k.sum(), all_n @ all_n, all_n @ all_k, all_k @ all_k, len(all_n)]
    )


def _sum(each: csr_array) -> Float64:
    return np.asarray(each.sum(axis=0), dtype=np.float64).ravel()


def _there(each: csr_array) -> csr_array:
    return csr_array((np.ones(each.nnz), each.indices, each.indptr), shape=each.shape)


def _whole(n: csr_array, all_n: Float64) -> Float64:
    """How many families have a value in each of their images, (v,)."""
    is_whole: NDArray[np.bool_] = n.data == np.repeat(all_n, np.diff(n.indptr))
    return np.asarray(np.bincount(n.indices[is_whole], minlength=n.shape[1]), dtype=np.float64)
