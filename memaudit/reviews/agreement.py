"""How far two people agree (Cohen's kappa)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from memaudit.reviews.merging import Said, as_seen
from memaudit.reviews.verdicts import Verdict
from memaudit.statistics import clopper_pearson_lower, clopper_pearson_upper

_QUANTILE = 1.959963984540054  # of the normal distribution, for 95 %
_TAIL = 0.025


class Agreement(NamedTuple):
    """Two people, the pairs on which both are sure, and on how many they say the same. unsure: pairs on which one of
    them is not. kappa: None where both call everything the same, so that chance explains all; low, high: its 95 %
    interval."""

    one: str
    other: str
    pairs: int
    same: int
    unsure: int
    kappa: float | None
    low: float | None
    high: float | None


def agreements(said: Said) -> list[Agreement]:
    """Of every two people who have looked at a pair in common, in the order of their names."""
    by_person: dict[str, dict[tuple[str, str], Verdict | None]] = {}
    names: dict[str, str] = {}
    for pair, of_pair in said.items():
        for review in of_pair:
            name = names.setdefault(review.who.casefold(), review.who)
            by_person.setdefault(name, {})[pair] = as_seen(review)
    found = []
    for one, other in combinations(sorted(by_person), 2):
        common = by_person[one].keys() & by_person[other].keys()
        if common:
            found.append(_agreement(one, other, [(by_person[one][pair], by_person[other][pair]) for pair in common]))
    return found


def _agreement(one: str, other: str, words: Sequence[tuple[Verdict | None, Verdict | None]]) -> Agreement:
    sure = [pair for pair in words if Verdict.UNSURE not in pair]
    cells = [[sum(pair == (a, b) for pair in sure) for b in _SURE] for a in _SURE]
    same = cells[0][0] + cells[1][1]
    return Agreement(one, other, len(sure), same, len(words) - len(sure), *kappa_of(cells))


_SURE = (Verdict.COPY, Verdict.NO_COPY)


def kappa_of(cells: Sequence[Sequence[int]]) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa of a square table of counts, and its 95 % interval; nothing where chance explains everything.

    The interval is the wider one of Fleiss, Cohen & Everitt's (1969), and of what Clopper & Pearson's of the observed
    agreement makes of kappa: the first is a point where two people agree on everything, however few they have seen.
    """
    n = sum(map(sum, cells))
    rows, columns = [sum(row) for row in cells], [sum(column) for column in zip(*cells, strict=True)]
    expected = sum(row * column for row, column in zip(rows, columns, strict=True)) / n**2 if n else 1.0
    if expected >= 1:
        return None, None, None
    same = sum(cells[i][i] for i in range(len(cells)))
    kappa = (same / n - expected) / (1 - expected)
    error = _QUANTILE * math.sqrt(_variance(cells, rows, columns, kappa, expected) / n)
    ends = (clopper_pearson_lower(same, n, _TAIL), clopper_pearson_upper(same, n, _TAIL))
    low, high = ((end - expected) / (1 - expected) for end in ends)
    return kappa, max(-1.0, min(low, kappa - error)), min(1.0, max(high, kappa + error))


def _variance(
    cells: Sequence[Sequence[int]], rows: Sequence[int], columns: Sequence[int], kappa: float, expected: float
) -> float:
    """Of kappa, times n (Fleiss, Cohen & Everitt 1969, equation 13)."""
    n, size = sum(rows), range(len(rows))
    diagonal = sum(cells[i][i] / n * (1 - (rows[i] + columns[i]) / n * (1 - kappa)) ** 2 for i in size)
    beside = sum(cells[i][j] / n * ((columns[i] + rows[j]) / n) ** 2 for i in size for j in size if i != j)
    rest = (kappa - expected * (1 - kappa)) ** 2
    return max(0.0, diagonal + (1 - kappa) ** 2 * beside - rest) / (1 - expected) ** 2
