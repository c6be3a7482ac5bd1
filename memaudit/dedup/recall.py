"""The recall of this very run: sampled images compared exactly with all others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memaudit.dedup.matrix import Matrix
from memaudit.dedup.results import Band, DedupRecall, Estimate
from memaudit.dedup.sampling import true_pairs
from memaudit.similarity import Pairs
from memaudit.statistics import ratio_interval
from memaudit.tasks import Executor
from memaudit.types import Int64, Progress

BANDS = 5
FOUND_AT_ONCE = 2**20
NOBODY = np.empty(0, np.int64)


def recall_of_exhaustive(found: Pairs, size: int, threshold: float, confidence: float) -> DedupRecall:
    """The recall of a run that compared all `size` positions with each other: what it found is the truth."""
    count = np.bincount(found.left, minlength=size) + np.bincount(found.right, minlength=size)
    count = count[count > 0]
    interval, ones = _Interval(True, confidence), np.ones(len(count), np.int64)
    bands = _bands(found.similarity, np.ones(len(found.left), bool), threshold)
    twice = tuple(replace(band, found=2 * band.found, total=2 * band.total) for band in bands)
    images = interval.estimate(ones, ones)
    return DedupRecall(size, True, confidence, interval.estimate(count, count), images, twice, images)


def measure_recall(
    matrix: Matrix,
    found: Pairs,
    threshold: float,
    *,
    sample: int,
    confidence: float,
    seed: int,
    progress: Progress,
    executor: Executor | None = None,
) -> DedupRecall:
    """Compare `sample` random positions exactly with all; by pair, by image and by band of similarity.

    With at least as many samples as images it is a census and the values are exact. Else the interval is that of a
    ratio over the sampled images (`ratio_interval`); that of the share of images whose duplicates were all found is
    exact.
    """
    drawn = RecallSample.drawn(matrix, threshold, sample, seed, progress, executor=executor)
    return drawn.recall_of(found, confidence)


def drawn_rows(size: int, sample: int, seed: int, purpose: str, without: Int64 = NOBODY) -> Int64:
    """`sample` random positions of a set of `size`, none of `without`, sorted; all positions where there are no more.

    Another purpose draws other rows, and none draws those that k-means is fitted on with the same seed.
    """
    rows = np.arange(size, dtype=np.int64)
    if sample >= size:
        return rows
    free = np.setdiff1d(rows, without, assume_unique=True)
    rng = np.random.default_rng([seed, *purpose.encode()])
    return np.sort(rng.choice(free, min(sample, len(free)), replace=False))


@dataclass(frozen=True)
class RecallSample:
    """Random positions `rows` of a set of `size`, sorted, and all true pairs (one of them, any other).

    Nothing nominates here but products that cannot miss a pair: this is what everything else is held against.
    """

    rows: Int64
    size: int
    threshold: float
    truth: Pairs

    @classmethod
    def drawn(
        cls,
        matrix: Matrix,
        threshold: float,
        sample: int,
        seed: int,
        progress: Progress,
        purpose: str = "recall",
        executor: Executor | None = None,
    ) -> RecallSample:
        """Draw positions, and compare each with all. Memory: blocks."""
        return cls.of(matrix, drawn_rows(len(matrix), sample, seed, purpose), threshold, progress, executor)

    @classmethod
    def of(
        cls, matrix: Matrix, rows: Int64, threshold: float, progress: Progress, executor: Executor | None = None
    ) -> RecallSample:
        """Compare each of these positions with all."""
        return cls(rows, len(matrix), threshold, true_pairs(matrix, rows, threshold, progress, executor))

    @property
    def with_duplicates(self) -> int:
        """How many of the sampled images have a true near-duplicate."""
        return len(np.unique(self.truth.left))

    def recall_of(self, found: Pairs, confidence: float) -> DedupRecall:
        """The recall of `found`, as `measure_recall`."""
        interval = _Interval(len(self.rows) == self.size, confidence)
        return _recall(self.truth, _is_found(self.truth, found, self.size), self.rows, self.threshold, interval)


def _recall(truth: Pairs, hit: np.ndarray, rows: Int64, threshold: float, interval: _Interval) -> DedupRecall:
    """truth: pairs (position in `rows`, any other); hit: which of them the run found."""
    size = int(rows[-1]) + 1
    true_count = np.bincount(truth.left, minlength=size)[rows]
    hit_count = np.bincount(truth.left[hit], minlength=size)[rows]
    has = true_count > 0
    true_count, hit_count = true_count[has], hit_count[has]
    return DedupRecall(
        sampled=len(rows),
        census=interval.census,
        confidence=interval.confidence,
        by_pair=interval.estimate(hit_count, true_count),
        by_image=interval.estimate((hit_count > 0).astype(np.int64), np.ones_like(hit_count)),
        bands=_bands(truth.similarity, hit, threshold),
        complete=interval.estimate((hit_count == true_count).astype(np.int64), np.ones_like(hit_count)),
    )


def _is_found(truth: Pairs, found: Pairs, size: int) -> np.ndarray:
    """Which true pairs are among those found, which are sorted. Memory: that of `truth`, and a block of `found`."""
    keys = np.minimum(truth.left, truth.right) * size + np.maximum(truth.left, truth.right)
    order = np.argsort(keys)
    asked, hit = keys[order], np.zeros(len(keys), bool)
    for low in range(0, len(found.left), FOUND_AT_ONCE):
        part = slice(low, low + FOUND_AT_ONCE)
        there = found.left[part].astype(np.int64) * size + found.right[part]
        first, last = np.searchsorted(asked, (there[0], there[-1] + 1))
        place = np.minimum(np.searchsorted(there, asked[first:last]), len(there) - 1)
        hit[order[first:last]] = there[place] == asked[first:last]
    return hit


@dataclass(frozen=True)
class _Interval:
    census: bool
    confidence: float

    def estimate(self, found: Int64, true: Int64) -> Estimate:
        hits, total = int(found.sum()), int(true.sum())
        if total == 0:
            return Estimate(0, 0, None, None, None)
        value = hits / total
        if self.census:
            return Estimate(hits, total, value, value, value)
        return Estimate(hits, total, value, *ratio_interval(found, true, self.confidence))


def _bands(similarity: np.ndarray, hit: np.ndarray, threshold: float) -> tuple[Band, ...]:
    """Counts by band of similarity. Memory: a block, however many pairs there are."""
    edges = np.linspace(threshold, 1.0, BANDS + 1)
    found, total = np.zeros(BANDS, np.int64), np.zeros(BANDS, np.int64)
    for low in range(0, len(similarity), FOUND_AT_ONCE):
        part = slice(low, low + FOUND_AT_ONCE)
        place = np.clip(np.searchsorted(edges, similarity[part], side="right") - 1, 0, BANDS - 1)
        total += np.bincount(place, minlength=BANDS)
        found += np.bincount(place[hit[part]], minlength=BANDS)
    return tuple(Band(float(edges[i]), float(edges[i + 1]), int(found[i]), int(total[i])) for i in range(BANDS))
