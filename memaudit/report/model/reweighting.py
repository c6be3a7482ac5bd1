"""Reports of weights that undo what a filter shifts."""

from __future__ import annotations

from typing import Annotated

from memaudit.report.model.dedups import Side
from memaudit.report.model.figures import Count, NotNegative, Part, Share, Whole, says


class ShareRow(Part, frozen=True, kw_only=True):
    """What a filter did to the share of one value, and what the weights undo of it."""

    feature: Annotated[str, says("word, metadata column, band of size or simplicity, cluster")]
    value: Annotated[str, says("value")]
    before: Annotated[Count, says("images with it before")]
    after: Annotated[Count, says("images with it after")]
    families: Annotated[Whole, says("sets of linked duplicates among them")]
    share_before: Annotated[Share, says("share of the images before")]
    share_after: Annotated[Share, says("share of the images after")]
    share_weighted: Annotated[Share, says("share of the images after, by weight")]
    low: Annotated[Share, says("lower end of its interval")]
    high: Annotated[Share, says("upper end of its interval")]
    restored: Annotated[bool, says("something is left, and the share before lies in that interval")]
    ratio: Annotated[NotNegative, says("share after / share before, without weights")]
    ratio_low: Annotated[NotNegative, says("lower end of its interval")]
    ratio_high: Annotated[NotNegative, says("upper end of its interval")]
    q: Annotated[Share, says("p of the change, corrected for the number of values")]
    difference: Annotated[float, says("share after less share before, in standard deviations of the value")]
    difference_weighted: Annotated[float, says("the same by weight")]


class Weighed(Part, frozen=True, kw_only=True):
    """An image and its weight."""

    weight: Annotated[NotNegative, says("in multiples of the mean")]
    side: Annotated[Side, says("the image")]


class ToldApart(Part, frozen=True, kw_only=True):
    """How well a classifier of embeddings, fitted on other families, tells what is left from all: the chance that an
    image drawn from what is left has the higher score; 0.5: not at all."""

    before: Annotated[Share, says("without weights")]
    after: Annotated[Share, says("drawn by weight")]


class ReweightResults(Part, frozen=True, kw_only=True):
    """Weights that undo what a filter shifts, and how far they do."""

    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    images: Annotated[Count, says("images with an embedding before the filter")]
    kept: Annotated[Count, says("of them, those that it left")]
    unmeasured: Annotated[Count, says("images left without an embedding: their weight is 1")]
    effective: Annotated[NotNegative, says("as how many images of equal weight the kept ones count")]
    max_weight: Annotated[NotNegative, says("the most that an image may count for, in multiples of the mean")]
    heaviest: Annotated[NotNegative, says("the largest weight")]
    at_limit: Annotated[Count, says("images that weigh as much as they may")]
    beyond: Annotated[Share, says("share of all images of which hardly any like them are left")]
    told: Annotated[ToldApart | None, says("what tells what is left from all; null: too few images of a kind")]
    tested: Annotated[Count, says("values with enough support")]
    restored: Annotated[Count, says("of them, those whose weighted share is that of all, within its interval")]
    gone: Annotated[Count, says("values of which nothing is left: no weight brings them back")]
    left_out: Annotated[dict[str, Whole], says("times that a value was beyond the cap, by feature")] = {}
    note: Annotated[str, says("why something is absent")] = ""
    rows: Annotated[list[ShareRow], says("values, largest change first")] = []
    removed_shown: Annotated[list[Side], says("removed images, drawn at random")] = []
    heaviest_shown: Annotated[list[Weighed], says("the images that count most")] = []
