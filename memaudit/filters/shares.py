"""What a filter does to shares, and what weights undo of it."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from memaudit.dedup.skew import weigh
from memaudit.filters.results import Shares
from memaudit.filters.selection import Selection
from memaudit.filters.values import Values, sums_of
from memaudit.types import CONFIDENCE, Float64


def shares_of(values: Values, chosen: Selection, weight: Float64) -> Shares:
    """weight (n,): of kept images, 0 of the others.

    The interval is Clopper & Pearson's with the effective number of images: p (1 - p) over the linearised variance of
    the weighted share with families as the unit (Korn & Graubard 1998), at most the effective number by weights (Kish).
    """
    kept = chosen.kept.astype(np.float64)
    having, lacking, _ = sums_of(values.of, kept, chosen.family)
    skew = weigh(values.names, having, lacking)
    place = {name: number for number, name in enumerate(values.names)}
    order = np.array([place[name] for name in zip(skew.feature, skew.value, strict=True)], dtype=np.int64)
    weighted, _, crossed = sums_of(values.of, weight, chosen.family)
    total, by_family = weight.sum(), np.bincount(chosen.family, weight)
    everywhere = lacking.k == 0  # a sum of weights differs in its last digits from that of the same in another order
    share = np.where(everywhere, 1.0, weighted.k / total)
    spread = weighted.kk - 2 * share * crossed + share**2 * float(by_family @ by_family)
    spread[everywhere] = 0.0
    low, high = _interval(share, spread / total**2, total**2 / float(by_family @ by_family))
    share, low, high = share[order], low[order], high[order]
    before, after = skew.before / len(kept), skew.after / kept.sum()
    deviation = np.sqrt(before * (1 - before))
    return Shares(
        *(skew.feature, skew.value, skew.before, skew.after, skew.families),
        *(before, after, share, low, high),
        *(skew.ratio, skew.low, skew.high, skew.p, skew.q),
        *((after - before) / deviation, (share - before) / deviation),
    )


def _interval(share: Float64, variance: Float64, most: float) -> tuple[Float64, Float64]:
    tail = (1 - CONFIDENCE) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where(variance > 1e-18, share * (1 - share) / variance, np.inf)
        draws = np.clip(draws, 1, max(1.0, most))
        count = np.clip(share, 0, 1) * draws
        low = np.where(count > 0, betaincinv(count, draws - count + 1, tail), 0.0)
        high = np.where(count < draws, betaincinv(count + 1, draws - count, 1 - tail), 1.0)
    return low, high
