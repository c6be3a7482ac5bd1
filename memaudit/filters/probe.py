"""A probe: how likely an image is of a class, by a plane through its embeddings. (docs/protocols/filters.md)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from memaudit.errors import InputError
from memaudit.filters.logistic import Logistic, fit_logistic
from memaudit.store import as_float32
from memaudit.types import Float32, Float64, Int64

RIDGES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
FOLDS = 5
_PLAIN_RIDGE = 100.0  # where there are too few labels to choose one
_STEEPEST = 40.0  # of a logit that becomes a probability


@dataclass(frozen=True)
class Probe:
    """planes: of each encoder (dim,) float32, in the order of the stores. A logit is the sum of their products with
    unit embeddings, and the intercept; the probability is that of slope times it, and offset."""

    planes: tuple[Float32, ...]
    intercept: float
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, embeddings: Sequence[NDArray[np.float16]], scored: NDArray[np.bool_]) -> Float32:
        """Of rows (n, dim) of each encoder, as stored, (n,) float32; NaN where not scored.

        Raises InputError for a scored row of length 0 or NaN.
        """
        total = np.full(len(scored), self.intercept, np.float32)
        for plane, stored in zip(self.planes, embeddings, strict=True):
            rows = as_float32(stored)
            squares = np.einsum("ij,ij->i", rows, rows)
            if not (np.isfinite(squares) & (squares > 0))[scored].all():
                raise InputError("a store holds an embedding with NaN or of length 0: run memaudit verify")
            with np.errstate(divide="ignore", invalid="ignore"):
                total += np.einsum("ij,j->i", rows, plane) / np.sqrt(squares)  # one thread: memory is what it waits for
        total[~scored] = np.nan
        return total

    def probabilities(self, logits: NDArray[Any]) -> Float64:
        """Of logits, rising strictly with them."""
        return np.asarray(expit(np.clip(self.slope * logits.astype(np.float64) + self.offset, -_STEEPEST, _STEEPEST)))

    def logit_of(self, probability: float) -> float:
        """Where the probability is this."""
        return float((logit(probability) - self.offset) / self.slope)


class Examples(NamedTuple):
    """features (n, d); labels (n,) 1 or 0; file (n,): what equal files share, so that copies are in one fold; count
    (n,): how much each counts."""

    features: Float64
    labels: Float64
    file: NDArray[np.object_]
    weight: Float64

    def at(self, rows: NDArray[np.bool_]) -> Examples:
        return Examples._make(column[rows] for column in self)

    def plane(self, ridge: float) -> Logistic:
        return fit_logistic(self.features, self.labels, self.weight, ridge)

    def loss(self, logits: Float64) -> float:
        """The mean log loss."""
        return float(np.average(np.logaddexp(0, logits) - self.labels * logits, weights=self.weight))


class Fitted(NamedTuple):
    """A probe of one plane, before it is split by encoder; loss: mean log loss out of fold, None where it was not
    measured."""

    coefficients: Float64
    intercept: float
    slope: float
    offset: float
    ridge: float
    loss: float | None


def fit_probe(examples: Examples, seed: int) -> Fitted:
    """Ridge logistic regression; the ridge of the least log loss out of fold, and a slope and an offset that make the
    logits out of fold probabilities (Platt 1999). Raises ValueError where all labels are alike."""
    fold = folds_of(examples, seed)
    if fold.max() < 1:
        plane = examples.plane(_PLAIN_RIDGE)
        return Fitted(plane.coefficients, plane.intercept, 1.0, 0.0, _PLAIN_RIDGE, None)
    apart = {ridge: _out_of_fold(examples, fold, ridge) for ridge in RIDGES}
    ridge = min(RIDGES, key=lambda ridge: examples.loss(apart[ridge]))
    plane = examples.plane(ridge)
    slope, offset = calibrated(apart[ridge], examples.labels, examples.weight)
    loss = examples.loss(slope * apart[ridge] + offset)
    return Fitted(plane.coefficients, plane.intercept, slope, offset, ridge, loss)


def calibrated(logits: Float64, labels: Float64, counts: Float64) -> tuple[float, float]:
    """Slope and offset of a logistic curve through the labels; 1 and 0 where it does not rise."""
    curve = fit_logistic(logits[:, None].astype(np.float64), labels, counts)
    slope = float(curve.coefficients[0])
    return (slope, curve.intercept) if slope > 0 else (1.0, 0.0)


def folds_of(examples: Examples, seed: int) -> Int64:
    """The fold of each example, all copies of a file in one, both classes in each; 0 for all where a class has one
    file."""
    _, first, group = np.unique(examples.file.astype(str), return_index=True, return_inverse=True)
    labels = examples.labels[first]
    count = int(min(FOLDS, (labels == 1).sum(), (labels == 0).sum()))
    if count < 2:
        return np.zeros(len(group), np.int64)
    fold, generator = np.empty(len(first), np.int64), np.random.default_rng(seed)
    for value in (0, 1):
        members = generator.permutation(np.flatnonzero(labels == value))
        fold[members] = np.arange(len(members)) % count
    return fold[group]


def _out_of_fold(examples: Examples, fold: Int64, ridge: float) -> Float64:
    logits = np.empty(len(fold))
    for number in range(int(fold.max()) + 1):
        out = fold == number
        logits[out] = examples.at(~out).plane(ridge).logits(examples.features[out])
    return logits
