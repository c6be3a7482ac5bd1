"""From labelled pairs to a threshold and a cut that meet a goal."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from memaudit.calibration.curves import PROBABILITIES, SIMILARITIES, Goal, Labelled, Point, chosen, points_of
from memaudit.calibration.estimates import Ratio, needed
from memaudit.types import Float64

NEVER = 1.0  # a threshold by which similarity alone decides nothing


class Choice(NamedTuple):
    """threshold: similarity from which a pair is found whatever pixels say; cut: probability from which it is below
    that, None where no pixels were compared; point: what the two come to. shortfall: why the goal is not shown, and
    what would show it; then the others mean nothing."""

    threshold: float
    cut: float | None
    point: Point | None
    shortfall: str = ""


def choose(labelled: Labelled, goal: Goal, threshold: float, floor: float | None = None) -> Choice:
    """For a precision, the threshold that finds as many pairs as the goal allows, then the cut with which both together
    do. For a recall, the cut that finds as few as it allows beside `threshold`, the encoder's own; without pixels such
    a threshold. Of those that find the same pairs it is the greatest one for a precision, the least for a recall.

    A pair whose pixels could not be compared is found by its similarity or not at all: a copy below the threshold
    counts as missed, for the pairs that are left would be told for all.

    floor: similarity from which the pairs were sought: no threshold lies below it, and above it where pixels are
    compared, which is from there on.
    """
    floor = floor or 0.0
    if np.isnan(labelled.probability).all():
        return _by_similarity(labelled, goal, SIMILARITIES[floor <= SIMILARITIES])
    if goal.name == "precision":
        steps = SIMILARITIES[floor < SIMILARITIES]
        alone = chosen(points_of(labelled, labelled.similarity, steps[::-1]), goal)
        threshold = alone.at if alone else NEVER
    grid = PROBABILITIES[::-1] if goal.name == "precision" else PROBABILITIES
    beside = labelled.similarity >= np.float32(threshold)
    point = chosen(points_of(labelled, labelled.probability, grid, beside), goal)
    if point is None:
        points = points_of(labelled, labelled.probability, grid, beside)
        return Choice(threshold, None, None, shortfall_of([*points], labelled, goal, "probability"))
    return Choice(threshold, point.at, point)


def _by_similarity(labelled: Labelled, goal: Goal, steps: Float64) -> Choice:
    grid = steps[::-1] if goal.name == "precision" else steps
    point = chosen(points_of(labelled, labelled.similarity, grid), goal)
    if point is None:
        points = points_of(labelled, labelled.similarity, grid)
        return Choice(NEVER, None, None, shortfall_of([*points], labelled, goal, "similarity"))
    return Choice(point.at, None, point)


def shortfall_of(points: list[Point], labelled: Labelled, goal: Goal, scale: str) -> str:
    """Why no point meets the goal, and how many more labels would."""
    copies, doubtful = int(labelled.copy.sum()), int(labelled.doubtful.sum())
    unread = int(np.isnan(labelled.probability).sum()) if scale == "probability" else 0
    lost = f", {unread:,} not compared on pixels" if unread else ""
    given = f"{len(labelled.copy):,} labelled pairs ({copies:,} copies, {doubtful:,} doubtful{lost})"
    if not points or not copies:
        least = needed(goal.share)
        return f"{given} hold nothing to show a {goal.name} of {goal.share:g} by: label at least {least:,} copies"
    best = max(points, key=lambda point: _of(point, goal).low)
    ratio = _of(best, goal)
    found = f"at best {ratio.value:.4g}, at least {ratio.low:.4g}, from a {scale} of {best.at:g} on"
    told = f"{given} do not show a {goal.name} of {goal.share:g}: {found}"
    if ratio.value < goal.share:
        if unread:
            return f"{told}; bring back the files of those that were not compared, or ask for less"
        return f"{told}; more labels alone will not show it, ask for less"
    misses = math.ceil((1 - ratio.value) * ratio.draws - 1e-9)
    more = max(1, needed(goal.share, misses) - math.floor(ratio.draws))
    whom = "pairs found there" if goal.name == "precision" else "copies"
    return f"{told}; about {more:,} more {whom} are to be labelled, of images that no label has yet"


def _of(point: Point, goal: Goal) -> Ratio:
    return point.precision if goal.name == "precision" else point.recall
