"""Reports of audits: of images, with or without their faces, and of two stores of faces alone."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from memaudit.matching.kinds import COPIES, Kind
from memaudit.report.model.faces import Faces
from memaudit.report.model.figures import (
    AllCopies,
    Bin,
    Calibration,
    Count,
    Coverage,
    Digest,
    Name,
    NotNegative,
    Part,
    Rate,
    Share,
    Similarity,
    Whole,
    says,
)
from memaudit.report.model.reviews import Told

DIGEST_OF_MODEL = "^[0-9a-f]{16,128}$"
_ON_PIXELS = sorted(kind for kind in COPIES if kind is not Kind.NEAR)


class Alignment(Part, frozen=True, kw_only=True):
    """How a generation lies on a training image, and the part that both show: of pairs that pixels confirm."""

    matrix: Annotated[
        Annotated[list[float], Meta(min_length=6, max_length=6)],
        says(
            "a, b, c, d, e, f: x, y of the generation lie at ax + by + c, dx + ey + f of the training image, both in "
            "shares of the longer side, from the upper left corner"
        ),
    ]
    query_box: Annotated[
        Annotated[list[Share], Meta(min_length=4, max_length=4)],
        says("x0, y0, x1, y1 of the common part in the generation, in shares of width and height"),
    ]
    reference_box: Annotated[
        Annotated[list[Share], Meta(min_length=4, max_length=4)], says("the same in the training image")
    ]


class HeldOutImage(Part, frozen=True, kw_only=True):
    """An image that the model never saw."""

    image_id: Annotated[str, says("image_id")]
    similarity: Annotated[Similarity, says("cosine to the generation, of whole images")]
    picture: Annotated[str | None, says("thumbnail of it, beside the page")] = None


class FurtherMatch(Part, frozen=True, kw_only=True):
    """Another training image that the generation of a finding matches."""

    reference_id: Annotated[str, says("the training image's image_id")]
    reference_sha256: Annotated[Digest | UnsetType, says("of its file; reviews name a pair by both")] = UNSET
    similarity: Annotated[Similarity, says("cosine, of the view that is most similar")]
    kind: Annotated[str, says("of the match")]
    verified: Annotated[bool, says("confirmed on pixels")] = False


class ImageMatch(Part, frozen=True, kw_only=True):
    """A generation that repeats a training image, and the most similar one."""

    query_id: Annotated[str, says("the generation's image_id")]
    reference_id: Annotated[str, says("the training image's image_id")]
    query_sha256: Annotated[Digest | UnsetType, says("of the generation's file; reviews name a pair by both")] = UNSET
    reference_sha256: Annotated[Digest | UnsetType, says("of the training image's file")] = UNSET
    reference_url: Annotated[str | None, says("its address, where its uri is a URL")] = None
    similarity: Annotated[Similarity, says("cosine, of the view that is most similar")]
    view: Annotated[str, says("that view's name")] = "whole"
    kind: Annotated[str, says(f"{Kind.NEAR}, or what pixels say: {', '.join(_ON_PIXELS)}; {Kind.REDRAWN} is no copy")]
    kinds: Annotated[
        list[str] | UnsetType, says("kinds of all matches of the generation; where one was not compared, any")
    ] = UNSET
    counted: Annotated[bool | UnsetType, says("false: of a kind that does not count (--kinds)")] = UNSET
    verified: Annotated[bool, says("confirmed on pixels")] = False
    probability: Annotated[
        float | None, says("of a copy, or of a picture drawn anew, by pixels; null where they were not compared")
    ] = None
    paired: Annotated[bool, says("the prompt's own image is among the generation's matches")]
    is_prompts_image: Annotated[bool, says("this training image is the prompt's own")] = False
    near_duplicates: Annotated[Count, says("training images at the threshold with this one, itself included")]
    neighbour_ratio: Annotated[float | None, says("distance to the match / half the mean to 50 neighbours")] = None
    simplicity: Annotated[float | None, says("share of the training image's five commonest colours")] = None
    p: Annotated[float | None, says("by its rank among the held-out images")] = None
    q: Annotated[float | None, says("p adjusted for the number of generations")] = None
    prompt: Annotated[str, says("prompt of the generation; empty where it is not known")] = ""
    seed: Annotated[str, says("seed of the generation, as the pairing gives it")] = ""
    caption: Annotated[str, says("caption of the training image")] = ""
    query_picture: Annotated[str | None, says("thumbnail of the generation, beside the page")] = None
    reference_picture: Annotated[str | None, says("thumbnail of the training image, beside the page")] = None
    matches: Annotated[Whole, says("training images that this generation matches")] = 0
    more: Annotated[
        bool | UnsetType, says("true: as many match as were compared with it, so that further ones may")
    ] = UNSET
    further: Annotated[
        list[FurtherMatch] | UnsetType, says("the others of these, as many as --neighbours keeps, 20 at most")
    ] = UNSET
    review: Annotated[Told | UnsetType, says("what people said of it before, with --reviews")] = UNSET
    face_similarity: Annotated[float | UnsetType, says("of the two images' most similar faces, if they match")] = UNSET
    alignment: Annotated[
        Alignment | UnsetType, says("where both show the same, if pixels confirm it and the finding has thumbnails")
    ] = UNSET
    nearest_held_out: Annotated[
        HeldOutImage | UnsetType, says(f"the held-out image most similar to a generation that is {Kind.REDRAWN}")
    ] = UNSET


class Miss(Part, frozen=True, kw_only=True):
    """One of the most similar pairs that are no finding."""

    query_id: Annotated[str, says("the generation's image_id")]
    reference_id: Annotated[str, says("the training image's image_id")]
    query_sha256: Annotated[Digest | UnsetType, says("of the generation's file; reviews name a pair by both")] = UNSET
    reference_sha256: Annotated[Digest | UnsetType, says("of the training image's file")] = UNSET
    similarity: Annotated[Similarity, says("cosine, of the view that is most similar")]
    view: Annotated[str, says("that view's name")]
    kind: Annotated[str, says("similar, or `not compared` where pixels were not")]
    probability: Annotated[float | None, says("of a copy, by pixels; null where they were not compared")] = None
    query_picture: Annotated[str | None, says("thumbnail of the generation")] = None
    reference_picture: Annotated[str | None, says("thumbnail of the training image")] = None


class Seeds(Part, frozen=True, kw_only=True):
    """How many prompts have how many generations."""

    seeds: Annotated[Count, says("generations of a prompt")]
    prompts: Annotated[Count, says("prompts that have so many")]


class WeightedRate(Part, frozen=True, kw_only=True):
    """Share of captions, each prompt counted for as many as it stands for (Fay & Feuer 1997)."""

    value: Annotated[Share, says("share of the weights of prompts that gave a training image back")]
    low: Annotated[Share, says("lower end of the two-sided interval")]
    high: Annotated[Share, says("upper end of the two-sided interval")]
    upper: Annotated[Share, says("one-sided upper bound")]
    largest: Annotated[Share, says("share of all weights that one prompt has at most")]
    confidence: Annotated[Share, says("of interval and bound")]
    all_copies: Annotated[AllCopies | UnsetType, says("bounds of all copies, detected or not")] = UNSET

    @property
    def stated(self) -> WeightedRate | AllCopies:
        """The bounds that are told to people."""
        return self.all_copies or self


class Extrapolated(Part, frozen=True, kw_only=True):
    """What prompts drawn at random say of all distinct captions, if these had as many seeds."""

    captions: Annotated[NotNegative, says("distinct captions that the prompts were drawn of")]
    one_draw: Annotated[NotNegative, says("captions that give an image back in one generation each, an estimate")]
    at_least: Annotated[NotNegative, says("that do in any seed: lower end of the two-sided 95 % interval")]
    estimate: Annotated[float | None, says("that would with ever more seeds (Chao2): an estimate, and no bound")]
    next_seed: Annotated[float | None, says("prompts that one more seed of the same ones would add, about")]


class ByPrompt(Part, frozen=True, kw_only=True):
    """What prompts gave back: they are what is drawn, and seeds of one prompt are not independent."""

    returned: Annotated[Rate, says("prompts with a generation that repeats a training image, of those measured")]
    seeds: Annotated[list[Seeds], says("generations that count, by prompt, the fewest first")]
    strategies: Annotated[list[str], says("how prompts were chosen, as the pairing says it")] = []
    weighted: Annotated[WeightedRate | None, says("of captions; null where all prompts stand for as many")] = None
    extrapolated: Annotated[Extrapolated | None, says("to all captions; null unless prompts are random ones")] = None


class Model(Part, frozen=True, kw_only=True):
    """What made the generations: batches of one model are pooled by a gate that keeps a ledger."""

    name: Annotated[Name, says("as somebody calls it")]
    digest: Annotated[str, Meta(pattern=DIGEST_OF_MODEL), says("of its weights: it tells the model from all others")]


class OutcomesByPrompt(Part, frozen=True, kw_only=True):
    """The prompts of the generations in `outcomes`. Prompts are numbered from 0 by how many generations they have."""

    asked: Annotated[list[Seeds], says("generations asked for, by prompt, the fewest first: who has which number")]
    found: Annotated[list[Whole], says("number of the prompt of each generation in outcomes.found")]
    left_out: Annotated[list[Whole], says("the same of outcomes.left_out")]
    shares: Annotated[
        list[Share] | UnsetType, says("share of all captions that the prompt of each of `found` stands for, if unequal")
    ] = UNSET
    prompts: Annotated[
        list[Annotated[str, Meta(pattern="^([0-9a-f]{12})?$")]] | UnsetType,
        says("48 bits of the SHA-256 of each prompt, by its number, empty where it is not known; with --model"),
    ] = UNSET


class Outcomes(Part, frozen=True, kw_only=True):
    """What became of each generation: two reports tell by it whether their runs are paired."""

    digest: Annotated[str | None, says("of all generations' names, prompts and seeds; null if prompts are not known")]
    total: Annotated[Count, says("generations asked for")]
    found: Annotated[list[str], says("those that the rate counts as regurgitated")]
    left_out: Annotated[
        list[str], says("those that it does not count: blank, unreadable, undecided, missing, a picture again")
    ]
    by_prompt: Annotated[OutcomesByPrompt | UnsetType, says("their prompts, where these are known")] = UNSET


class ReferenceViews(Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Digests of the stores of training images that were searched; null: there, and not searched.

    Of a view that is not known here nothing may be compared, so no further one is read over.
    """

    whole: Annotated[Name, says("whole training images")]
    tiles: Annotated[Name | UnsetType | None, says("their tiles")] = UNSET
    details: Annotated[Name | UnsetType | None, says("their details")] = UNSET

    @property
    def searched(self) -> list[str]:
        return [name for name in ("whole", "tiles", "details") if getattr(self, name)]


