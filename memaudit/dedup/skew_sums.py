"""Counts of values over families of linked duplicates: all that the removal skew needs, in one pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.linked import joined, linked
from memaudit.dedup.results import Elsewhere, RowPairs
from memaudit.dedup.skew_values import WORD, Entries
from memaudit.types import Float64, Int64

MOST_WORDS = 200_000
MOST_VALUES = 10_000  # of one metadata column
MOST_FEATURES = 100
FURTHER = "further metadata"
LONGEST = 64  # characters of a word or a value
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

    Images that are in the other set are linked by the image they were found to be. Memory: that of `linked`.
    """
    label = linked(rows, pairs.left, pairs.right)
    if not len(found.row):
        return label
    _, first, place = np.unique(found.other, return_index=True, return_inverse=True)
    return joined(label, lambda: [(found.row, found.row[first[place]])])


def in_families(rows: Int64, family: Int64, rank: Int64) -> Int64:
    """Rows with those of a family together, families by their lowest rank."""
    lowest = np.full(int(family.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, family[rows], rank[rows])
    return np.asarray(rows[np.lexsort((rank[rows], lowest[family[rows]]))])


class ValueCodes:
    """Numbers values as they are met. Memory: 300 bytes a distinct value.

    left_out: for each feature how many entries had a value beyond the cap, or a longer one than LONGEST.
    """

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], int] = {}
        self.left_out: dict[str, int] = {}
        self._distinct: dict[str, int] = {}

    def of_all(self, entries: Entries) -> Int64:
        """The number of the value of each entry, from 0; -1 for one that is left out."""
        times = np.bincount(entries.place, minlength=len(entries.values)).tolist()
        found = [self._of(*value, count) for value, count in zip(entries.values, times, strict=True)]
        return np.array(found, dtype=np.int64)[entries.place]

    def _of(self, feature: str, value: str, times: int) -> int:
        """times: how often it is met: whatever is left out once, is so for good."""
        code = self.codes.get((feature, value))
        if code is not None:
            return code
        if feature not in self._distinct and len(self._distinct) >= MOST_FEATURES:
            feature = FURTHER
        known = self._distinct.get(feature, 0)
        if feature == FURTHER or known >= (MOST_WORDS if feature == WORD else MOST_VALUES) or len(value) > LONGEST:
            self.left_out[feature] = self.left_out.get(feature, 0) + times
            return -1
        self._distinct[feature] = known + 1
        return self.codes.setdefault((feature, value), len(self.codes))


class _Part(NamedTuple):
    """Images with their family (n,) and whether they stay (n,); image (m,) rising and code (m,) of their entries."""

    family: Int64
    kept: NDArray[np.bool_]
    image: Int64
    code: Int64

    @classmethod
    def joined(cls, parts: list[_Part]) -> _Part:
        starts = np.cumsum([0, *(len(part.family) for part in parts)])
        shifted = [part._replace(image=part.image + start) for part, start in zip(parts, starts, strict=False)]
        return cls._make(np.concatenate(column) for column in zip(*shifted, strict=True))

    def split(self, last: int) -> tuple[_Part, _Part]:
        """All but so many of the last images, and these."""
        at = len(self.family) - last
        entry = int(np.searchsorted(self.image, at))
        first = _Part(self.family[:at], self.kept[:at], self.image[:entry], self.code[:entry])
        return first, _Part(self.family[at:], self.kept[at:], self.image[entry:] - at, self.code[entry:])


class ValueCounter:
    """Takes images family by family. Memory: that of `values`, what was added last and one family's entries."""

    def __init__(self) -> None:
        self.values = ValueCodes()
        self._totals = np.zeros(_TOTALS)
        self._sums = np.zeros((0, _SUMS))
        self._waiting: list[_Part] = []

    def add(self, family: Int64, kept: NDArray[np.bool_], entries: Entries) -> None:
        """Take images (n,) and their entries; those of one family must follow each other, over several calls too."""
        code = self.values.of_all(entries)
        there = code >= 0
        self._waiting.append(_Part(family, kept, entries.image[there], code[there]))
        begun = np.flatnonzero(family != family[-1])  # the last family may go on
        if len(begun):
            whole, rest = _Part.joined(self._waiting).split(len(family) - 1 - int(begun[-1]))
            self._sum(whole)
            self._waiting = [rest]

    def _sum(self, part: _Part) -> None:
        """Sum up families. They are whole, so squares of their counts can be taken."""
        place = np.cumsum(np.diff(part.family, prepend=part.family[:1]) != 0)
        count = int(place[-1]) + 1
        size = np.bincount(place, minlength=count).astype(np.float64)
        kept = _summed(place, part.kept, count)
        self._totals += _moments(size, kept).sum(axis=0)
        values = len(self.values.codes)
        unique, entry = np.unique(place[part.image] * values + part.code, return_inverse=True)
        n = np.bincount(entry, minlength=len(unique)).astype(np.float64)
        k = _summed(entry, part.kept[part.image], len(unique))
        in_family, in_family_kept = size[unique // max(1, values)], kept[unique // max(1, values)]
        crossed = [in_family * n, in_family * k, in_family_kept * n, in_family_kept * k, in_family == n]
        sums = np.zeros((values, _SUMS))
        sums[: len(self._sums)] = self._sums
        of = unique % max(1, values)
        for number, column in enumerate([*_moments(n, k).T, *crossed]):
            sums[:, number] += np.bincount(of, column, minlength=values)
        self._sums = sums

    def finish(self) -> tuple[Sums, Sums]:
        """The sums of each value's images, and those of all other images."""
        if self._waiting:
            self._sum(_Part.joined(self._waiting))
            self._waiting = []
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


def _summed(place: Int64, values: NDArray[Any], count: int) -> Float64:
    return np.asarray(np.bincount(place, values, minlength=count), dtype=np.float64)


def _moments(n: Float64, k: Float64) -> Float64:
    return np.asarray(np.column_stack([n, k, n * n, n * k, k * k, np.ones(len(n))]))
