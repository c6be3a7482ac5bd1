"""Which of several features goes with a finding, the others held fixed. (docs/protocols/statistics.md)"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import CONFIDENCE, Float64, Int64

LEAST_EACH = 5  # units with a finding and units without, for each feature (Vittinghoff & McCulloch 2007)
_STEPS, _LARGEST, _ENOUGH = 100, 2.0, 1e-8


class OddsRatio(NamedTuple):
    """By how much the odds of a finding are multiplied where a feature is larger by one, and the interval."""

    value: float
    low: float
    high: float


def odds_ratios(
    features: Float64, found: NDArray[np.bool_], unit: Int64, confidence: float = CONFIDENCE
) -> list[OddsRatio] | None:
    """Of each feature (n, k), by logistic regression over all of them. None where too few units tell: fewer than
    `LEAST_EACH` for each feature, with a finding or without; or one feature follows from the others.

    unit (n,): what stands and falls together, as near-duplicates do. Estimates by Firth's penalty (1993), which are
    finite where a feature tells all apart (Heinze & Schemper 2002); intervals by the larger of the model's variance and
    that between units (Liang & Zeger 1986), by Student's t of the units to spare.
    """
    from scipy.special import stdtrit  # a gate has none, and reads this package

    count = features.shape[1]
    told = [len(np.unique(unit[of])) for of in (found, ~found)]
    design = np.column_stack([np.ones(len(found)), features - features.mean(axis=0)])
    if min(told) < LEAST_EACH * count or np.linalg.matrix_rank(design) <= count:
        return None
    weights = _firth(design, found.astype(np.float64))
    spread = np.sqrt(_variance(design, found, weights, unit)[1:])
    reach = float(stdtrit(len(np.unique(unit)) - count - 1, (1 + confidence) / 2)) * spread
    with np.errstate(over="ignore"):
        ends = np.exp([weights[1:], weights[1:] - reach, weights[1:] + reach]).T
    return [OddsRatio(*map(float, each)) for each in ends]


def _firth(design: Float64, found: Float64) -> Float64:
    from scipy.special import expit

    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = expit(design @ weights)
        root = design * np.sqrt(chance * (1 - chance))[:, None]
        inverse = np.linalg.pinv(root.T @ root)
        leverage = np.einsum("ij,jk,ik->i", root, inverse, root)
        step = inverse @ (design.T @ (found - chance + leverage * (0.5 - chance)))
        weights += step * min(1.0, _LARGEST / max(float(np.abs(step).max()), _ENOUGH))
        if np.abs(step).max() < _ENOUGH:
            break
    return weights


def _variance(design: Float64, found: NDArray[np.bool_], weights: Float64, unit: Int64) -> Float64:
    """Of each weight, (k + 1,)."""
    from scipy.special import expit

    chance = expit(design @ weights)
    inverse = np.linalg.pinv((design * (chance * (1 - chance))[:, None]).T @ design)
    _, number = np.unique(unit, return_inverse=True)
    sums = np.zeros((number.max() + 1, design.shape[1]))
    np.add.at(sums, number, design * (found - chance)[:, None])
    between = inverse @ (sums.T @ sums) @ inverse * len(sums) / (len(sums) - 1)
    return np.asarray(np.maximum(inverse.diagonal(), between.diagonal()))
