"""Which generations stand out, one by one, against what held-out images give."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.results import Discoveries, Scores
from memaudit.statistics import benjamini_hochberg, rank_p
from memaudit.types import Float32

LEVEL = 0.05


def discoveries(scores: Scores, counted: NDArray[np.bool_], control: Float32, level: float = LEVEL) -> Discoveries:
    """Test each generation's best similarity by its rank among the held-out images' (docs/protocols/audit.md).

    counted: the generations that are pictures of their own; one that repeats another's picture shares its p. Of
    `control` every held-out image counts, near-duplicates of training images as well: that can only make p larger.
    """
    similarity = scores.best_similarity
    measured, tested = np.isfinite(similarity), np.isfinite(similarity) & counted
    p, adjusted = np.full(len(similarity), np.nan), np.full(len(similarity), np.nan)
    p[measured] = rank_p(similarity[measured], control[np.isfinite(control)])
    count, controls = int(tested.sum()), int(np.isfinite(control).sum())
    if count:
        distinct, place = np.unique(p[tested], return_index=True)
        adjusted[measured] = benjamini_hochberg(p[tested])[place][
            np.minimum(np.searchsorted(distinct, p[measured]), len(distinct) - 1)
        ]
    least = 1 / (1 + controls)
    return Discoveries(
        q=level,
        tested=count,
        controls=controls,
        found=int((adjusted[tested] <= level).sum()),
        least_p=least,
        needed=math.ceil(round(count * least / level, 9)),
        p=p,
        adjusted=adjusted,
    )
