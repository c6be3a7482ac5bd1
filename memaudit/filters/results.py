"""What a filter did to shares, and the weights that undo it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.filters.selection import Selection
from memaudit.types import EncoderSpec, Float64, Int64

CLUSTER = "cluster"  # the feature of what images show: a number, then captions or an image_id
LEAST_EFFECTIVE = 30.0  # images of equal weight, for weights to be relied on


class Shares(NamedTuple):
    """An entry for each value, the surest and largest change first. before, after: images with it; families: sets of
    linked duplicates among them; three shares: of all, of what is left, and of that by weight, with the ends `low` and
    `high` of the last one's interval; ratio: share after / share before, with its interval, p, and q corrected for the
    number of values; difference: of the shares, in standard deviations of the value, before and after weighting."""

    feature: NDArray[np.object_]
    value: NDArray[np.object_]
    before: Int64
    after: Int64
    families: Int64
    share_before: Float64
    share_after: Float64
    share_weighted: Float64
    low: Float64
    high: Float64
    ratio: Float64
    ratio_low: Float64
    ratio_high: Float64
    p: Float64
    q: Float64
    difference: Float64
    difference_weighted: Float64

    @property
    def restored(self) -> NDArray[np.bool_]:
        """Whether the share of all lies in the interval of the weighted one. That of a value of which nothing is left
        reaches above 0 as well, and restores nothing."""
        return np.asarray((self.low <= self.share_before) & (self.share_before <= self.high) & ~self.gone)

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Values of which nothing is left: no weight brings them back."""
        return np.asarray(self.after == 0)


class ReweightOptions(NamedTuple):
    """max_weight: the most that an image may count for, in multiples of the mean. clusters: of what images show; None:
    by their number, 0: none. max_unreadable: share of the images that may be."""

    max_weight: float = 10.0
    clusters: int | None = None
    seed: int = 0
    max_unreadable: float = 0.01


DEFAULTS = ReweightOptions()


@dataclass(frozen=True)
class Reweighted:
    """weight (n,): of the kept images, with a mean of 1, and 0 of the others. beyond: share of all images that would
    take a larger weight than is allowed, for hardly any like them are left. told: how well a classifier tells kept
    images from all, before and after weighting (`told_apart`), None where none could be fitted."""

    store_digest: str
    encoder: EncoderSpec
    chosen: Selection
    weight: Float64
    shares: Shares
    left_out: dict[str, int]
    note: str
    beyond: float
    told: tuple[float, float] | None
    options: ReweightOptions

    @property
    def effective(self) -> float:
        """As how many images of equal weight the kept ones count (Kish 1965)."""
        return float(self.weight.sum() ** 2 / (self.weight**2).sum())

    @property
    def inconclusive(self) -> tuple[str, ...]:
        """Why the weights cannot be relied on."""
        left, measured = int(self.chosen.kept.sum()), self.chosen.coverage
        few = [f"the {left:,} images that are left count as {self.effective:,.0f}"] * (self.effective < LEAST_EFFECTIVE)
        unread = measured.falls_short(self.options.max_unreadable)
        return (
            *few,
            *([f"{measured.total - measured.measured:,} of {measured.total:,} images are unreadable"] * unread),
        )

    @property
    def at_limit(self) -> int:
        """Kept images that weigh as much as they may."""
        return int((self.weight >= self.options.max_weight * (1 - 1e-3)).sum())
