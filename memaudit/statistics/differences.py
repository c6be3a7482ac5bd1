"""Two rates: whether one is above the other by more than chance, and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.statistics.shares import (
    binomial_tail,
    clopper_pearson_lower,
    clopper_pearson_upper,
    log_choose,
    require_counts,
)


def greater_rate_p(count: int, n: int, control_count: int, control_n: int) -> float:
    """One-sided Fisher exact p that count/n is above control_count/control_n by chance."""
    from scipy.stats import fisher_exact

    table = [[count, n - count], [control_count, control_n - control_count]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def greater_rates_p(
    counts: NDArray[np.integer], n: NDArray[np.integer], controls: NDArray[np.integer], control_n: NDArray[np.integer]
) -> float:
    """One-sided exact p that the counts' sum is above what the controls of the same strata give, by chance.

    counts, n, controls, control_n (strata,): marked ones and all, of either side. Within each stratum the sides of the
    marked ones are drawn (hypergeometric); their numbers are added over the strata (Gart 1970). Of one stratum it is
    Fisher's test.
    """
    from scipy.stats import hypergeom

    law, least = np.ones(1), 0
    for marked, mine, others in zip((counts + controls).tolist(), n.tolist(), control_n.tolist(), strict=True):
        low, high = max(0, marked - others), min(marked, mine)
        law = np.convolve(law, hypergeom.pmf(np.arange(low, high + 1), mine + others, marked, mine))
        least += low
    return float(min(1.0, law[max(0, int(counts.sum()) - least) :].sum()))


def mcnemar_p(gained: int, lost: int) -> float:
    """Exact one-sided McNemar p: of gained + lost discordant pairs, so many or more gained by the toss of a coin.

    The two-sided p is twice the smaller of mcnemar_p(b, c) and mcnemar_p(c, b), at most 1.
    """
    if gained > lost:
        return min(1.0, binomial_tail(gained, gained + lost, 0.5, 1))
    return 1 - binomial_tail(gained - 1, gained + lost, 0.5, -1) if gained else 1.0


def rise_p(count: int, n: int, earlier: int, earlier_n: int) -> float:
    """One-sided Fisher exact p: that count of the n, or more, are marked by chance (hypergeometric tail).

    What `greater_rate_p` gives, without the second that scipy.stats takes to be imported.
    """
    require_counts(count, n)
    require_counts(earlier, earlier_n)
    marked, total = count + earlier, n + earlier_n
    whole = log_choose(total, marked)

    def chance(i: int) -> float:
        return math.exp(log_choose(n, i) + log_choose(earlier_n, marked - i) - whole)

    least, most = max(0, marked - earlier_n), min(marked, n)
    if count * total > marked * n:
        return min(1.0, _falling_sum(chance, range(count, most + 1)))
    return max(0.0, 1 - _falling_sum(chance, range(count - 1, least - 1, -1)))


def _falling_sum(chance: Callable[[int], float], values: range) -> float:
    """Sum of chances that fall, away from the mode, faster than geometrically: few standard deviations matter."""
    total = 0.0
    for value in values:
        term = chance(value)
        total += term
        if term <= total * 1e-17:
            break
    return total


class Rise(NamedTuple):
    """How much a rate rose: the estimate, and one-sided bounds, each wrong at most as often as the error allows."""

    value: float
    low: float
    high: float


def rise_between(count: int, n: int, earlier: int, earlier_n: int, error: float) -> Rise:
    """count / n - earlier / earlier_n with bounds from a Clopper-Pearson bound of each at half the error (Bonferroni).

    Conservative, for independent samples as for pairs: with pairs, count and earlier are the discordant ones of the
    same n. Nothing measured bounds nothing: [-1, 1].
    """
    value = (count / n if n else 0.0) - (earlier / earlier_n if earlier_n else 0.0)
    high = clopper_pearson_upper(count, n, error / 2) - clopper_pearson_lower(earlier, earlier_n, error / 2)
    low = clopper_pearson_lower(count, n, error / 2) - clopper_pearson_upper(earlier, earlier_n, error / 2)
    return Rise(value, low, high)
