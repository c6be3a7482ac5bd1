"""The relabelling test: are training images returned more often than held-out ones? (docs/protocols/audit.md)"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Int64

_DRAWN_AT_ONCE = 2_000_000  # numbers of a relabelling in memory
_ROUNDING = 1e-9  # equal counts are equal, in whatever order they were summed


def relabelling_p(
    weights: Int64,
    is_reference: NDArray[np.bool_],
    references: int,
    controls: int,
    *,
    permutations: int,
    seed: int,
) -> float:
    """Monte-Carlo p that the nearest images are training images this often by chance (docs/protocols/audit.md).

    weights (d,): how many generations have their nearest image, at near-duplicate scale, in the d-th group;
    is_reference (d,): whether the group's representative is a training image. Under the null the labels "training"
    and "held-out" of all references + controls images are exchangeable, so those of the d representatives are drawn
    without replacement. Statistic: the larger of two counts, of generations and of groups labelled "training", each
    less its mean and over its spread. The first alone is blind where one motif comes back by chance a hundred times,
    the second where a few memorised images do. p = (1 + #{permuted >= observed}) / (1 + permutations), or the least
    that there can be, where the draws happen to give less.
    Memory: a few million numbers.
    """
    if not len(weights):
        return 1.0
    share = references / (references + controls)
    observed = _excess(is_reference[None], weights, share)[0]
    rng = np.random.default_rng(seed)
    held_out = rng.hypergeometric(controls, references, len(weights), size=permutations)
    step = max(1, _DRAWN_AT_ONCE // len(weights))
    reached = 0
    for low in range(0, permutations, step):
        labels = _drawn(held_out[low : low + step], len(weights), rng)
        reached += int((_excess(labels, weights, share) >= observed - _ROUNDING).sum())
    return max((1 + reached) / (1 + permutations), least_relabelling_p(len(weights), references, controls))


def _drawn(held_out: Int64, groups: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """For each number of held-out labels a way to lay them out, (n, groups); True: training."""
    keys = rng.random((len(held_out), groups))
    ordered = np.c_[np.full(len(keys), -1.0), np.sort(keys, axis=1)]
    return np.asarray(keys > ordered[np.arange(len(keys)), held_out][:, None])


def _excess(labels: NDArray[np.bool_], weights: Int64, share: float) -> NDArray[np.float64]:
    """The statistic of `relabelling_p` for each row of labels. The factor that both spreads share is left out."""
    generations = (labels @ weights.astype(float) - share * weights.sum()) / np.sqrt((weights.astype(float) ** 2).sum())
    groups = (labels.sum(axis=1) - share * len(weights)) / np.sqrt(len(weights))
    return np.asarray(np.maximum(generations, groups))


def least_relabelling_p(groups: int, references: int, controls: int) -> float:
    """The chance that all of `groups` labels drawn without replacement are "training": the least p there can be."""
    from scipy.special import gammaln

    if groups > references:
        return 0.0
    total = references + controls
    parts = gammaln(np.array([references + 1, total - groups + 1, references - groups + 1, total + 1], dtype=float))
    return float(min(1.0, np.exp(parts[0] + parts[1] - parts[2] - parts[3])))
