"""What comes in clumps: as how many independent draws it counts. (docs/protocols/statistics.md)"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memaudit.statistics.shares import clopper_pearson_lower, clopper_pearson_upper, rate_of
from memaudit.types import CONFIDENCE, Coverage, Float64, Int64, Rate


def ratio_interval(found: Int64, true: Int64, confidence: float) -> tuple[float, float]:
    """Interval of sum(found) / sum(true) over sampled rows with found <= true and true > 0 (Korn & Graubard 1998).

    Pairs come in clumps by row, so rows are the unit: Clopper-Pearson for as many independent draws as would have the
    variance of the ratio (linearised), and at most for as many rows as hold equal shares (Kish 1965), also when
    nothing was missed. A bootstrap of the rows covers the truth far too rarely when few of them hold the misses, and
    cannot see a miss that the sample does not hold; neither does this see a large clump that no row was drawn from.
    With nothing missed the lower end is the one-sided bound, and the upper end is 1.
    """
    ratio, draws = float(found.sum() / true.sum()), effective_draws(found, true)
    if ratio == 1:
        return clopper_pearson_lower(draws, draws, 1 - confidence), 1.0
    tail = (1 - confidence) / 2
    count = min(draws, ratio * draws)
    return clopper_pearson_lower(count, draws, tail), clopper_pearson_upper(count, draws, tail)


def kish(sizes: NDArray[np.generic]) -> float:
    """As how many clumps of equal size those of these sizes count: (sum)^2 / sum of squares (Kish 1965)."""
    weights = sizes.astype(np.float64)
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def effective_draws(found: Int64 | Float64, drawn: Int64 | Float64) -> float:
    """As how many independent draws sum(drawn) count that came in clumps: the seeds of a prompt, say.

    found, drawn (units,): of each clump how many draws there are, and how many of them were found. p (1 - p) over the
    linearised variance of the share, and never more than clumps of equal size: also where nothing was found, for a
    miss that no clump shows may be one of a whole clump.
    """
    most, units = kish(drawn), len(drawn)
    total = float(drawn.sum())
    if not total or units < 2:
        return most
    share = float(found.sum()) / total
    variance = units / (units - 1) * float(((found - share * drawn) ** 2).sum()) / total**2
    return min(most, share * (1 - share) / variance) if variance > 0 else most


def rate_by_unit(found: NDArray[np.bool_], unit: Int64, coverage: Coverage, confidence: float = CONFIDENCE) -> Rate:
    """The share of draws that were found, with bounds that take the units for independent, not the draws.

    found, unit (n,): of each measured draw whether it was found, and the number of its unit.
    """
    _, place = np.unique(unit, return_inverse=True)
    drawn = np.bincount(place)
    hits = np.bincount(place, weights=found, minlength=len(drawn))
    effective = None if len(drawn) == len(unit) else effective_draws(hits, drawn)
    return rate_of(int(found.sum()), coverage, confidence, effective)
