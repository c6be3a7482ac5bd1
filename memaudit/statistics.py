"""Intervals and tests. Formulas and their sources are in docs/protocols/statistics.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import UsageError
from memaudit.types import CONFIDENCE, Coverage, Int64, Rate

_DRAWN_AT_ONCE = 2_000_000  # numbers of a relabelling in memory
_ROUNDING = 1e-9  # equal counts are equal, in whatever order they were summed
_SUMMED = 1000


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
    if count == n:
        return 1.0
    if count == 0:
        return -math.expm1(math.log(tail) / n) if tail > 0 else 1.0
    if _is_summed(count, n, tail):
        return _bisected(lambda p: _binomial_tail(int(count), int(n), p, -1) > tail, count / n, 1.0)
    return _beta_quantile(1 - tail, count + 1, n - count)


def clopper_pearson_lower(count: float, n: float, tail: float) -> float:
    """The p at which `count` or more of n would be seen with probability `tail`."""
    _require_counts(count, n)
    if count == 0:
        return 0.0
    if _is_summed(count, n, tail):
        return _bisected(lambda p: _binomial_tail(int(count), int(n), p, 1) < tail, 0.0, count / n)
    return _beta_quantile(tail, count, n - count + 1)


def _is_summed(count: float, n: float, tail: float) -> bool:
    """Few enough to be summed term by term, as a gate's reports are: sooner done than SciPy is imported. Where there is
    none, all are."""
    is_whole = float(count).is_integer() and float(n).is_integer() and 0 < tail <= 0.25
    return is_whole and (count <= _SUMMED or find_spec("scipy") is None)


def _bisected(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """The p in (low, high) at which `is_below` turns false, to the last bits."""
    for _ in range(100):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def _binomial_tail(start: int, n: int, p: float, step: int) -> float:
    """P(X >= start) with step 1, P(X <= start) with step -1, for a `start` on that side of the mode: terms fall.

    The relative error is that of lgamma: 1e-9 for a million, 1e-6 for a billion.
    """
    if p in (0.0, 1.0):
        return float(p == (step == 1))
    odds = p / (1 - p)
    term = math.exp(_log_choose(n, start) + start * math.log(p) + (n - start) * math.log1p(-p))
    total = 0.0
    for i in range(start, n + 1 if step == 1 else -1, step):
        total += term
        if term <= total * 1e-17:
            break
        term *= (n - i) / (i + 1) * odds if step == 1 else i / (n - i + 1) / odds
    return total


def _beta_quantile(q: float, a: float, b: float) -> float:
    from scipy.special import betaincinv  # imported late: it takes longer than all the rest of the gate

    return float(betaincinv(a, b, q))


def _require_counts(count: float, n: float) -> None:
    if not 0 <= count <= n:
        raise UsageError(f"a rate of {count} out of {n} is impossible: expected 0 <= count <= n")


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
    the second where a few memorised images do. p = (1 + #{permuted >= observed}) / (1 + permutations).
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
    return (1 + reached) / (1 + permutations)


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


def mcnemar_p(gained: int, lost: int) -> float:
    """Exact one-sided McNemar p: of gained + lost discordant pairs, so many or more gained by the toss of a coin.

    The two-sided p is twice the smaller of mcnemar_p(b, c) and mcnemar_p(c, b), at most 1.
    """
    if gained > lost:
        return min(1.0, _binomial_tail(gained, gained + lost, 0.5, 1))
    return 1 - _binomial_tail(gained - 1, gained + lost, 0.5, -1) if gained else 1.0


def rise_p(count: int, n: int, earlier: int, earlier_n: int) -> float:
    """One-sided Fisher exact p: that count of the n, or more, are marked by chance (hypergeometric tail).

    What `greater_rate_p` gives, without the second that scipy.stats takes to be imported.
    """
    _require_counts(count, n)
    _require_counts(earlier, earlier_n)
    marked, total = count + earlier, n + earlier_n
    whole = _log_choose(total, marked)

    def chance(i: int) -> float:
        return math.exp(_log_choose(n, i) + _log_choose(earlier_n, marked - i) - whole)

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


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


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


def normal_quantile(q: float) -> float:
    """The standard normal distribution's quantile."""
    from scipy.special import ndtri

    return float(ndtri(q))
