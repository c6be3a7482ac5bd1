"""Reports of dedup runs."""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from memaudit.report.model.figures import (
    Bin,
    Calibration,
    Count,
    Coverage,
    Digest,
    NotNegative,
    Part,
    Share,
    Whole,
    says,
)


class Member(Part, frozen=True, kw_only=True):
    """An image of a group."""

    image_id: Annotated[str, says("image_id")]
    sha256: Annotated[Digest | UnsetType, says("of its file; reviews name a pair by both")] = UNSET
    caption: Annotated[str, says("caption")] = ""
    decision: Annotated[str, says("keep or drop")] = ""
    reason: Annotated[str, says("why")] = ""
    behind: Annotated[str, says("in what it is behind the image that is kept")] = ""
    similarity: Annotated[float, says("to the image that is kept")] = 0.0
    chain_similarity: Annotated[float, says("weakest link of the best chain to it")] = 0.0
    picture: Annotated[str | None, says("thumbnail")] = None


class Group(Part, frozen=True, kw_only=True):
    """One of the largest groups of near-duplicates: the kept image first."""

    kind: Annotated[str, says("group")] = "group"
    group: Annotated[Whole, says("number of the group")]
    size: Annotated[Whole, says("its images")]
    smallest_similarity: Annotated[float, says("smallest to the image that is kept")]
    chain_similarity: Annotated[float, says("weakest link of the best chains to it")] = 0.0
    members: Annotated[list[Member], says("its first images")]


class Side(Part, frozen=True, kw_only=True):
    """One image of a pair."""

    image_id: Annotated[str, says("image_id")]
    sha256: Annotated[Digest | UnsetType, says("of its file; reviews name a pair by both")] = UNSET
    picture: Annotated[str | None, says("thumbnail")]


class ShownPair(Part, frozen=True, kw_only=True):
    """A pair that the page shows."""

    similarity: Annotated[float, says("cosine")]
    probability: Annotated[float | None, says("of a copy, by pixels; null where they were not compared")] = None
    same_file: Annotated[bool | UnsetType, says("the match is one of files (other set only)")] = UNSET
    sides: Annotated[list[Side], says("the two images")]


class NearThreshold(Part, frozen=True, kw_only=True):
    """Pairs from just above the threshold."""

    low: Annotated[float, says("the threshold")]
    high: Annotated[float, says("top of the band")]
    pairs_in_band: Annotated[Whole, says("pairs in the band")]
    pairs: Annotated[list[ShownPair], says("those that are shown")]


class Cells(Part, frozen=True, kw_only=True):
    """How rows fell into the clusters of one clustering."""

    clusters: Annotated[Whole, says("clusters")]
    largest: Annotated[Whole, says("rows of the largest")]
    empty: Annotated[Whole, says("empty ones")]
    rows: Annotated[Whole, says("rows")]
    share: Annotated[float, says("share of the rows that the largest holds")]


class HowCompared(Part, frozen=True, kw_only=True):
    """How the pairs were found."""

    backend: Annotated[str, says("what compared")]
    note: Annotated[str, says("what went otherwise than planned")]
    compared: Annotated[Whole, says("comparisons")]
    clusterings: Annotated[list[Cells], says("clusterings")]


class Pixels(Part, frozen=True, kw_only=True):
    """How the pairs below the threshold were decided."""

    floor: Annotated[float, says("similarity from which pairs were candidates")]
    candidates: Annotated[Whole, says("candidates")]
    checked: Annotated[Whole, says("held against each other")]
    confirmed: Annotated[Whole, says("copies among them")]
    left_out: Annotated[Whole, says("not looked at: both images have more similar ones")]
    unread: Annotated[Whole, says("of which a file could not be read")]
    why: Annotated[list[str], says("for these reasons")]
    images: Annotated[Whole, says("images of the pairs that were to be held against each other")] = 0
    reads: Annotated[Whole, says("readings of their files that all these pairs take, by the order they are in")] = 0
    budget: Annotated[float | None, says("seconds it might take; null: any")] = None
    left: Annotated[Whole, says("pairs that the budget left: what was found depends on it")] = 0
    left_from: Annotated[float | None, says("the greatest similarity among those")] = None
    not_counted: Annotated[dict[str, Whole], says("copies of kinds that do not count (--kinds), by kind")] = {}


