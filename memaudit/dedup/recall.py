"""The recall of this very run: sampled images compared exactly with all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memaudit.dedup.pairs import Matrix
from memaudit.records import Band, DedupRecall, Estimate, Int64, Progress
from memaudit.similarity import Pairs, pairs_across
from memaudit.statistics import ratio_interval

BANDS = 5


def recall_of_exhaustive(found: Pairs, size: int, threshold: float, confidence: float) -> DedupRecall:
    """The recall of a run that compared all `size` positions with each other: what it found is the truth."""
    truth = Pairs.joined([found, Pairs(found.right, found.left, found.similarity)])
    rows = np.arange(size, dtype=np.int64)
    return _recall(truth, np.ones(len(truth.left), bool), rows, threshold, _Interval(True, confidence))


def measure_recall(
    matrix: Matrix, found: Pairs, threshold: float, *, sample: int, confidence: float, seed: int, progress: Progress
) -> DedupRecall:
    """Compare `sample` random positions exactly with all; by pair, by image and by band of similarity.

    With at least as many samples as images it is a census and the values are exact. Else the interval is that of a
    ratio over the sampled images (`ratio_interval`); without misses its lower end is the Clopper-Pearson bound of the
    share of images whose duplicates were all found.
    """
    census = sample >= len(matrix)
    rows = np.arange(len(matrix), dtype=np.int64)
    if not census:
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    truth = _true_pairs(matrix, rows, threshold, progress)
    hit = _is_found(truth, found, len(matrix))
    return _recall(truth, hit, rows, threshold, _Interval(census, confidence))


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
    )


def _true_pairs(matrix: Matrix, rows: Int64, threshold: float, progress: Progress) -> Pairs:
    """Exact pairs (sampled position, other position)."""
    queries = matrix.take(rows)
    parts = []
    for low, vectors in matrix.blocks():
        pairs = pairs_across(queries, vectors, threshold)
        left, right = rows[pairs.left], pairs.right + low
        other = left != right
        parts.append(Pairs(left[other], right[other], pairs.similarity[other]))
        progress("measuring recall", low + len(vectors), len(matrix))
    return Pairs.joined(parts)


def _is_found(truth: Pairs, found: Pairs, size: int) -> np.ndarray:
    keys = np.minimum(truth.left, truth.right) * size + np.maximum(truth.left, truth.right)
    return np.isin(keys, found.left * size + found.right)


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
    edges = np.linspace(threshold, 1.0, BANDS + 1)
    place = np.clip(np.searchsorted(edges, similarity, side="right") - 1, 0, BANDS - 1)
    return tuple(
        Band(float(edges[i]), float(edges[i + 1]), int(hit[place == i].sum()), int((place == i).sum()))
        for i in range(BANDS)
    )
