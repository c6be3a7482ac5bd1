"""How many more labels of which stratum a cut needs, should further ones be as those that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memaudit.filters.estimate import Cloud, Stratum, recall_lower
from memaudit.types import Float64

_DRAWS = 2000
_STEPS = 60
_GROWTH = 1.3


@dataclass(frozen=True)
class Needed:
    """Labels that a cut below the stratum `above` - 1 needs, of each stratum beside those that are there."""

    above: int
    more: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.more)


def labels_needed(strata: list[Stratum], recall: float, error: float, precision: float = 0.0) -> Needed | None:
    """The least that any cut needs whose estimated recall is above what is asked, and its precision no less; None where
    none is."""
    points = np.array([stratum.estimate for stratum in strata])
    total = points.sum()
    able = [
        above
        for above in range(1, len(strata))
        if total > 0
        and points[:above].sum() / total > recall
        and points[:above].sum() >= precision * sum(stratum.all for stratum in strata[:above])
    ]
    found = [need for above in able if (need := _for_cut(strata, above, recall, error)) is not None]
    return min(found, key=lambda need: (need.total, need.above), default=None)


def _for_cut(strata: list[Stratum], above: int, recall: float, error: float) -> Needed | None:
    """More of that stratum, step by step, which raises the bound the most for its labels."""
    cloud = Cloud(len(strata), draws=_DRAWS)
    now = list(strata)
    low, high = cloud.of(now)
    for _ in range(_STEPS):
        if recall_lower(low, high, above, error) >= recall:
            more = tuple(after.drawn - before.drawn for after, before in zip(now, strata, strict=True))
            return Needed(above, more)
        steps = list(_steps(cloud, (low, high), now, strata, above, error))
        if not steps:
            return None
        _, number, now[number] = max(steps, key=lambda step: step[:2])
        low[number], high[number] = cloud.one(number, now[number])
    return None


def _grown(stratum: Stratum, observed: Stratum) -> Stratum | None:
    """The stratum with more labels, of the same shares; None where all of it is labelled."""
    drawn = min(stratum.rows, max(stratum.drawn + 5, round(stratum.drawn * _GROWTH)))
    if drawn == stratum.drawn:
        return None
    scale = drawn / observed.drawn if observed.drawn else 0.0
    positive = min(drawn, round(observed.positive * scale))
    unsure = min(drawn - positive, round(observed.unsure * scale))
    return stratum._replace(drawn=drawn, positive=positive, unsure=unsure)


def _steps(
    cloud: Cloud, draws: tuple[Float64, Float64], now: list[Stratum], strata: list[Stratum], above: int, error: float
) -> Iterator[tuple[float, int, Stratum]]:
    """What each stratum would raise the bound by, for a label, should it have more; those that raise it."""
    bound = recall_lower(*draws, above, error)
    for number, stratum in enumerate(now):
        grown = _grown(stratum, strata[number])
        if grown is not None:
            low, high = draws[0].copy(), draws[1].copy()
            low[number], high[number] = cloud.one(number, grown)
            gain = (recall_lower(low, high, above, error) - bound) / (grown.drawn - stratum.drawn)
            if gain > 0:
                yield gain, number, grown
