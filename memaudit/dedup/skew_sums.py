"""Counts of values over families of linked duplicates: all that the removal skew needs, in one pass."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.dedup.results import Elsewhere, RowPairs
from memaudit.dedup.skew_values import WORD
from memaudit.types import Float64, Int64

MOST_WORDS = 200_000
MOST_VALUES = 10_000  # of one metadata column
MOST_FEATURES = 100
FURTHER = "further metadata"
LONGEST = 64  # characters of a word or a value
BUFFER = 1_000_000
_TOTALS, _SUMS = 6, 11


class Sums(NamedTuple):
    """Sums over families, (values,) float64 each: images n, kept k, their squares and product, families with any."""

    n: Float64
    k: Float64
    nn: Float64
    nk: Float64
    kk: Float64
    families: Float64


def linked_families(rows: int, pairs: RowPairs, found: Elsewhere) -> Int64:
    """Label each row with its set of linked duplicates: what is linked was not removed independently.

    Images that are in the other set are linked by the image they were found to be. Memory: 20 bytes a pair.
    """
    place, other = np.unique(found.other, return_inverse=True)
    left = np.concatenate([pairs.left, found.row.astype(pairs.left.dtype)])
    right = np.concatenate([pairs.right, (rows + other).astype(pairs.left.dtype)])
    size = rows + len(place)
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:rows], dtype=np.int64)


def in_families(rows: Int64, family: Int64, rank: Int64) -> list[int]:
    """Rows with those of a family together, families by their lowest rank."""
    lowest = np.full(int(family.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, family[rows], rank[rows])
    ordered: list[int] = rows[np.lexsort((rank[rows], lowest[family[rows]]))].tolist()
    return ordered


class ValueCodes:
    """Numbers values as they are met. Memory: 300 bytes a distinct value.

    left_out: for each feature how many entries had a value beyond the cap, or a longer one than LONGEST.
    """

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], int] = {}
        self.left_out: dict[str, int] = {}
        self._distinct: dict[str, int] = {}

    def of(self, feature: str, value: str) -> int | None:
        """The number of a value, from 0; None for one that is left out."""
        code = self.codes.get((feature, value))
        if code is not None:
            return code
        if feature not in self._distinct and len(self._distinct) >= MOST_FEATURES:
            feature = FURTHER
        known = self._distinct.get(feature, 0)
        if feature == FURTHER or known >= (MOST_WORDS if feature == WORD else MOST_VALUES) or len(value) > LONGEST:
            self.left_out[feature] = self.left_out.get(feature, 0) + 1
            return None
        self._distinct[feature] = known + 1
        return self.codes.setdefault((feature, value), len(self.codes))


class ValueCounter:
    """Takes images family by family. Memory: that of `values`, at most BUFFER entries and one family's."""

    def __init__(self) -> None:
        self.values = ValueCodes()
        self._totals = np.zeros(_TOTALS)
        self._sums = np.zeros((0, _SUMS))
        self._last = -1
        self._kept, self._size = array("q"), array("q")
        self._code, self._place, self._entry_kept = array("q"), array("q"), array("b")

    def add(self, family: int, kept: bool, values: Iterable[tuple[str, str]]) -> None:
        """Take an image; those of one family must follow each other."""
        if family != self._last:
            if len(self._code) >= BUFFER:
                self._flush()
            self._last = family
            self._size.append(0)
            self._kept.append(0)
        self._size[-1] += 1
        self._kept[-1] += kept
        for feature, value in values:
            code = self.values.of(feature, value)
            if code is not None:
                self._code.append(code)
                self._place.append(len(self._size) - 1)
                self._entry_kept.append(kept)

    def _flush(self) -> None:
        """Sum up the families in the buffer. They are whole, so squares of their counts can be taken."""
        size, kept = np.array(self._size, np.float64), np.array(self._kept, np.float64)
        self._totals += _moments(size, kept).sum(axis=0)
        values = len(self.values.codes)
        key = np.array(self._place, np.int64) * values + np.array(self._code, np.int64)
        unique, entry = np.unique(key, return_inverse=True)
        n = np.bincount(entry, minlength=len(unique)).astype(np.float64)
        k = np.bincount(entry, weights=np.array(self._entry_kept, np.float64), minlength=len(unique)).astype(np.float64)
        in_family, in_family_kept = size[unique // max(1, values)], kept[unique // max(1, values)]
        crossed = [in_family * n, in_family * k, in_family_kept * n, in_family_kept * k, in_family == n]
        entries = np.column_stack([_moments(n, k), *crossed])
        sums = np.zeros((values, _SUMS))
        sums[: len(self._sums)] = self._sums
        np.add.at(sums, unique % max(1, values), entries)
        self._sums = sums
        for column in (self._size, self._kept, self._code, self._place, self._entry_kept):
            del column[:]

    def finish(self) -> tuple[Sums, Sums]:
        """The sums of each value's images, and those of all other images."""
        self._flush()
        n, k, nn, nk, kk, families, all_n, n_all_k, k_n, k_k, whole = self._sums.T
        total = Sums(*self._totals)
        others = Sums(
            n=total.n - n,
            k=total.k - k,
            nn=total.nn - 2 * all_n + nn,
            nk=total.nk - n_all_k - k_n + nk,
            kk=total.kk - 2 * k_k + kk,
            families=total.families - whole,
        )
        return Sums(n, k, nn, nk, kk, families), others


def _moments(n: Float64, k: Float64) -> Float64:
    return np.asarray(np.column_stack([n, k, n * n, n * k, k * k, np.ones(len(n))]))