class PlantedKind(Part, frozen=True, kw_only=True):
    """Training images that were altered in one way, and searched like generations."""

    kind: Annotated[Name, says("how they were altered")]
    found: Annotated[Rate | None, says("those that were found, of those with content; null: none can be made")]
    matched: Annotated[
        dict[str, Whole] | UnsetType,
        says("those found by the gravest kind of their matches; empty: not compared on pixels, and maybe of any"),
    ] = UNSET


class Planted(Part, frozen=True, kw_only=True):
    """Altered training images that were planted among the generations, to know how much the audit detects."""

    asked: Annotated[Count, says("copies that were asked for")]
    images: Annotated[Count, says("training images that they are of")]
    unreadable: Annotated[Count, says("training images whose files could not be read for it")]
    kinds: Annotated[list[PlantedKind], says("copies by the kind of alteration")]
    why_none: Annotated[str, says("why there are none")] = ""


class Effort(Part, frozen=True, kw_only=True):
    """How hard an audit looked, beside `views` and `verified`; null: not at all."""

    match_from: Annotated[Share | None, says("similarity from which candidates were compared on pixels")]
    generation_views: Annotated[Coverage | None, says("views of the generations that could be embedded")]
    control_views: Annotated[Coverage | None, says("the same of the held-out images")]
    reference_windows: Annotated[Coverage | None, says("tiles and details of the training images, the same")]
    nearest_from: Annotated[
        Share | UnsetType | None,
        says("similarity from which the nearest few were in any case; null: they were not"),
    ] = UNSET


