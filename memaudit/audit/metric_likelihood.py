"""The generalisation gap of FLD: does a density around the generations explain training images better than held-out
ones? (Jiralerspong et al. 2023, arXiv 2302.04440)"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.types import Float32, Float64

EPOCHS, RATE = 50, 0.5
_FIRST_STOP, _LOOKED_BACK, _SETTLED = 7, 5, 5e-4
_LARGEST = 40.0  # log variance
_BACKGROUND = (1 - 0.1) ** 2  # the authors shrink distances to the mean of the training set by a tenth
_LEAST_SPREAD = 1e-5  # float32 unit vectors that are all alike spread by less


class Gap(NamedTuple):
    """FLD(train) - FLD(test), None where it cannot be computed; below 0 is overfitting."""

    value: float | None
    note: str = ""


def generalisation_gap(training: Float32, control: Float32, generations: Float32) -> Gap:
    """100 x (mean negative log likelihood of training minus of held-out images) / dimensions.

    As in the authors' code: features scaled by mean and deviation of the held-out images; a mixture of one isotropic
    Gaussian for each generation; their log variances fitted to the training images by Adam (at most 50 steps of 0.5,
    all images in each, fewer where from the seventh on the last five losses are within 5e-4 of the newest), from the
    log of the squared distance to the nearest training image by dimension, with a background around the training mean
    that is used for fitting alone; log variances kept within -40 and 40. Dimensions in which the held-out images do not
    vary are left out. Computed in float64. Memory: some ten arrays of training or held-out images x generations.
    """
    deviation = control.std(axis=0, ddof=1)
    used = deviation > _LEAST_SPREAD
    if not used.any():
        return Gap(None, "FLD gap: the held-out images are all alike")
    mean, scale = control.mean(axis=0)[used], deviation[used]
    scaled, held_out, centres = ((side[:, used] - mean) / scale for side in (training, control, generations))
    distances, dim = _squared(scaled, centres), int(used.sum())
    background = _BACKGROUND * _squared(scaled, scaled.mean(axis=0, keepdims=True))
    log_variance = _fitted(distances, background, dim)
    train, test = (-_likelihood(d, log_variance, dim) / dim for d in (distances, _squared(held_out, centres)))
    return Gap(100 * (train - test))


def _squared(left: Float32, right: Float32) -> Float64:
    """Squared distances without the shortcut by products, which loses the small ones that matter here."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(left, right, "sqeuclidean"))


def _fitted(distances: Float64, background: Float64, dim: int) -> Float64:
    """Log variances of the Gaussians that make the training images most likely, by Adam (Kingma & Ba 2015)."""
    start = np.log((distances.min(axis=0) + 1e-3) / dim)
    squares, values = np.c_[distances, background], np.append(start, 0.0)
    shares = np.append(np.full(len(start), -np.log(len(start))), 0.0)
    first, second, losses = np.zeros_like(values), np.zeros_like(values), list[float]()
    for step in range(1, EPOCHS + 1):
        loss, slope = _loss_and_slope(squares, values, shares, dim)
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        values = values - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        values[:-1] = values[:-1].clip(-_LARGEST, _LARGEST)  # not the background's
        losses.append(loss)
        if step >= _FIRST_STOP and max(abs(loss - each) for each in losses[-_LOOKED_BACK:]) < _SETTLED:
            break
    return values[:-1]


def _loss_and_slope(squares: Float64, log_variance: Float64, shares: Float64, dim: int) -> tuple[float, Float64]:
    """The mean negative log likelihood by dimension, and its gradient with respect to the log variances."""
    weights = _log_densities(squares, log_variance, dim) + shares
    sums = _log_sums(weights)
    weights -= sums[:, None]
    np.exp(weights, out=weights)
    mass, moment = weights.sum(axis=0), np.einsum("ij,ij->j", weights, squares)
    slope = -(0.5 * moment * np.exp(-log_variance) - dim / 2 * mass) / (dim * len(squares))
    return -float(sums.mean()) / dim, np.asarray(slope)


def _likelihood(distances: Float64, log_variance: Float64, dim: int) -> float:
    """Mean log likelihood under the mixture."""
    return float(_log_sums(_log_densities(distances, log_variance, dim)).mean() - np.log(distances.shape[1]))


def _log_densities(distances: Float64, log_variance: Float64, dim: int) -> Float64:
    return np.asarray(distances * (-0.5 * np.exp(-log_variance)) - dim / 2 * (log_variance + np.log(2 * np.pi)))


def _log_sums(values: Float64) -> Float64:
    """log sum exp of each row."""
    top = values.max(axis=1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(axis=1)))
