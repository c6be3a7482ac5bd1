"""C_T: are generations nearer to the training set than held-out images are? (Meehan et al. 2020, arXiv 2004.05675)"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.types import Float32, Float64, Int64

DIMENSIONS = 64
CELLS = 3
SHARE = 20  # a cell must hold more generations: the authors' tau is 20 / m, and a share must be above it
_ITERATIONS, _STARTS = 100, 10


class Copying(NamedTuple):
    """C_T, None where no cell can be judged; how many cells there are, how many of them were used."""

    value: float | None
    cells: int
    used: int
    note: str = ""


def copying(training: Float32, control: Float32, generations: Float32, seed: int = 0) -> Copying:
    """C_T of three samples of embeddings: far below 0 is copying, far above 0 underfitting.

    Principal components of the training sample (64), k-means cells of it (3), in each the Z-scored Mann-Whitney U of
    the distances to the nearest training image of the cell, generations against held-out images; the mean over the
    cells with more than 20 generations, weighted by their share of the held-out images. Cells without held-out or
    training images cannot be judged and are left out, as the authors' code refuses them.
    """
    sides = _components(training, control, generations)
    centres = k_means(sides[0], min(CELLS, len(training)), seed)
    cells = [nearest_centre(side, centres) for side in sides]
    total, weight, used = 0.0, 0.0, 0
    for cell in range(len(centres)):
        t, p, q = (side[own == cell] for side, own in zip(sides, cells, strict=True))
        if len(q) <= SHARE or not len(p) or not len(t):
            continue
        score = mann_whitney_z(nearest_distance(q, t), nearest_distance(p, t))
        share = len(p) / len(control)
        total, weight, used = total + share * score, weight + share, used + 1
    if not used:
        return Copying(None, len(centres), 0, f"C_T: no cell has more than {SHARE} generations and a held-out image")
    return Copying(total / weight, len(centres), used)


def _components(training: Float32, *others: Float32) -> list[Float64]:
    """The first 64 principal components of the training sample, where there are more dimensions."""
    sides = [side.astype(np.float64) for side in (training, *others)]
    if training.shape[1] <= DIMENSIONS:
        return sides
    mean = sides[0].mean(axis=0)
    _, _, axes = np.linalg.svd(sides[0] - mean, full_matrices=False)
    return [(side - mean) @ axes[:DIMENSIONS].T for side in sides]


def k_means(points: Float64, cells: int, seed: int) -> Float64:
    """The centres (cells, dim) of the best of ten starts of Lloyd's iteration, seeded as k-means++ is."""
    rng = np.random.default_rng(seed)
    runs = [_lloyd(points, _spread(points, cells, rng)) for _ in range(_STARTS)]
    return min(runs, key=lambda centres: float(squared_distances(points, centres).min(axis=1).sum()))


def _spread(points: Float64, cells: int, rng: np.random.Generator) -> Float64:
    """Each start is drawn with the square of its distance to those drawn before (Arthur & Vassilvitskii 2007)."""
    chosen = [int(rng.integers(len(points)))]
    while len(chosen) < cells:
        distance = squared_distances(points, points[chosen]).min(axis=1)
        total = distance.sum()
        chosen.append(int(rng.choice(len(points), p=distance / total if total else None)))
    return points[chosen]


def _lloyd(points: Float64, centres: Float64) -> Float64:
    for _ in range(_ITERATIONS):
        own = nearest_centre(points, centres)
        moved = np.stack([points[own == i].mean(axis=0) if (own == i).any() else c for i, c in enumerate(centres)])
        if np.allclose(moved, centres, rtol=0, atol=1e-12):
            break
        centres = moved
    return centres


def nearest_centre(points: Float64, centres: Float64) -> Int64:
    return np.asarray(squared_distances(points, centres).argmin(axis=1), dtype=np.int64)


def nearest_distance(points: Float64, others: Float64) -> Float64:
    """The Euclidean distance of each point to the nearest of `others`."""
    return np.asarray(np.sqrt(squared_distances(points, others).min(axis=1)))


def squared_distances(left: Float64, right: Float64) -> Float64:
    """(n, m), never below 0. Memory: that."""
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(np.maximum(squares, 0))


def mann_whitney_z(left: Float64, right: Float64) -> float:
    """Z = (U - (nm / 2 - 1/2)) / sd of U, U: pairs in which `left` is larger, ties a half; variance corrected for ties.

    0 where all values are equal: then nothing tells the two apart.
    """
    from scipy.stats import rankdata

    n, m = len(left), len(right)
    pooled = np.concatenate([left, right])
    u = rankdata(pooled)[:n].sum() - n * (n + 1) / 2
    ties = np.unique(pooled, return_counts=True)[1].astype(float)
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float((u - (n * m / 2 - 0.5)) / np.sqrt(variance)) if variance > 0 else 0.0