class RedrawnCleared(Part, frozen=True, kw_only=True):
    """What of the training set is drawn anew from what stays, with --kinds re-drawn."""

    images: Annotated[Whole, says("images that copies had left")]
    candidates: Annotated[Whole, says("pairs of them: the three most similar images of each, from `floor` on")]
    compared: Annotated[Coverage, says("of these, those that could be looked at")]
    pairs: Annotated[Whole, says("of which one is the other drawn anew")]
    dropped: Annotated[Whole, says("images dropped for one that stays; not the copies they stood for")]
    floor: Annotated[float, says("similarity of whole images from which pairs were candidates")]
    cut: Annotated[Share, says("probability from which a pair counts")]
    source: Annotated[str, says("where the probability comes from")]
    recall: Annotated[str, says("how many of all that are drawn anew are found")]


class TrueCopies(Part, frozen=True, kw_only=True):
    """The share of true copies that a run like this finds, of those of a benchmark."""

    found: Annotated[Share, says("found, with what was decided on pixels")]
    possible: Annotated[Share, says("found with all candidates decided on pixels")]
    source: Annotated[str, says("the benchmark, and as of when")]


class Cleanness(Part, frozen=True, kw_only=True):
    """How the least altered image of each group was found, by the keep rule `cleanest`."""

    read: Annotated[Whole, says("images with near-duplicates that were read")]
    unread: Annotated[Whole, says("that could not be read")]
    left_out: Annotated[Whole, says("that were not: their families are too large")]
    groups: Annotated[Whole, says("groups decided on pixels")]
    without_pixels: Annotated[Whole, says("groups decided by size alone")]
    why: Annotated[list[str], says("why images were not read")]


class RuledOut(Part, frozen=True, kw_only=True):
    """Pairs that a person has ruled out."""

    pairs: Annotated[Count, says("given")]
    found: Annotated[Count, says("of which so many would have been pairs")]


class DedupReviews(Part, frozen=True, kw_only=True):
    """What reviews did to a dedup run."""

    apart: Annotated[Count, says("pairs that people have ruled out")]
    found: Annotated[Count, says("pairs at the threshold that were ruled out")]
    together: Annotated[Count, says("pairs that people call copies")]
    added: Annotated[Count, says("of which so many nothing else found")]
    left: Annotated[Count, says("pairs on which people disagree or are unsure, or whose day has passed: not heeded")]
    unknown: Annotated[Count, says("pairs of which a file is not in the store")]


class Estimate(Part, frozen=True, kw_only=True):
    """A recall with its interval; null where there was nothing to find."""

    found: Annotated[Count, says("found")]
    total: Annotated[Count, says("of so many")]
    value: Annotated[Share | None, says("found / total")]
    low: Annotated[Share | None, says("lower end of the interval")]
    high: Annotated[Share | None, says("upper end of the interval")]


class RecallBand(Part, frozen=True, kw_only=True):
    """Recall of the pairs with a similarity from `low` to below `high`."""

    low: Annotated[float, says("from")]
    high: Annotated[float, says("to below")]
    found: Annotated[Whole, says("found")]
    total: Annotated[Whole, says("of so many")]


class Recall(Part, frozen=True, kw_only=True):
    """Recall of this very run, from images compared exactly with all others."""

    sampled: Annotated[Count, says("images sampled")]
    census: Annotated[bool, says("all images were")]
    confidence: Annotated[Share, says("of the intervals")] = 0.95
    by_pair: Annotated[Estimate, says("of pairs")]
    by_image: Annotated[Estimate, says("of images with a near-duplicate, those with one found at least")]
    complete: Annotated[Estimate | UnsetType, says("of these, those whose near-duplicates were all found")] = UNSET
    bands: Annotated[list[RecallBand], says("by similarity")] = []


class Outlook(Part, frozen=True, kw_only=True):
    """What a way of comparing finds in a pilot; null where nothing is to be found there."""

    method: Annotated[str, says("the way")]
    by_pair: Annotated[Share | None, says("of the pairs")]
    by_image: Annotated[Share | None, says("of the images with a near-duplicate, those with one found at least")]

    @property
    def words(self) -> str:
        return f"{_floored(self.by_pair or 0)} of their pairs, one at least for {_floored(self.by_image or 0)} of them"