class Discoveries(Part, frozen=True, kw_only=True):
    """Generations that stand out one by one against the held-out images (Benjamini & Hochberg)."""

    q: Annotated[Share, says("false discovery rate")]
    tested: Annotated[Whole, says("distinct generations")]
    controls: Annotated[Whole, says("held-out images")]
    found: Annotated[Whole, says("generations that stand out")]
    least_p: Annotated[float, says("smallest p that so many held-out images can give")]
    needed: Annotated[Whole, says("generations that must reach it for any to stand out")]


class OwnImages(Part, frozen=True, kw_only=True):
    """Prompts that gave their own image back, on either side of the matched design."""

    training: Annotated[Rate, says("of captions of the training set")]
    held_out: Annotated[Rate, says("of held-out captions")]
    p: Annotated[Share | None, says("of so many more on the first side by chance (Fisher, one-sided)")]
    joined: Annotated[Whole, says("prompts left out: their image is a near-duplicate of another prompt's")]


class Control(Part, frozen=True, kw_only=True):
    """What held-out images say about chance."""

    matched: Annotated[Rate, says("held-out images that match a training image, as generations do")]
    usable: Annotated[int, says("held-out images that match no training image, nor reach the threshold")] = 0
    duplicates: Annotated[Whole, says("held-out images that are another's picture again")] = 0
    parts: Annotated[
        Count | UnsetType, says("further pictures within held-out files (frames, sheets): a file counts as one image")
    ] = UNSET
    excluded_controls: Annotated[Count, says("held-out images that match a training image or reach the threshold")] = 0
    excluded_references: Annotated[Whole, says("training images that are near-duplicates of held-out ones")] = 0
    nearer_training: Annotated[Whole, says("generations whose nearest image at that scale is a training one")] = 0
    nearer_control: Annotated[Whole, says("generations whose nearest image at that scale is a held-out one")] = 0
    families: Annotated[Count | UnsetType, says("families of near-duplicates that the usable held-out images form")] = (
        UNSET
    )
    groups: Annotated[Whole, says("groups of near-duplicates that these images form")] = 0
    relabelling_p: Annotated[Share | None, says("p of the relabelling test")]
    least_relabelling_p: Annotated[Share | None, says("the least p that so many groups could give")] = None
    greater_rate_p: Annotated[Share | None, says("p of the model's rate against theirs (Fisher, one-sided)")]
    why_no_p: Annotated[str, says("why there is no p-value")]
    why_no_rate_p: Annotated[str, says("why there is none of the rate, where there are others")] = ""
    discoveries: Annotated[Discoveries | None, says("generations that stand out one by one")] = None
    own_images: Annotated[OwnImages | None, says("with prompts of held-out images")] = None


