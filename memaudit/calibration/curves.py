"""Precision and recall over a similarity or a probability, and the point at which a goal is met.

The steps of a curve do not hang on the labels. A goal is sought from the end where it is met most surely, to the last
point before the first one whose lower end falls short of it: tested in an order that was fixed before, no point costs
the others confidence (Learn then Test, Angelopoulos et al. 2021). Where that begins for a precision hangs on how many
pairs were labelled, and not on what they were called.

Steps between which no labelled pair lies find the same pairs: labels do not tell them apart. Of these the one stands
for all that is safest for what the goal is about. For a precision, which comes down, it is the highest: nothing that
nobody looked at is found. For a recall, which goes up, it is the lowest: nothing that nobody looked at is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from memaudit.calibration.estimates import Ends, Mask, Ratio, most_shown, ratio_of
from memaudit.types import Float32, Float64

SIMILARITIES = np.round(np.arange(0.005, 1.0001, 0.005), 3)
PROBABILITIES = np.round(np.arange(0.01, 1.0, 0.01), 2)


class Goal(NamedTuple):
    """A share, of precision or of recall, whose lower end is to be reached."""

    name: str
    share: float


class Labelled(NamedTuple):
    """Labelled pairs, columns of (n,). probability: NaN where pixels could not be compared, which is
    found from no probability on. copy: all who were sure
    call it one; doubtful: nobody was sure, or people disagree. weight: how many pairs of the set it stands for."""

    similarity: Float32
    probability: Float32
    copy: Mask
    doubtful: Mask
    weight: Float64
    ends: Ends

    def where(self, chosen: Mask) -> Labelled:
        return Labelled(
            self.similarity[chosen],
            self.probability[chosen],
            self.copy[chosen],
            self.doubtful[chosen],
            self.weight[chosen],
            self.ends.where(chosen),
        )

    @property
    def compared(self) -> Labelled:
        """Those whose pixels were."""
        return self.where(~np.isnan(self.probability))

    def precision(self, found: Mask) -> Ratio:
        """Copies among those found. What is doubtful counts as none."""
        return ratio_of(found & self.copy, found, self.weight, self.ends)

    def recall(self, found: Mask) -> Ratio:
        """Those found among the copies. What is doubtful counts as one that was not found."""
        return ratio_of(found & self.copy, self.copy | (self.doubtful & ~found), self.weight, self.ends)


class Point(NamedTuple):
    """What is so where pairs are found from `at` on."""

    at: float
    precision: Ratio
    recall: Ratio


def points_of(labelled: Labelled, scale: Float32, grid: Float64, beside: Mask | None = None) -> Iterator[Point]:
    """A point for each step of the grid, in its order, at which other pairs are found than at the one before it: of
    steps that find the same pairs, the first.

    scale (n,): similarity or probability. beside (n,): found whatever that is.
    """
    before = 0
    for at in grid:
        found = scale >= np.float32(at)
        found = found if beside is None else found | beside
        if (count := int(found.sum())) not in (0, before):
            before = count
            yield Point(float(at), labelled.precision(found), labelled.recall(found))


def chosen(points: Iterable[Point], goal: Goal) -> Point | None:
    """The last point that meets the goal, from the first on; None where that does not. points: falling for a precision,
    for a recall rising."""
    best = None
    for point in points:
        if best is None and goal.name == "precision" and most_shown(point.precision.worth) < goal.share:
            continue
        if lower_end(point, goal) < goal.share:
            break
        best = point
    return best


def lower_end(point: Point, goal: Goal) -> float:
    return point.precision.low if goal.name == "precision" else point.recall.low
