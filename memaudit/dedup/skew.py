"""Removal skew: what a removal does to captions, metadata, sizes and simplicity (docs/protocols/dedup.md)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import betaincinv

from memaudit.dedup.results import Decision, Decisions, Removal, Skew
from memaudit.dedup.skew_sums import Sums, ValueCounter, in_families
from memaudit.dedup.skew_values import absent_values, entries_of
from memaudit.dedup.texts import Texts
from memaudit.statistics import benjamini_hochberg
from memaudit.store import Columns
from memaudit.types import CONFIDENCE, Float64, Int64, Status

AT_ONCE = 32_768  # images
MIN_SUPPORT = 20  # images before the removal, for a value to be looked at


def removal_skew(
    columns: Columns, decisions: Decisions, family: Int64, rank: Int64, read_texts: Callable[[], Texts] | None = None
) -> Removal:
    """Compare the images kept with all that were read, for every word, metadata value, size and simplicity band.

    family (rows,): label of each row's set of linked duplicates. rank: the order in which values are met, so that what
    the caps leave out does not depend on the order of rows. read_texts: captions and metadata, where the columns do
    not hold them. Memory: that of `ValueCounter`, and of `Texts`.
    """
    rows = np.flatnonzero(columns.status != Status.UNREADABLE)
    kept = decisions.decision == Decision.KEEP
    after = int(kept.sum())
    if after in (0, len(rows)):
        reason = "nothing was removed" if after else "nothing is left"
        return Removal(len(rows), after, _none(), {}, reason)
    counter, texts = ValueCounter(), read_texts() if read_texts else None
    ordered = in_families(rows, family, rank)
    for low in range(0, len(ordered), AT_ONCE):
        part = ordered[low : low + AT_ONCE]
        counter.add(family[part], kept[part], entries_of(texts.at(columns, part) if texts else columns.at(part)))
    inside, outside = counter.finish()
    note = texts.absent if texts else absent_values(columns)
    skew = weigh(list(counter.values.codes), inside, outside)
    return Removal(len(rows), after, skew, dict(sorted(counter.values.left_out.items())), note)


def _none() -> Skew:
    text, count, number = np.empty(0, dtype=object), np.empty(0, np.int64), np.empty(0)
    return Skew(text, text, count, count, count, number, number, number, number, number)


def weigh(keys: list[tuple[str, str]], inside: Sums, outside: Sums) -> Skew:
    """The skew of each (feature, value) from the sums of its images and of all others; largest change first.

    ratio = share after / share before = s / (w s + (1 - w) t), with s and t the shares kept inside and outside, and w
    the value's share before. Its interval follows from those of s and t at half the error each (Bonferroni).
    p: Fisher's exact test, two-sided by doubling, on the effective numbers of images; q: Benjamini & Hochberg 1995.
    """
    chosen = np.flatnonzero((inside.n >= MIN_SUPPORT) & (outside.n > 0))
    if not len(chosen):
        return _none()
    inside, outside = (Sums(*(column[chosen] for column in sums)) for sums in (inside, outside))
    weight = inside.n / (inside.n + outside.n)
    s, t = inside.k / inside.n, outside.k / outside.n
    (s_low, s_high), (t_low, t_high) = (_interval(sums, (1 - CONFIDENCE) / 4) for sums in (inside, outside))
    p = _fisher(inside, outside)
    feature, value = (np.array([keys[i][side] for i in chosen], dtype=object) for side in (0, 1))
    ratio = _ratio(s, t, weight)
    with np.errstate(divide="ignore"):
        order = np.lexsort((value.astype(str), feature.astype(str), p, -np.abs(np.log(ratio))))
    return Skew(
        feature=feature[order],
        value=value[order],
        before=inside.n[order].astype(np.int64),
        after=inside.k[order].astype(np.int64),
        families=inside.families[order].astype(np.int64),
        ratio=ratio[order],
        low=_ratio(s_low, t_high, weight)[order],
        high=_ratio(s_high, t_low, weight)[order],
        p=p[order],
        q=benjamini_hochberg(p)[order],
    )


def _ratio(inside: Float64, outside: Float64, weight: Float64) -> Float64:
    return np.asarray(inside / (weight * inside + (1 - weight) * outside))


def _draws(sums: Sums) -> Float64:
    """As how many independent images these count: removals come in families (Korn & Graubard 1998, linearised).

    At most as many as families of equal size (Kish 1965); at least one.
    """
    rate = sums.k / sums.n
    spread = sums.kk - 2 * rate * sums.nk + rate**2 * sums.nn
    variance = np.maximum(spread, 0) * sums.families / np.maximum(1, sums.families - 1) / sums.n**2
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where(variance > 0, rate * (1 - rate) / variance, np.inf)
    return np.clip(draws, 1, np.maximum(1, sums.n**2 / sums.nn))


def _interval(sums: Sums, tail: float) -> tuple[Float64, Float64]:
    """Clopper-Pearson for k / n, with the effective number of images."""
    draws, rate = _draws(sums), sums.k / sums.n
    count = np.minimum(draws, rate * draws)
    with np.errstate(invalid="ignore"):
        low = np.where(count > 0, betaincinv(count, draws - count + 1, tail), 0.0)
        high = np.where(count < draws, betaincinv(count + 1, draws - count, 1 - tail), 1.0)
    return low, high


def _fisher(inside: Sums, outside: Sums) -> Float64:
    """Two-sided p, by doubling, that inside and outside have one rate; effective counts are rounded."""
    from scipy.stats import hypergeom  # the half of a second that it takes: only where something was removed

    n, m = np.floor(_draws(inside)), np.floor(_draws(outside))
    x, y = np.rint(n * inside.k / inside.n), np.rint(m * outside.k / outside.n)
    fewer = hypergeom.cdf(x, n + m, x + y, n)
    more = hypergeom.sf(x - 1, n + m, x + y, n)
    return np.asarray(np.clip(2 * np.minimum(fewer, more), 0, 1))