class RedrawnControl(Part, frozen=True, kw_only=True):
    """What held-out images say about chance: how many of them are called re-drawn."""

    matched: Annotated[Rate, says("of those without a match that could be looked at; near-duplicates as one draw")]
    greater_rate_p: Annotated[Share | None, says("p of the model's rate against theirs (Fisher, one-sided)")]
    why_no_p: Annotated[str, says("why there is no p-value")] = ""


class Redrawn(Part, frozen=True, kw_only=True):
    """Generations that are training images drawn anew: beside the copies, and in none of their figures."""

    measured: Annotated[bool, says("whether they were looked for")]
    why_not: Annotated[str, says("why they were not")] = ""
    headline: Annotated[str, says("what was found, in a sentence")]
    searched: Annotated[Rate | None, says("generations that are re-drawn")] = None
    by_prompt: Annotated[ByPrompt | None, says("the same by prompt; null: no prompt is known")] = None
    control: Annotated[RedrawnControl | None, says("what held-out images say about chance; null without any")] = None
    compared: Annotated[Coverage | None, says("pairs of whole images that could be looked at")] = None
    floor: Annotated[float | None, says("similarity of whole images from which they were")] = None
    cut: Annotated[Share | None, says("probability from which a pair counts as re-drawn")] = None
    source: Annotated[str, says("where the probability comes from")] = ""
    recall: Annotated[str, says("where it is known from how many of them are found")] = ""


class WhyBand(Part, frozen=True, kw_only=True):
    """Training images from `low` to below `high` of a feature."""

    feature: Annotated[str, says("near-duplicates, simplicity, images of its caption, or words of its caption")]
    low: Annotated[float, says("from")]
    high: Annotated[float | None, says("to below; null: no end")]
    came_back: Annotated[Rate, says("generations of their prompts that gave them back, or their share of the findings")]
    training: Annotated[Rate | None, says("their share of the training set, where there is no pairing")]


