"""Intervals and tests. Formulas and their sources are in docs/protocols.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import UsageError
from memaudit.records import CONFIDENCE, Coverage, Int64, Rate


def rate_of(count: int, coverage: Coverage, confidence: float = CONFIDENCE) -> Rate:
    """Build a rate; with nothing measured its interval is [0, 1], which no policy can mistake for "clean"."""
    n = coverage.measured
    tail = (1 - confidence) / 2
    return Rate(
        count,
        coverage,
        low=clopper_pearson_lower(count, n, tail),
        high=clopper_pearson_upper(count, n, tail),
        upper=clopper_pearson_upper(count, n, 1 - confidence),
        confidence=confidence,
    )


def clopper_pearson_upper(count: int, n: int, tail: float) -> float:
    """The p at which `count` or fewer of n would be seen with probability `tail` (Clopper & Pearson 1934)."""
    _require_counts(count, n)
    return 1.0 if count == n else _beta_quantile(1 - tail, count + 1, n - count)


def clopper_pearson_lower(count: int, n: int, tail: float) -> float:
    """The p at which `count` or more of n would be seen with probability `tail`."""
    _require_counts(count, n)
    return 0.0 if count == 0 else _beta_quantile(tail, count, n - count + 1)


def _beta_quantile(q: float, a: float, b: float) -> float:
    from scipy.special import betaincinv  # imported late: it is a third of the gate's start-up time

    return float(betaincinv(a, b, q))


def _require_counts(count: int, n: int) -> None:
    if not 0 <= count <= n:
        raise UsageError(f"a rate of {count} out of {n} is impossible: expected 0 <= count <= n")


def relabelling_p(
    weights: Int64, is_reference: NDArray[np.bool_], references: int, controls: int, *, permutations: int, seed: int
) -> float:
    """Exact Monte-Carlo p that the nearest images are training images this often by chance (docs/protocols.md).

    weights (d,): how many generations have the d-th distinct image as their nearest at near-duplicate scale;
    is_reference (d,): whether that image is a training image. Under the null the labels "training" and "held-out"
    of all references + controls images are exchangeable, so the d labels are drawn without replacement.
    p = (1 + #{permuted >= observed}) / (1 + permutations).
    """
    observed = int(weights[is_reference].sum())
    rng = np.random.default_rng(seed)
    if not len(weights):
        return 1.0
    held_out = rng.hypergeometric(controls, references, len(weights), size=permutations)
    total = int(weights.sum())
    reached = sum(total - int(rng.permutation(weights)[:drawn].sum()) >= observed for drawn in held_out)
    return (1 + reached) / (1 + permutations)


def greater_rate_p(count: int, n: int, control_count: int, control_n: int) -> float:
    """One-sided Fisher exact p that count/n is above control_count/control_n by chance."""
    from scipy.stats import fisher_exact

    table = [[count, n - count], [control_count, control_n - control_count]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def bootstrap_ratio(found: Int64, true: Int64, *, resamples: int, confidence: float, seed: int) -> tuple[float, float]:
    """Percentile interval of sum(found) / sum(true), resampling the rows that both arrays describe together.

    Rows are the unit because pairs come in clumps by row. All rows complete gives (1, 1): the caller then needs
    another bound, for a bootstrap cannot see a miss that the sample does not hold.
    """
    rng = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    for i in range(resamples):
        pick = rng.integers(0, len(true), len(true))
        ratios[i] = found[pick].sum() / max(1, true[pick].sum())
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)
