"""p-values by rank among the held-out images, and what is left of them when they are many."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def rank_p(scores: NDArray[Any], control: NDArray[Any]) -> NDArray[np.float64]:
    """p of each score by its rank among the control's: (1 + #{control >= score}) / (1 + n)."""
    ordered = np.sort(control)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + at_least) / (1 + len(ordered)), dtype=np.float64)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values (Benjamini & Hochberg 1995): at most q of those with adjusted <= q are false, on average."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1].clip(max=1.0)
    return adjusted


def combined_p(p: NDArray[np.float64]) -> float:
    """p of independent tests together (Fisher 1925): that all their nulls hold. At least as large as it should be where
    the p-values are discrete; 1 of none."""
    from scipy.special import pdtr

    return float(pdtr(len(p) - 1, -np.log(p).sum())) if len(p) else 1.0


def normal_quantile(q: float) -> float:
    """The standard normal distribution's quantile."""
    from scipy.special import ndtri

    return float(ndtri(q))
