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


def clopper_pearson_upper(count: float, n: float, tail: float) -> float:
    """The p at which `count` or fewer of n would be seen with probability `tail` (Clopper & Pearson 1934)."""
    _require_counts(count, n)
    return 1.0 if count == n else _beta_quantile(1 - tail, count + 1, n - count)


def clopper_pearson_lower(count: float, n: float, tail: float) -> float:
    """The p at which `count` or more of n would be seen with probability `tail`."""
    _require_counts(count, n)
    return 0.0 if count == 0 else _beta_quantile(tail, count, n - count + 1)


def _beta_quantile(q: float, a: float, b: float) -> float:
    from scipy.special import betaincinv  # imported late: it is a third of the gate's start-up time

    return float(betaincinv(a, b, q))


def _require_counts(count: float, n: float) -> None:
    if not 0 <= count <= n:
        raise UsageError(f"a rate of {count} out of {n} is impossible: expected 0 <= count <= n")


def relabelling_p(
    weights: Int64,
    is_reference: NDArray[np.bool_],
    sizes: Int64,
    references: int,
    controls: int,
    *,
    permutations: int,
    seed: int,
) -> float:
    """Monte-Carlo p that the nearest images are training images this often by chance (docs/protocols.md).

    weights (d,): how many generations have their nearest image, at near-duplicate scale, in the d-th family;
    is_reference (d,): whether the family lies among the training images; sizes (d,): how many images it has.
    Under the null the labels "training" and "held-out" of all references + controls images are exchangeable. A single
    image's label is drawn without replacement. A family of m was only looked at because no label in it differs, so
    the odds are (references / controls)^m, and never below those of a single image: splits may keep families whole.
    p = (1 + #{permuted >= observed}) / (1 + permutations).
    """
    observed = int(weights[is_reference].sum())
    if not len(weights):
        return 1.0
    rng = np.random.default_rng(seed)
    single = weights[sizes == 1]
    families, chance = weights[sizes > 1], _chance_of_training(sizes[sizes > 1], references, controls)
    held_out = rng.hypergeometric(controls, references, len(single), size=permutations)
    reached = 0
    for drawn in held_out:
        permuted = single.sum() - rng.permutation(single)[:drawn].sum()
        permuted += families[rng.random(len(families)) < chance].sum()
        reached += int(permuted >= observed)
    return (1 + reached) / (1 + permutations)


def _chance_of_training(sizes: Int64, references: int, controls: int) -> NDArray[np.float64]:
    """R^m / (R^m + C^m), computed from C / R to stay in range."""
    if not references or not controls:
        return np.full(len(sizes), float(references > 0))
    ratio = controls / references
    return 1 / (1 + ratio ** np.where(ratio < 1, sizes, 1).astype(float))


def greater_rate_p(count: int, n: int, control_count: int, control_n: int) -> float:
    """One-sided Fisher exact p that count/n is above control_count/control_n by chance."""
    from scipy.stats import fisher_exact

    table = [[count, n - count], [control_count, control_n - control_count]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def ratio_interval(found: Int64, true: Int64, confidence: float) -> tuple[float, float]:
    """Interval of sum(found) / sum(true) over sampled rows with found <= true and true > 0 (Korn & Graubard 1998).

    Pairs come in clumps by row, so rows are the unit: Clopper-Pearson for as many independent draws as would have the
    variance of the ratio (linearised), at most one for each row. A bootstrap of the rows covers the truth far too
    rarely when few of them hold the misses, and cannot see a miss that the sample does not hold.
    With nothing missed the lower end is the one-sided bound, and the upper end is 1.
    """
    rows, ratio = len(true), float(found.sum() / true.sum())
    if ratio == 1:
        return clopper_pearson_lower(rows, rows, 1 - confidence), 1.0
    spread = float(((found - ratio * true) ** 2).sum())
    variance = spread * rows / max(1, rows - 1) / float(true.sum()) ** 2
    draws = min(float(rows), ratio * (1 - ratio) / variance) if variance else float(rows)
    tail = (1 - confidence) / 2
    count = min(draws, ratio * draws)
    return clopper_pearson_lower(count, draws, tail), clopper_pearson_upper(count, draws, tail)


def normal_quantile(q: float) -> float:
    """The standard normal distribution's quantile."""
    from scipy.special import ndtri

    return float(ndtri(q))
