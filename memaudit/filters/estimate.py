"""How many images are of a class, and what a cut finds of them, from a stratified random sample with labels.

Of each stratum Clopper and Pearson's confidence distributions of its positives, of a sample without replacement;
what is asked of all strata is asked of many draws of them (melding; Fay, Proschan & Brittain 2015).
(docs/protocols/filters.md)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, gammaln

from memaudit.types import CONFIDENCE, Float64

DRAWS = 10_000
_MOST_SUMMED = 4_000_000  # terms of an exact distribution; beyond them the stratum is taken for endless, which is wider


class Known(NamedTuple):
    """Rows whose label was known before anything was drawn: of them none is drawn, and each stands for itself."""

    rows: int = 0
    positive: int = 0
    unsure: int = 0


class Stratum(NamedTuple):
    """rows: those without a label when the sample was drawn; drawn: of them at random, without replacement; positive:
    of the drawn; unsure: those of which nobody could tell, counted both ways by bounds and not at all by the estimate;
    known: the others."""

    rows: int
    drawn: int
    positive: int
    unsure: int = 0
    known: Known = Known()

    @property
    def all(self) -> int:
        return self.rows + self.known.rows

    @property
    def estimate(self) -> float:
        """Horvitz and Thompson's (1952): each answer stands for as many rows as there are for it."""
        answered = self.drawn - self.unsure
        return (self.rows * self.positive / answered if answered else 0.0) + self.known.positive


@dataclass(frozen=True)
class Bounded:
    """An estimate, its two-sided interval, and its one-sided lower bound of `lower_confidence`."""

    value: float
    low: float
    high: float
    lower: float


@dataclass(frozen=True)
class AtCut:
    """What the cut below the stratum of this number finds. rows: how many are at or above it."""

    stratum: int
    rows: int
    recall: Bounded
    precision: Bounded


@dataclass(frozen=True)
class Estimate:
    """positives: how many images are of the class; cuts: below each stratum but the last, the highest first;
    strata: what was drawn and found.

    error: of the lower bounds; those of intervals are two-sided, of `confidence`.
    """

    positives: Bounded
    cuts: tuple[AtCut, ...]
    strata: tuple[Stratum, ...]
    error: float
    confidence: float = CONFIDENCE

    def cut_of(self, recall: float, precision: float = 0.0) -> AtCut | None:
        """The highest cut that finds at least this share, by its lower bound, as do all below it: they are tested from
        the lowest up, so that one error is made in all. None: no cut but that below everything does, or too little of
        what is above it is of the class, by the estimate."""
        found = None
        for cut in reversed(self.cuts):
            if cut.recall.lower < recall:
                break
            found = cut
        return found if found and found.precision.value >= precision else None


def estimate(strata: list[Stratum], error: float, confidence: float = CONFIDENCE, seed: int = 0) -> Estimate:
    """Estimate what each cut between the strata, the highest first, finds."""
    cloud = Cloud(len(strata), seed)
    low, high = cloud.of(strata)
    tail = (1 - confidence) / 2
    points = np.array([stratum.estimate for stratum in strata])
    ends = (tail, 1 - tail, error)
    positives = _bounded(float(points.sum()), low.sum(axis=0), high.sum(axis=0), ends)
    cuts = tuple(_at_cut(strata, number, points, (low, high), ends) for number in range(1, len(strata)))
    return Estimate(positives, cuts, tuple(strata), error, confidence)


class Cloud:
    """Draws of uniform numbers, the same for each call: how many positives a stratum has at the least, and the most."""

    def __init__(self, strata: int, seed: int = 0, draws: int = DRAWS) -> None:
        self._uniform = np.random.default_rng(seed).random((strata, draws))

    def of(self, strata: list[Stratum]) -> tuple[Float64, Float64]:
        """Positives of each stratum (k, draws), from the lower and the upper confidence distribution."""
        both = [self.one(number, stratum) for number, stratum in enumerate(strata)]
        return np.stack([low for low, _ in both]), np.stack([high for _, high in both])

    def one(self, number: int, stratum: Stratum) -> tuple[Float64, Float64]:
        uniform = self._uniform[number]
        most = stratum._replace(positive=stratum.positive + stratum.unsure)
        known = stratum.known
        return _lower(stratum, uniform) + known.positive, _upper(most, uniform) + known.positive + known.unsure


