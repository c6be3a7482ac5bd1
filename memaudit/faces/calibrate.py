"""From which similarity on are two faces one person, in a search of *this* gallery? See docs/protocols/faces.md."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.faces.null import Null
from memaudit.faces.results import Calibration
from memaudit.statistics import greater_rates_p
from memaudit.types import CONFIDENCE, Float32, Float64, Int64

LEAST = 1e-3  # of a threshold; cosines of different people scatter around 0
_TAIL = 1e-9  # of a number's chances that is left out where groups are added


class Groups(NamedTuple):
    """Which group each generated person, each person of the null, and each that was excluded from it belongs to, from
    0 on: a person is compared with those of the same group."""

    scored: Int64
    samples: Int64
    excluded: Int64

    @classmethod
    def one(cls, scored: int, null: Null) -> Groups:
        """All belong to one."""
        zeros = (np.zeros(count, np.int64) for count in (scored, len(null.best), len(null.excluded)))
        return cls(*zeros)

    @property
    def number(self) -> int:
        return 1 + max(int(part.max(initial=0)) for part in self)

    def counted(self, part: Int64) -> Int64:
        return np.bincount(part, minlength=self.number)


class _Chances(NamedTuple):
    """Per group: generated people, people of the null, those of them that reach the threshold."""

    scored: Int64
    samples: Int64
    above: Int64

    def expected(self, factor: float) -> float:
        """Each of the n + 1 is as likely as the others to have the rank of the first below the threshold."""
        each = np.minimum(1.0, factor * (self.above + 1) / (self.samples + 1))
        return float((self.scored * each).sum())


def calibrate(
    null: Null, scored: int, allowed: float, floor: float, fallback: float, groups: Groups | None = None
) -> Calibration:
    """The lowest threshold, not below `floor`, at which no more than `allowed` false matches are to be expected.

    scored: generated people; groups: None takes all for one. If those scored are exchangeable with the n samples of
    their group, each of them exceeds the r-th highest sample with probability r / (n + 1), whatever the distribution
    (Wilks 1941). So at a threshold with r - 1 samples above it, with factor f, f x scored x r / (n + 1) false matches
    are expected, and none can be promised below f x scored / (n + 1): no tail is invented. `fallback` is the threshold
    without any sample.
    """
    groups = groups or Groups.one(scored, null)
    known = np.isfinite(null.best)
    best, group = null.best[known], groups.samples[known]
    threshold = _threshold(best, group, groups, null.factor, allowed)
    threshold = fallback if threshold is None else min(max(threshold, floor, LEAST), 1.0)
    reach = best >= np.float32(threshold)
    numbers = groups.counted(groups.scored), groups.counted(group)
    chances = _Chances(*numbers, groups.counted(group[reach]))
    beyond = groups.counted(groups.excluded[null.excluded >= np.float32(threshold)])
    with_excluded = _Chances(chances.scored, chances.samples + groups.counted(groups.excluded), chances.above + beyond)
    expected = chances.expected(null.factor)
    return Calibration(
        threshold=threshold,
        scored=scored,
        samples=len(best),
        above=int(reach.sum()),
        factor=null.factor,
        left_out=null.left_out,
        expected=expected,
        low=_quantile(chances, null.factor, (1 - CONFIDENCE) / 2),
        high=_quantile(with_excluded, null.factor, 1 - (1 - CONFIDENCE) / 2),
        shortfall=_shortfall(null, chances, allowed, expected),
        faces=null.faces or len(best),
        excluded=null.excluded_faces,
        excluded_people=len(null.excluded),
        excluded_above=int(beyond.sum()),
        expected_with_excluded=with_excluded.expected(null.factor),
    )


def excess_p(groups: Groups, returned: NDArray[np.bool_], null: Null, threshold: float) -> float:
    """Fisher's exact test, within each group, exact here although the threshold was chosen among the controls: given
    it, every order of controls and generated people is equally likely. The larger p with the controls that were left
    out and without: whether they are strangers nobody knows, and strangers like them are among those generated. With
    them the nearest control below the threshold counts as well, for the more of them there are the lower it lies."""
    found, scored = groups.counted(groups.scored[returned]), groups.counted(groups.scored)
    samples, left_out = groups.counted(groups.samples), groups.counted(groups.excluded)
    above = groups.counted(groups.samples[null.best >= np.float32(threshold)])
    p = greater_rates_p(found, scored, above, samples)
    if not len(null.excluded):
        return p
    below = null.best[null.best < np.float32(threshold)]
    above = groups.counted(groups.samples[null.best >= below.max(initial=-1)])
    beyond = groups.counted(groups.excluded[null.excluded >= np.float32(threshold)])
    return max(p, greater_rates_p(found, scored, above + beyond, samples + left_out))


def _threshold(best: Float32, group: Int64, groups: Groups, factor: float, allowed: float) -> float | None:
    """Just above the last sample, from the highest down, that may lie below it; None without samples."""
    if not len(best):
        return None
    order = np.argsort(-best, kind="stable")
    cost = factor * groups.counted(groups.scored) / (groups.counted(group) + 1)  # of one more sample above
    spent = float(cost.sum()) + np.cumsum(np.r_[0.0, cost[group[order]]])[:-1]
    most = int(np.searchsorted(spent, allowed * (1 + 1e-12), side="right"))
    return _just_above(best[order[max(most, 1) - 1]])


def _just_above(value: np.float32) -> float:
    """The next number with six digits that is above `value`, in float32 as well, where similarities are compared."""
    steps = math.floor(float(value) * 1e6) + 1
    return steps / 1e6 if np.float32(steps / 1e6) > value else (steps + 1) / 1e6


def _quantile(chances: _Chances, factor: float, q: float) -> int:
    """Of the number of false matches: a sum of beta-binomial ones, for over draws of a group's samples the chance of
    one is distributed as Beta(r, n + 1 - r) with r - 1 of the n above (Wilks 1941)."""
    law = np.ones(1)
    certain = 0
    for scored, samples, above in zip(*(part.tolist() for part in chances), strict=True):
        rank, draws = above + 1, (samples + 1) / factor
        if draws <= rank:  # nothing is known of this group
            certain += scored if q > 0.5 else 0
        elif scored:
            law = np.convolve(law, _shortened(scored, rank, draws))
    return certain + int(np.searchsorted(np.cumsum(law) / law.sum(), q))


def _shortened(scored: int, rank: float, draws: float) -> Float64:
    """The chances of 0, 1, ... false matches, but for the last billionth."""
    from scipy.stats import betabinom

    chances = betabinom.pmf(np.arange(scored + 1), scored, rank, draws - rank)
    return np.asarray(chances[: 1 + int(np.searchsorted(np.cumsum(chances), 1 - _TAIL))])


def _shortfall(null: Null, chances: _Chances, allowed: float, expected: float) -> str:
    count, scored = int(chances.samples.sum()), int(chances.scored.sum())
    if expected <= allowed * (1 + 1e-9) or not scored:
        return ""
    least = float((null.factor * chances.scored / (chances.samples + 1)).sum())
    if least <= allowed * (1 + 1e-9):
        return (
            f"{expected:,.3g} false face matches are to be expected at any threshold, more than the {allowed:g} asked "
            "for: people who should not be in the training set reach similarity 1 with it"
        )
    groups = int((chances.scored > 0).sum())
    needed = math.ceil(null.factor * scored * groups / allowed) - groups
    shares = "" if groups == 1 else f", of the {groups} groups as the generated people are,"
    left_out = f" ({null.excluded_faces:,} faces left out as those of training people)" if null.excluded_faces else ""
    return (
        f"{count:,} other people{left_out} cannot show that fewer than {expected:,.3g} false face matches are to be "
        f"expected of {scored:,} people; for {allowed:g} at least {needed:,}{shares} are needed: give more with "
        "--control-faces, or allow more with --face-false-matches"
    )
