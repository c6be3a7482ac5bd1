"""The generalisation gap of FLD: does a density around the generations explain training images better than held-out
ones? (Jiralerspong et al. 2023, arXiv 2302.04440)"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memaudit.types import Float32

EPOCHS, RATE = 50, 0.5
_BACKGROUND = (1 - 0.1) ** 2  # the authors shrink distances to the mean of the training set by a tenth
_LEAST_SPREAD = 1e-5  # float32 unit vectors that are all alike spread by less


class Gap(NamedTuple):
    """FLD(train) - FLD(test), None where it cannot be computed; below 0 is overfitting."""

    value: float | None
    note: str = ""


def generalisation_gap(training: Float32, control: Float32, generations: Float32) -> Gap:
    """100 x (mean negative log likelihood of training minus of held-out images) / dimensions.

    As in the authors' code: features scaled by mean and deviation of the held-out images; a mixture of one isotropic
    Gaussian for each generation; their log variances fitted to the training images by Adam (50 steps of 0.5, all
    images in each), from the log of the squared distance to the nearest training image by dimension, with a background
    around the training mean that is used for fitting alone; log variances kept within -40 and 20. Dimensions in which
    the held-out images do not vary are left out.
    """
    import torch

    deviation = control.std(axis=0, ddof=1)
    used = deviation > _LEAST_SPREAD
    if not used.any():
        return Gap(None, "FLD gap: the held-out images are all alike")
    mean, scale = control.mean(axis=0)[used], deviation[used]
    sides = [torch.from_numpy(np.ascontiguousarray((side[:, used] - mean) / scale)) for side in (training, control)]
    centres = torch.from_numpy(np.ascontiguousarray((generations[:, used] - mean) / scale))
    distances = [_squared(side, centres) for side in sides]
    background = _BACKGROUND * _squared(sides[0], sides[0].mean(dim=0, keepdim=True))
    log_variance = _fitted(distances[0], background, centres.shape[1])
    train, test = (float(-_likelihood(d, log_variance, centres.shape[1]).mean() / centres.shape[1]) for d in distances)
    return Gap(100 * (train - test))


def _squared(left: Any, right: Any) -> Any:
    """Squared distances without the shortcut by products, which loses the small ones that matter here."""
    import torch

    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist") ** 2


def _fitted(distances: Any, background: Any, dim: int) -> Any:
    """Log variances of the Gaussians that make the training images most likely."""
    import torch

    log_variance = ((distances.min(dim=0).values + 1e-3) / dim).log().requires_grad_()
    wide = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([log_variance, wide], lr=RATE)
    for _ in range(EPOCHS):
        optimiser.zero_grad()
        near = _log_densities(distances, log_variance, dim) - np.log(distances.shape[1])
        far = _log_densities(background, wide, dim)
        loss = -torch.logsumexp(torch.cat([near, far], dim=1), dim=1).mean() / dim
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            log_variance.clamp_(-40, 20)
    return log_variance.detach()


def _likelihood(distances: Any, log_variance: Any, dim: int) -> Any:
    import torch

    return torch.logsumexp(_log_densities(distances, log_variance, dim) - np.log(distances.shape[1]), dim=1)


def _log_densities(distances: Any, log_variance: Any, dim: int) -> Any:
    return -0.5 * distances / log_variance.exp() - dim / 2 * (log_variance + np.log(2 * np.pi))
