"""What a model's probability is worth in a set of one's own: a logistic curve through labelled pairs (Platt 1999)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.calibration.curves import Labelled
from memaudit.types import Float32, Float64

LEAST_LABELS, LEAST_OF_EACH = 100, 20
_SMALLEST = 1e-4  # probabilities nearer to 0 or 1 than this are taken for it
_STEPS, _RIDGE = 100, 1e-6


class Recalibration(NamedTuple):
    """Here a pair of probability p is a copy with 1 / (1 + exp(-(intercept + slope log(p / (1 - p)))))."""

    intercept: float
    slope: float
    labels: int

    def __call__(self, probability: Float32 | Float64 | float) -> Float64:
        return np.asarray(_sigmoid(self.intercept + self.slope * _logit(np.asarray(probability, np.float64))))


class Recalibrated(NamedTuple):
    """curve: None where there is none, and `why_not` says why."""

    curve: Recalibration | None
    why_not: str = ""


def recalibrated(labelled: Labelled) -> Recalibrated:
    """Fitted to what was compared and is not doubtful, by weight, where there is enough of it: 100 pairs, 20 copies, 20
    that are none; and only where it rises."""
    sure = labelled.compared
    sure = sure.where(~sure.doubtful)
    copies = int(sure.copy.sum())
    others = len(sure.copy) - copies
    if len(sure.copy) < LEAST_LABELS or min(copies, others) < LEAST_OF_EACH:
        least = f"it takes {LEAST_LABELS}, with {LEAST_OF_EACH} of each"
        return Recalibrated(None, f"{copies:,} copies and {others:,} others were compared on pixels: {least}")
    intercept, slope = _fitted(_logit(sure.probability.astype(np.float64)), sure.copy, sure.weight)
    if slope <= 0:
        return Recalibrated(None, "where the model says more, fewer are copies: no curve that rises fits")
    return Recalibrated(Recalibration(round(intercept, 4), round(slope, 4), len(sure.copy)))


def _fitted(logit: Float64, copy: np.ndarray, weight: Float64) -> tuple[float, float]:
    """By Newton's method. Targets are drawn in from 0 and 1 as Platt does, so that separable pairs have a curve too."""
    copies, others = int(copy.sum()), int((~copy).sum())
    target = np.where(copy, (copies + 1) / (copies + 2), 1 / (others + 2))
    columns, w = np.stack([np.ones(len(logit)), logit]), weight / weight.mean()
    found = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        said = _sigmoid(found @ columns)
        slope = columns @ (w * (target - said))
        bend = (columns * (w * said * (1 - said))) @ columns.T + _RIDGE * np.eye(2)
        step = np.linalg.solve(bend, slope)
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(found[1])


def _logit(probability: Float64) -> Float64:
    p = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(p / (1 - p)))


def _sigmoid(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)))
