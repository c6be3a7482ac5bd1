"""Weights under which what is left has the shares that all had: a classifier fitted so that it balances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from memaudit.types import Float64

RIDGE = 1.0
_STEPS = 500


class Balance(NamedTuple):
    """coefficients (v,) of values that an image has or has not, and an intercept: a linear logit of being kept. most:
    the largest weight, before they are scaled to a mean of 1."""

    coefficients: Float64
    intercept: float
    most: float

    def weights(self, linear: Float64) -> Float64:
        """Of kept images (n,), from the sums of their coefficients: one over the probability of being kept."""
        return 1 + _capped(-(linear + self.intercept), self.most)[1]


def fit_balance(parts: Sequence[csr_array], kept: NDArray[np.bool_], most: float, ridge: float = RIDGE) -> Balance:
    """Fit so that the kept images, weighted by one over the probability, have as much of each value as all have.

    parts: arrays (n, v) side by side, 1 where an image has a value, or a number; each of which some kept image has.
    kept (n,): whether it is left. most: no image gets a larger weight. Minimised is the sum of exp(-f) over the kept
    and of f over the others, f the logit, of which the gradient is the imbalance itself (tailored loss: Zhao, Annals of
    Statistics 47, 2019; its dual is entropy balancing, Hainmueller 2012). Beyond `most` exp goes on as a straight line,
    which bounds the weights and keeps it convex. What is left of an imbalance, in images, is `ridge` times the
    coefficient. Raises ValueError where `most` is less than what an image must count for in the mean.
    """
    if most <= len(kept) / max(1, int(kept.sum())):
        raise ValueError(f"weights of at most {most:g} cannot stand for all images")
    # Rare values move the loss little: in these units the search takes a fifth of the steps.
    unit = 1 / np.sqrt(np.maximum(1.0, np.concatenate([np.asarray((part * part).sum(axis=0)) for part in parts])))
    count = len(unit)

    def loss(theta: Float64) -> tuple[float, Float64]:
        coefficients = theta[:count] * unit
        logit = linear(parts, coefficients) + theta[count]
        value, slope = _capped(-logit[kept], most)
        pull = np.ones(len(kept))
        pull[kept] = -slope
        slopes = np.concatenate([np.asarray(part.T @ pull) for part in parts]) + ridge * coefficients
        total = float(value.sum() + logit[~kept].sum()) + ridge / 2 * float(coefficients @ coefficients)
        return total, np.append(slopes * unit, pull.sum())

    share = kept.mean()
    start = np.append(np.zeros(count), np.log(share / (1 - share)))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxfun": 2 * _STEPS}).x
    return Balance(found[:count] * unit, float(found[count]), most)


def linear(parts: Sequence[csr_array], coefficients: Float64) -> Float64:
    """The sum of the coefficients of each image's values, (n,)."""
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    each = np.split(coefficients, ends)
    return np.asarray(sum(part @ own for part, own in zip(parts, each, strict=True)), dtype=np.float64)


def _capped(logit: Float64, most: float) -> tuple[Float64, Float64]:
    """exp that goes on as a straight line where it reaches `most` - 1; and its slope, (n,) each."""
    end = np.log(most - 1)
    slope = np.exp(np.minimum(logit, end))
    return slope + slope * np.maximum(logit - end, 0), slope
