"""Reports of filters that were applied."""

from __future__ import annotations

from typing import Annotated

from memaudit.report.model.dedups import Side
from memaudit.report.model.figures import Digest, Encoder, NotNegative, Part, Share, Whole, says


class Bounds(Part, frozen=True, kw_only=True):
    """An estimate from a stratified sample with labels."""

    value: Annotated[NotNegative, says("estimate")]
    low: Annotated[NotNegative, says("lower end of the two-sided interval")]
    high: Annotated[NotNegative, says("upper end of the two-sided interval")]
    lower: Annotated[NotNegative, says("one-sided lower bound, of which `bound_confidence` says how sure it is")]


class FilterStratum(Part, frozen=True, kw_only=True):
    """Images of alike scores, and what a random sample of them showed."""

    least_score: Annotated[Share, says("probability from which on an image is in it")]
    known: Annotated[Whole, says("images in it that were labelled before the sample was drawn: none is drawn of them")]
    known_positive: Annotated[Whole, says("of these, of the class")]
    rows: Annotated[Whole, says("the others in it")]
    drawn: Annotated[Whole, says("of them drawn at random and labelled")]
    positive: Annotated[Whole, says("of the drawn, of the class")]
    unsure: Annotated[Whole, says("of the drawn, those of which nobody could tell")]


class FilterMeasured(Part, frozen=True, kw_only=True):
    """What the sample says of the filter's cut, on the store that it was drawn from."""

    recall: Annotated[Bounds, says("share of the class at or above the cut")]
    precision: Annotated[Bounds, says("share of the class among what is at or above the cut")]
    positives: Annotated[Bounds, says("images of the class in the store")]
    confidence: Annotated[Share, says("of the two-sided intervals")]
    bound_confidence: Annotated[Share, says("of the one-sided bounds; each look has its share of the error")]
    looks: Annotated[Whole, says("how often a sample of this filter was looked at")]
    same_store: Annotated[bool, says("the sample was drawn from the very store that the filter was applied to")]
    strata: Annotated[list[FilterStratum], says("highest scores first")]


class FilterDecided(Part, frozen=True, kw_only=True):
    """What became of the images."""

    kept: Annotated[Whole, says("images in keep.txt")]
    dropped: Annotated[Whole, says("images in drop.txt")]
    undecided: Annotated[
        Whole, says("images in neither: they could not be scored, and nobody said what becomes of them")
    ]


class FilterTraining(Part, frozen=True, kw_only=True):
    """What the probe learned from."""

    rounds: Annotated[Whole, says("rounds of training")]
    positive: Annotated[Whole, says("labelled images of the class")]
    negative: Annotated[Whole, says("labelled images that are not")]
    presumed: Annotated[Whole, says("random images that were taken for such")]
    text: Annotated[str, says("prompt; empty: none")]


class FilterResults(Part, frozen=True, kw_only=True):
    """A class of images told apart, and what is dropped of it."""

    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    name: Annotated[str, says("the class")]
    filter: Annotated[Digest, says("digest of the filter")]
    cut: Annotated[Share, says("probability at or above which an image is dropped")]
    asked: Annotated[Share | None, says("recall that the cut was chosen for; null: the cut was given")]
    decided: Annotated[FilterDecided, says("what became of the images")]
    unscored: Annotated[dict[str, Whole], says("images that could not be scored, by reason")]
    unscored_as: Annotated[str, says("what was asked for them: keep, drop; empty: nothing")]
    measured: Annotated[FilterMeasured | None, says("what the sample says of the cut; null: the cut was given")]
    training: Annotated[FilterTraining, says("what the probe learned from")]
    encoders: Annotated[list[Encoder], says("what made the embeddings")]
    dropped_shown: Annotated[list[Side], says("dropped images, drawn at random")] = []
    kept_shown: Annotated[list[Side], says("kept images with the highest scores")] = []
