"""Logistic regression, and a curve that makes what it says probabilities."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from memaudit.types import Float64

_LEAST_SPREAD = 1e-6
_STEPS = 200


class Logistic(NamedTuple):
    """coefficients (d,) float64 and intercept of a linear logit."""

    coefficients: Float64
    intercept: float

    def logits(self, features: Float64) -> Float64:
        """Of rows (n, d), (n,)."""
        return np.asarray(features @ self.coefficients + self.intercept)


class Curve(NamedTuple):
    """Rising logits (k,) and the probabilities there, between which it is linear."""

    logit: Float64
    probability: Float64

    def of(self, logits: Float64) -> Float64:
        return np.interp(logits, self.logit, self.probability)


def fit_logistic(features: Float64, labels: Float64, counts: Float64 | None = None, ridge: float = 1.0) -> Logistic:
    """Weights of the penalised likelihood's maximum (L-BFGS; Byrd et al. 1995).

    features: rows (n, d); labels: 1 or 0; counts: how much each row counts, all alike where None. ridge: half of it
    times the squared coefficients of standardised features is taken off the log-likelihood. Raises ValueError where all
    labels are alike.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("all labels are alike")
    count = np.ones(len(labels)) if counts is None else counts
    mean = np.average(features, axis=0, weights=count)
    spread = np.maximum(np.sqrt(np.average((features - mean) ** 2, axis=0, weights=count)), _LEAST_SPREAD)
    standard, dim = (features - mean) / spread, features.shape[1]

    def loss(theta: Float64) -> tuple[float, Float64]:
        logit = standard @ theta[:dim] + theta[dim]
        error = count * (expit(logit) - labels)
        value = float(count @ (np.logaddexp(0, logit) - labels * logit)) + ridge / 2 * float(theta[:dim] @ theta[:dim])
        return value, np.append(standard.T @ error + ridge * theta[:dim], error.sum())

    share = np.clip(np.average(labels, weights=count), 1e-9, 1 - 1e-9)
    start = np.append(np.zeros(dim), np.log(share / (1 - share)))
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    coefficients = theta[:dim] / spread
    return Logistic(coefficients, float(theta[dim] - coefficients @ mean))


def fit_curve(logits: Float64, labels: Float64, counts: Float64 | None = None) -> Curve:
    """A rising curve of the share of ones (isotonic regression; Ayer et al. 1955), through the middle of each step."""
    order = np.argsort(logits, kind="stable")
    found = isotonic_regression(labels[order], weights=None if counts is None else counts[order])
    ends = found.blocks
    middle = [float(logits[order][low:high].mean()) for low, high in pairwise(ends)]
    return Curve(np.array(middle), np.asarray(found.x[ends[:-1]], dtype=np.float64))