class Pilot(Part, frozen=True, kw_only=True):
    """What settled how much was compared: images drawn at random, which take no part in the recall that is stated."""

    goal: Annotated[Share, says("recall in the pilot, by pair and by image, from which on it is enough")]
    images: Annotated[Count, says("images of the pilot")]
    with_duplicates: Annotated[Count, says("of them with a near-duplicate")]
    planned: Annotated[Outlook, says("what was planned")]
    settled: Annotated[Outlook, says("what was done")]
    cost: Annotated[NotNegative, says("of what was compared, beside all with all by products in float32; computed")]
    limit: Annotated[NotNegative, says("the most that it may be")]
    why_not: Annotated[str, says("why the goal was not reached")] = ""

    @property
    def sentence(self) -> str:
        """For a reader of the report."""
        pilot = f"Pilot: of {self.images:,} images drawn at random {self.with_duplicates:,} have a near-duplicate"
        planned, settled = self.planned, self.settled
        if not self.with_duplicates:
            done = "compared as planned" if planned == settled else f"what is cheapest was done, {settled.method}"
            return f"{pilot}: {done}."
        if planned == settled:
            found = f"what was planned finds {planned.words}"
        else:
            found = f"{planned.method}, would find {planned.words}; what was done finds {settled.words}"
        short = f"; {_floored(self.goal)} of both is not reached: {self.why_not}" if self.why_not else ""
        cost = f"It costs {self.cost:.2g} of comparing all with all by products in float32 (computed)"
        return f"{pilot}; {found}{short}. {cost}."


def _floored(share: float) -> str:
    """In hundredths of a percent, rounded down: a recall is no more than what is told."""
    return f"{math.floor(round(1e4 * share, 6)) / 100:g} %"


class GroupSizes(Part, frozen=True, kw_only=True):
    """How many groups have from `low` to `high` images."""

    low: Annotated[Whole, says("from")]
    high: Annotated[Whole | None, says("to; null: no end")]
    groups: Annotated[Whole, says("groups")]


class SkewRow(Part, frozen=True, kw_only=True):
    """What the removal did to one value of a feature."""

    feature: Annotated[str, says("word, metadata column, band of size or simplicity")]
    value: Annotated[str, says("value")]
    before: Annotated[Count, says("images with it before")]
    after: Annotated[Count, says("images with it after")]
    families: Annotated[Whole, says("sets of linked duplicates among them")] = 0
    ratio: Annotated[NotNegative, says("share after / share before")]
    low: Annotated[NotNegative, says("lower end of its interval")]
    high: Annotated[NotNegative, says("upper end of its interval")]
    p: Annotated[float | None, says("p")] = None
    q: Annotated[Share, says("p corrected for the number of values")]
    share_before: Annotated[float, says("share of the images before")] = 0.0
    share_after: Annotated[float, says("share of the images after")] = 0.0


class Skew(Part, frozen=True, kw_only=True):
    """What the removal does to the data."""

    before: Annotated[Count, says("images before")]
    after: Annotated[Count, says("images after")]
    confidence: Annotated[Share, says("of the intervals")] = 0.95
    values: Annotated[Whole, says("values with enough support")] = 0
    left_out: Annotated[dict[str, Whole], says("times that a value was beyond the cap, by feature")] = {}
    note: Annotated[str, says("why something is absent")]
    rows: Annotated[list[SkewRow], says("values, largest change first")]


class GroupedAt(Part, frozen=True, kw_only=True):
    """What pairs at or above another threshold link, by chains; exact duplicates at each."""

    threshold: Annotated[Share, says("similarity")]
    pairs: Annotated[Count, says("pairs")]
    images: Annotated[Count, says("images in a group")]
    groups: Annotated[Count, says("groups")]


class OtherSet(Part, frozen=True, kw_only=True):
    """Images that are dropped because the other set has them."""

    images: Annotated[Coverage, says("images of the other set")]
    found: Annotated[Count, says("images found there")]
    same_file: Annotated[Count, says("of them as the same file")]
    similarities: Annotated[list[Bin], says("histogram")] = []
    most_similar: Annotated[list[ShownPair], says("the most similar, same files last")] = []