def recall_lower(low: Float64, high: Float64, above: int, error: float) -> float:
    """The lower bound of the recall of a cut below the first `above` strata; low, high: as of `Cloud.of`."""
    return float(np.quantile(_share(low[:above].sum(axis=0), high[above:].sum(axis=0), 0.0), error, method="lower"))


def _at_cut(
    strata: list[Stratum],
    above: int,
    points: Float64,
    draws: tuple[Float64, Float64],
    ends: tuple[float, float, float],
) -> AtCut:
    low, high = draws
    rows = sum(stratum.all for stratum in strata[:above])
    found, total = float(points[:above].sum()), float(points.sum())
    least = _share(low[:above].sum(axis=0), high[above:].sum(axis=0), 0.0)
    most = _share(high[:above].sum(axis=0), low[above:].sum(axis=0), 1.0)
    recall = _bounded(found / total if total else 0.0, least, most, ends)
    precise = _bounded(found / rows, low[:above].sum(axis=0) / rows, high[:above].sum(axis=0) / rows, ends)
    return AtCut(above - 1, rows, recall, precise)


def _share(part: Float64, rest: Float64, otherwise: float) -> Float64:
    total = part + rest
    return np.asarray(np.where(total > 0, part / np.where(total > 0, total, 1), otherwise))


def _bounded(value: float, least: Float64, most: Float64, ends: tuple[float, float, float]) -> Bounded:
    low, high, lower = ends
    return Bounded(
        value,
        min(value, float(np.quantile(least, low, method="lower"))),
        max(value, float(np.quantile(most, high, method="higher"))),
        float(np.quantile(least, lower, method="lower")),
    )


def _lower(stratum: Stratum, uniform: Float64) -> Float64:
    """Positives T with P(as many found, or more | T) = uniform."""
    rows, drawn, positive, *_ = stratum
    if drawn == rows or positive == 0:
        return np.full(len(uniform), float(positive))
    if (tail := _tail(rows, drawn, positive - 1)) is not None:
        return np.asarray(np.searchsorted(1 - tail, uniform), dtype=np.float64)
    return np.asarray(np.maximum(positive, rows * betaincinv(positive, drawn - positive + 1, uniform)))


def _upper(stratum: Stratum, uniform: Float64) -> Float64:
    """Positives T with P(as few found, or fewer | T) = uniform."""
    rows, drawn, positive, *_ = stratum
    most = float(rows - (drawn - positive))
    if drawn == rows or positive == drawn:
        return np.full(len(uniform), most)
    if (tail := _tail(rows, drawn, positive)) is not None:
        return np.asarray(len(tail) - 1 - np.searchsorted(tail[::-1], uniform), dtype=np.float64)
    return np.asarray(np.minimum(most, rows * betaincinv(positive + 1, drawn - positive, uniform)))


@lru_cache(maxsize=512)
def _tail(rows: int, drawn: int, positive: int) -> Float64 | None:
    """P(at most `positive` of the drawn are positive | T of the rows are), of each T from 0 to rows, falling; None
    where it is long to sum."""
    if (positive + 1) * (rows + 1) > _MOST_SUMMED:
        return None
    total = np.arange(rows + 1.0)
    found = np.arange(positive + 1.0)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        log = _log_choose(total, found) + _log_choose(rows - total, drawn - found) - _log_choose(rows, drawn)
    chance = np.exp(np.where(np.isfinite(log), log, -np.inf)).sum(axis=0)
    return np.minimum.accumulate(np.clip(chance, 0.0, 1.0))


def _log_choose(n: Float64 | int, k: Float64 | int) -> Float64:
    """-inf where k of n cannot be."""
    possible = np.asarray((k >= 0) & (k <= n))
    value = gammaln(np.maximum(n, 0) + 1) - gammaln(np.maximum(k, 0) + 1) - gammaln(np.maximum(n - k, 0) + 1)
    return np.where(possible, value, -np.inf)