class WhyOdds(Part, frozen=True, kw_only=True):
    """By how much the odds that an image comes back are multiplied where a feature is larger and all others are the
    same (logistic regression with Firth's penalty)."""

    feature: Annotated[str, says("as of a band")]
    by: Annotated[str, says("doubled, or larger by 0.2")]
    value: Annotated[NotNegative, says("odds ratio")]
    low: Annotated[NotNegative, says("95 % interval, lower end")]
    high: Annotated[NotNegative | None, says("upper end; null: none")]
    families: Annotated[Count, says("families of near-duplicates, which are the units")]


class Why(Part, frozen=True, kw_only=True):
    """What kind of training image comes back."""

    paired: Annotated[bool, says("by the prompts' images, not by the best match")]
    bands: Annotated[list[WhyBand], says("rates by bands of a feature")]
    without_simplicity: Annotated[Whole, says("images without that measure")]
    odds: Annotated[list[WhyOdds], says("of each feature, the others held fixed; none where too few came back")] = []


class Metrics(Part, frozen=True, kw_only=True):
    """Metrics of the literature, on embeddings: never a verdict."""

    c_t: Annotated[float | None, says("C_T (Meehan et al. 2020): below 0 copying")]
    cells: Annotated[Whole, says("cells of C_T")]
    cells_used: Annotated[Whole, says("those with enough images")]
    auth_pct: Annotated[float | None, says("AuthPct (Alaa et al. 2022), 0 to 100")]
    zero_radius: Annotated[Whole, says("nearest training images that have an exact duplicate")]
    fld_gap: Annotated[float | None, says("FLD gap (Jiralerspong et al. 2023): below 0 overfitting")]
    training: Annotated[Whole, says("training images in the sample")]
    control: Annotated[Whole, says("held-out images in the sample")]
    generations: Annotated[Whole, says("generations in the sample")]
    notes: Annotated[list[str], says("why something could not be computed")]


class FindingsBand(Part, frozen=True, kw_only=True):
    """Findings whose training image has from `low` to `high` near-duplicates."""

    low: Annotated[Whole, says("from")]
    high: Annotated[Whole | None, says("to; null: no end")]
    findings: Annotated[Whole, says("how many")]


class AuditSimilarities(Part, frozen=True, kw_only=True):
    """Histograms of the similarity to the nearest training image."""

    generations: Annotated[list[Bin], says("of generations")]
    control: Annotated[list[Bin] | None, says("of held-out images")]