class DedupResults(Part, frozen=True, kw_only=True):
    """What a dedup run found and decided."""

    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    method: Annotated[str, says("how was searched")] = ""
    comparison: Annotated[HowCompared | None, says("how the pairs were found")] = None
    pilot: Annotated[Pilot | None, says("what settled how much was compared; null: nothing had to")] = None
    keep_rule: Annotated[str, says("which image of a group is kept")] = ""
    cleanness: Annotated[Cleanness | None, says("how the least altered was found; null: by another rule")] = None
    group_rule: Annotated[str, Meta(pattern="^(cover|components)$"), says("what a group is")] = "cover"
    images: Annotated[Count, says("images")]
    kept: Annotated[Count, says("images that stay")]
    dropped: Annotated[Count, says("images that can go")]
    unreadable: Annotated[Count, says("images that could not be read")]
    exact_duplicates: Annotated[Whole, says("dropped as exact duplicates")] = 0
    near_duplicates: Annotated[Whole, says("dropped as near-duplicates")] = 0
    by_pixels: Annotated[Whole, says("of them on pixels")] = 0
    re_drawn: Annotated[Whole, says("dropped as drawn anew, or as a copy of what is")] = 0
    in_other_set: Annotated[Count, says("dropped because the other set has them")] = 0
    without_witness: Annotated[Count, says("dropped below the threshold with the image that is kept")] = 0
    groups: Annotated[Whole, says("groups of more than one image")] = 0
    largest_group: Annotated[Whole, says("images of the largest")] = 0
    largest_group_smallest_similarity: Annotated[float | None, says("smallest in it to the kept image")] = None
    largest_group_chain_similarity: Annotated[float | None, says("weakest link in it")] = None
    pairs: Annotated[Whole, says("pairs found")] = 0
    near_pairs: Annotated[Whole | None, says("of them at the threshold and not exact; null in earlier reports")] = None
    pairs_added_by_clustering: Annotated[list[Count], says("new pairs of each clustering")]
    pixels: Annotated[Pixels | None, says("how the pairs below the threshold were decided")] = None
    no_pixels: Annotated[str, says("why pixels were not compared")] = ""
    ignored: Annotated[RuledOut | None, says("pairs that a person has ruled out")] = None
    reviews: Annotated[DedupReviews | UnsetType, says("what reviews did, with --reviews")] = UNSET
    recall: Annotated[Recall, says("recall of the pairs at the threshold")]
    candidate_recall: Annotated[Recall | None, says("recall of the candidates for the pixels")] = None
    copies: Annotated[
        TrueCopies | None, says("what share of true copies that finds; null: not measured for such a run")
    ] = None
    group_sizes: Annotated[list[GroupSizes], says("groups by size")] = []
    similarities: Annotated[list[Bin], says("histogram of the pairs found")] = []
    skew: Annotated[Skew | None, says("what the removal does to the data")] = None
    near_threshold: Annotated[NearThreshold | None, says("pairs from just above the threshold")] = None
    by_pixels_shown: Annotated[list[ShownPair], says("pairs that were confirmed on pixels")] = []
    refused_shown: Annotated[
        list[ShownPair] | UnsetType, says("the most similar pairs below the threshold that pixels refuse")
    ] = UNSET
    redrawn_shown: Annotated[list[ShownPair], says("pairs of which one is the other drawn anew")] = []
    by_threshold: Annotated[list[GroupedAt], says("what other thresholds would group, of the pairs found")] = []
    against: Annotated[OtherSet | None, says("images that the other set has")] = None
    not_read: Annotated[list[str], says("what was not looked at of the images")] = []
    calibration: Annotated[Calibration | None, says("by which threshold and cut were settled")] = None
    counted_kinds: Annotated[
        list[str] | UnsetType, says("kinds of copies below the threshold that count, and re-drawn if that is cleared")
    ] = UNSET
    redrawn: Annotated[RedrawnCleared | UnsetType, says("what is drawn anew, with --kinds re-drawn")] = UNSET