class AuditResults(Part, frozen=True, kw_only=True):
    """What an audit of images measured."""

    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    method: Annotated[str, says("how was searched")] = ""
    references: Annotated[Coverage, says("training images that could be compared with")]
    searched: Annotated[Rate, says("generations that repeat any training image")]
    by_prompt: Annotated[ByPrompt | UnsetType | None, says("the same by prompt; null: no prompt is known")] = UNSET
    paired: Annotated[Rate | None, says("generations that repeat the image of their prompt; null without a pairing")]
    control: Annotated[Control | None, says("what held-out images say about chance")]
    missing: Annotated[Whole, says("generations that the pairing names and that are not there")] = 0
    duplicates: Annotated[
        Whole, says("generations without a match that are another's picture again: they count once")
    ] = 0
    distinct_found: Annotated[Count | UnsetType, says("distinct pictures among the generations found")] = UNSET
    distinct_returned: Annotated[Count | UnsetType, says("distinct training images that are their best match")] = UNSET
    distinct_prompts: Annotated[Whole | None, says("distinct images of prompts")] = None
    undecided: Annotated[
        Count | UnsetType,
        says("generations without a match of which a candidate could not be compared on pixels: they are not measured"),
    ] = UNSET
    made: Annotated[Count | UnsetType, says("generations that are there: files, and pictures of sheets")] = UNSET
    parts: Annotated[Count | UnsetType, says("pictures within their files (frames, sheets) that were searched")] = UNSET
    hidden: Annotated[Count | UnsetType, says("files that hold such pictures, of which there are no rows")] = UNSET
    unread: Annotated[Count | UnsetType, says("pictures beside them that are no image files: hidden, arrays, text")] = (
        UNSET
    )
    not_read: Annotated[list[str], says("what was not looked at of generations, held-out and training images")] = []
    blank: Annotated[Count | UnsetType, says("of these without content")] = UNSET
    unpaired: Annotated[Count | UnsetType, says("of these without a line in the pairing, where there is one")] = UNSET
    by_near_duplicates: Annotated[list[FindingsBand], says("findings by how often the training image is repeated")] = []
    why: Annotated[Why | None, says("what kind of training image comes back")] = None
    metrics: Annotated[Metrics | None, says("metrics of the literature, with --metrics")] = None
    similarities: Annotated[AuditSimilarities | None, says("histograms")] = None
    outcomes: Annotated[Outcomes | None, says("what became of each generation")] = None
    verification: Annotated[str, says("how a match was decided, in words")] = ""
    verified: Annotated[Coverage | None, says("candidates that could be compared on pixels; null: none was")] = None
    unconfirmed: Annotated[Whole, says("generations matched by similarity alone")] = 0
    kinds: Annotated[dict[str, Whole], says("generations by the kind of their match")] = {}
    views: Annotated[list[str], says("views of the generations that were searched")] = []
    reference_views: Annotated[ReferenceViews | UnsetType, says("views of the training images that were searched")] = (
        UNSET
    )
    effort: Annotated[Effort | UnsetType, says("how hard the audit looked")] = UNSET
    planted: Annotated[Planted | UnsetType, says("what it detected of altered training images")] = UNSET
    weaker: Annotated[list[str] | UnsetType, says("what it did less of than by default, and what was not measured")] = (
        UNSET
    )
    grown: Annotated[str | UnsetType, says("what sources of the training set hold by now, and its store does not")] = (
        UNSET
    )
    misses: Annotated[list[Miss], says("the closest pairs that are no findings")] = []
    likeliest_misses: Annotated[
        list[Miss] | UnsetType, says("generations that are no findings, and are copies most likely by pixels")
    ] = UNSET
    calibration: Annotated[Calibration | None, says("by which threshold and cut were settled")] = None
    model: Annotated[Model | UnsetType, says("what made the generations, with --model")] = UNSET
    faces: Annotated[Faces | UnsetType, says("what comparing faces gave, with --faces")] = UNSET
    redrawn: Annotated[Redrawn | UnsetType, says("what was found of training images drawn anew")] = UNSET
    counted_kinds: Annotated[list[str] | UnsetType, says("kinds of findings that count (--kinds); else all do")] = UNSET
    not_counted: Annotated[
        dict[str, Whole] | UnsetType, says("generations that are of another kind alone, by kind, where it was measured")
    ] = UNSET


class FaceAuditResults(Part, frozen=True, kw_only=True):
    """What an audit of two stores of faces measured, which knows no images."""

    about: Annotated[Literal["faces"], says("faces alone")]
    conclusive: Annotated[bool, says("the run measured what it set out to measure")]
    reasons: Annotated[list[str], says("why not")]
    headline: Annotated[str, says("the result in a sentence")]
    method: Annotated[str, says("how was searched")] = ""
    references: Annotated[Coverage, says("training images that were searched for faces")]
    searched: Annotated[Rate, says("generated people that match a training face")]
    paired: Annotated[None, says("none: faces have no prompts")] = None
    control: Annotated[None, says("none: what chance gives is in faces")] = None
    verification: Annotated[str, says("how a match was decided, in words")] = ""
    faces: Annotated[Faces | UnsetType, says("what comparing faces gave")] = UNSET
    outcomes: ClassVar[Outcomes | None] = None
    by_prompt: ClassVar[UnsetType] = UNSET
    planted: ClassVar[UnsetType] = UNSET
    verified: ClassVar[Coverage | None] = None
    views: ClassVar[tuple[str, ...]] = ()
    reference_views: ClassVar[UnsetType] = UNSET
    likeliest_misses: ClassVar[UnsetType] = UNSET
    redrawn: ClassVar[UnsetType] = UNSET
    calibration: ClassVar[Calibration | None] = None
