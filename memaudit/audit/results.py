"""What an audit measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.repeats import Digests
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.kinds import ALL, Kind
from memaudit.matching.results import Matches, Misses, RedrawnPairs, ReferenceViews
from memaudit.statistics import WeightedRate
from memaudit.store import Store
from memaudit.types import Coverage, EncoderSpec, Float32, Float64, Int64, Rate

MOST_DUPLICATED = "most-duplicated"


class AuditedModel(NamedTuple):
    """The model that made the generations: its name for readers, and a digest of its weights that tells it from all
    others, so that batches of one model can be pooled."""

    name: str
    digest: str


@dataclass(frozen=True)
class Discoveries:
    """Generations that stand out one by one against the held-out images (Benjamini & Hochberg at level `q`).

    tested, controls: distinct generations, and held-out images, with a best similarity; found: how many stand out;
    least_p: the smallest p that so many held-out images can give; needed: how many must reach it for any to stand out.
    p, adjusted: for each row of the generations, NaN where nothing was measured.
    """

    q: float
    tested: int
    controls: int
    found: int
    least_p: float
    needed: int
    p: Float64
    adjusted: Float64


@dataclass(frozen=True)
class CovariateBand:
    """Training images from `low` to below `high` (None: no end) of a feature. came_back: how many generations of
    their prompts gave them back (paired), or the share of all findings that are theirs; training: their share of the
    training set, from a sample (not paired)."""

    feature: str
    low: float
    high: float | None
    came_back: Rate
    training: Rate | None


class CovariateOdds(NamedTuple):
    """By how much the odds that an image comes back are multiplied where a feature is doubled, or larger by 0.2, and
    all others are the same. families: of near-duplicates, which are the units."""

    feature: str
    by: str
    value: float
    low: float
    high: float
    families: int


@dataclass(frozen=True)
class Covariates:
    """What kind of training image comes back. paired: by the prompts' images; else by best match. without: images
    that lack the feature `simplicity` (embeddings that were imported). odds: of features that all images have."""

    paired: bool
    bands: tuple[CovariateBand, ...]
    without: int
    odds: tuple[CovariateOdds, ...] = ()


@dataclass(frozen=True)
class Metrics:
    """Metrics of the literature, on embeddings: never a verdict. None: it could not be computed, `notes` say why.

    c_t: below 0 copying (cells: of how many, cells_used); auth_pct: 0 to 100; zero_radius: nearest training images
    that have an exact duplicate; fld_gap: below 0 overfitting. The sizes are those of the samples compared.
    """

    c_t: float | None
    cells: int
    cells_used: int
    auth_pct: float | None
    zero_radius: int
    fld_gap: float | None
    training: int
    control: int
    generations: int
    notes: tuple[str, ...] = ()


class Scores(NamedTuple):
    """One entry for each row of the generations. Rows are -1 and similarities NaN where nothing was measured.

    best, best_similarity: nearest training image over the whole set. above: how many training images reach the
    threshold. paired, paired_similarity: the training image of the generation's own prompt. All of these as whole
    images. regurgitated: there is a match, by any view or on pixels; paired_match: the prompt's own image is one;
    paired_unread: that could only be decided on pixels, and they could not be looked at.
    """

    status: NDArray[np.object_]
    best: Int64
    best_similarity: Float32
    above: Int64
    paired: Int64
    paired_similarity: Float32
    regurgitated: NDArray[np.bool_]
    paired_match: NDArray[np.bool_]
    paired_unread: NDArray[np.bool_]


class Matched(NamedTuple):
    """For each row of the generations. images: training images that it matches; more: as many match as were compared,
    so that further ones may."""

    images: Int64
    more: NDArray[np.bool_]


@dataclass(frozen=True)
class Extrapolated:
    """What random prompts say of all distinct captions of the training set, if these were prompts with as many seeds.

    captions: how many there are. one_draw: that give an image back in one generation each.
    at_least: in any of the seeds, the lower end of the two-sided interval; estimate: that would with ever more seeds,
    at or below the truth on average, and no bound (Chao2). next_seed: prompts that one more seed of the same ones would
    add.
    """

    captions: float
    one_draw: float
    at_least: float
    estimate: float | None
    next_seed: float | None


class PlantedKind(NamedTuple):
    """found: copies altered in this way that were found, of those with content; None: of this kind none can be made, so
    nothing is known of it. matched: of those found the number by the gravest kind of their matches; "": of a match that
    was not compared on pixels and may be of any."""

    kind: str
    found: Rate | None
    matched: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Planted:
    """What an audit found of altered training images. asked: copies wanted; images: training images that they are of.
    unreadable: training images whose file could not be read for it. why_none: why there are no copies."""

    asked: int
    images: int = 0
    kinds: tuple[PlantedKind, ...] = ()
    unreadable: int = 0
    why_none: str = ""

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Kinds that can be made, of which no copy was measured: nobody knows how many of these go undetected."""
        return tuple(kind for kind, found, _ in self.kinds if found is not None and not found.coverage.measured)


@dataclass(frozen=True)
class AllCopies:
    """Bounds of a rate of all copies, detected or not, if they are no harder to find than planted ones of this kind,
    the hardest; the lower end is that of the easiest."""

    kind: str
    low: float
    high: float
    upper: float
    confidence: float


class OfAllCopies(NamedTuple):
    """What the rates of an audit say of all copies; None: unknown, or there is no such rate."""

    searched: AllCopies | None = None
    paired: AllCopies | None = None
    returned: AllCopies | None = None
    weighted: AllCopies | None = None


@dataclass(frozen=True)
class ByPrompt:
    """What prompts gave back: the unit that is drawn, where several generations are of one prompt.

    returned: prompts of which any generation that counts repeats a training image, of those measured. seeds: how many
    prompts have how many such generations. prompt (rows,), of_missing: the number of the prompt of each generation, and
    of those that are not there; keys (prompts,): what a prompt is known by, empty where nothing is known of it; asked
    (prompts,): generations that it was to have. strategies: by which prompts
    were chosen. shares (prompts,): of all captions, that each stands for; weighted: the share of captions that gave an
    image back; None where all prompts stand for as many.
    """

    returned: Rate
    seeds: tuple[tuple[int, int], ...]
    prompt: Int64
    of_missing: Int64
    keys: tuple[str, ...]
    asked: Int64
    strategies: tuple[str, ...] = ()
    shares: Float64 | None = None
    weighted: WeightedRate | None = None
    extrapolated: Extrapolated | None = None

    @property
    def unequal(self) -> bool:
        """Whether prompts stand for unequal numbers of captions, or for none."""
        return self.weighted is not None or self.most_duplicated

    @property
    def most_duplicated(self) -> bool:
        """Whether prompts were chosen because their images are repeated: no rate of the model follows."""
        return MOST_DUPLICATED in self.strategies


class OwnImages(NamedTuple):
    """Prompts that gave their own image back: captions of the training set, and held-out ones. p: of so many more on
    the first side by chance (Fisher, one-sided); None where a side has none. joined: prompts whose image is a
    near-duplicate of another prompt's, which stands for it."""

    training: Rate
    held_out: Rate
    p: float | None
    joined: int


@dataclass(frozen=True)
class Control:
    """What held-out images say about chance.

    matched: rate of control images that match a training image as generations do, of those that could be decided.
    excluded: how many held-out and how many training images are near-duplicates across the split, by similarity also
    where pixels tell them apart: such held-out images are no usable controls.
    nearer_training, nearer_control: generations whose nearest image at near-duplicate scale is a training or a held-out
    one. groups: of near-duplicates that these images form, one label each; least_p: the p-value if all their labels
    were "training". The p-values are None, and `why_no_p` says why, when there are too few held-out images.
    best_similarity: of each draw among them. duplicates: held-out images that are another's picture again; they count
    nowhere. parts: further pictures within files (frames, sheets): with their file they are one draw. families: of
    near-duplicates that the usable ones form. why_no_rate_p: why there is no greater_rate_p, where there are other
    p-values. own_images: None without held-out prompts.
    """

    matched: Rate
    excluded_controls: int
    excluded_references: int
    nearer_training: int
    nearer_control: int
    relabelling_p: float | None
    greater_rate_p: float | None
    why_no_p: str
    best_similarity: Float32
    groups: int = 0
    least_p: float | None = None
    discoveries: Discoveries | None = None
    duplicates: int = 0
    parts: int = 0
    families: int = 0
    why_no_rate_p: str = ""
    own_images: OwnImages | None = None


@dataclass(frozen=True)
class RedrawnControl:
    """What held-out images say about chance: how many of those without a match are called re-drawn, their families of
    near-duplicates as what is drawn, and Fisher's p of the generations' rate against theirs; None, and why."""

    matched: Rate
    greater_rate_p: float | None
    why_no_p: str


class NearestHeldOut(NamedTuple):
    """The held-out image that is most similar to each of some generations, an entry of each column for each `query`."""

    query: Int64
    row: Int64
    image_id: NDArray[np.object_]
    uri: NDArray[np.object_]
    sha256: NDArray[np.object_]
    similarity: Float32


@dataclass(frozen=True)
class Redrawn:
    """Generations that are training images drawn anew: beside the copies, and in none of their figures.

    cut: probability from which a pair counts; source, recall: where that comes from, and how many are found. pairs: all
    that were looked at, from similarity `floor` on, but for those of files that have a copy; `compared` of
    them could be read. found (rows,): generations that are re-drawn; undecided: of which a pair could not be read and
    none is; counted: draws of their own; distinct: one of each picture. searched: rate of generations; by_prompt: of
    prompts.
    """

    floor: float
    cut: float
    source: str
    recall: str
    pairs: RedrawnPairs
    findings: Matches
    found: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    distinct: NDArray[np.bool_]
    searched: Rate
    by_prompt: ByPrompt | None
    control: RedrawnControl | None = None
    nearest: NearestHeldOut | None = None

    @property
    def compared(self) -> Coverage:
        return self.pairs.coverage


class Made(NamedTuple):
    """What the model made. total: generations that are there, each picture of a sheet one, and a film one; blank, of
    these without content; unpaired, without a line in the pairing (None: there is none). parts: pictures within files,
    frames beyond the first and those of sheets, which have rows of their own. hidden: files that hold such pictures, of
    which there are no rows. unread: pictures beside the generations that no reader takes for images."""

    total: int
    blank: int = 0
    unpaired: int | None = None
    parts: int = 0
    hidden: int = 0
    unread: int = 0


@dataclass(frozen=True)
class Effort:
    """How hard an audit looked. match_from: similarity from which candidates were compared on pixels; None: none was;
    nearest_from: from which the nearest few were in any case. The others: how many views could be embedded, of those
    that are not blank; None: there are none of this kind."""

    match_from: float | None = None
    generation_views: Coverage | None = None
    control_views: Coverage | None = None
    reference_windows: Coverage | None = None
    nearest_from: float | None = None


@dataclass(frozen=True)
class AuditResult:
    """What an audit measured. `inconclusive` holds the reasons why its rates must not be read as a clean bill.

    missing: generations that the pairing names and that are not there. duplicates: generations without a match
    that are another's picture again; they are searched like all, but count once in `searched`. pictures: for each row
    the digest of its picture. neighbour_ratio: of each match, NaN where it has
    none. seeds: of each generation, as the pairing gives them. compared: how many of the candidates were looked at on
    pixels; None where none were, and `no_pixels` says why. views: their names. misses: the closest that are no matches;
    likeliest_misses: those that are copies most likely, None where pixels were not compared.
    redrawn: what was found of pictures drawn anew; None: that was not looked for, and `no_redrawn` says why.
    counted: for each row whether `searched` counts it; undecided: whether it would, had all candidates below the
    threshold been compared: it has no match, so nothing is known of it. reference_views: what was searched of the
    training images. grown: what the training set's sources hold by now and its store does not, in a sentence. not_read:
    what was not looked at of generations, held-out and training images, a sentence for each kind. by_prompt: None where
    no prompt is known. stores: that were read. calibrated: by which calibration threshold and cut were settled;
    beyond_labels: of the generations with a match those that have none of which it speaks, None without one. planted:
    None where there was no such step; all_copies: what they make of the rates. model: None where nobody named it.
    pairs_unread: prompts whose own image could only be told by pixels that could not be compared.
    kinds: that count; not_counted: the first match of others, of generations without one that counts. kinds_of: all
    kinds of the matches of each row. matched: how many each row has, of which `matches` holds the first few.
    """

    encoder: EncoderSpec
    threshold: float
    method: str
    digests: dict[str, str]
    references: Coverage
    scores: Scores
    matches: Matches
    prompts: tuple[str, ...]
    missing: tuple[str, ...]
    made: Made
    counted: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    pictures: Digests
    duplicates: int
    searched: Rate
    paired: Rate | None
    control: Control | None
    inconclusive: tuple[str, ...]
    neighbour_ratio: Float32 = field(default_factory=lambda: np.empty(0, np.float32))
    why: Covariates | None = None
    metrics: Metrics | None = None
    seeds: tuple[str, ...] = ()
    compared: Coverage | None = None
    no_pixels: str = ""
    grown: str = ""
    not_read: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    misses: Misses | None = None
    likeliest_misses: Misses | None = None
    reference_views: ReferenceViews | None = None
    effort: Effort = Effort()
    by_prompt: ByPrompt | None = None
    pairs_unread: int = 0
    stores: tuple[Store, ...] = ()
    calibrated: Calibrated | None = None
    beyond_labels: Coverage | None = None
    planted: Planted | None = None
    all_copies: OfAllCopies | None = None
    redrawn: Redrawn | None = None
    no_redrawn: str = ""
    model: AuditedModel | None = None
    kinds: tuple[Kind, ...] = ALL
    not_counted: Matches | None = None
    kinds_of: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    matched: Matched | None = None

    @property
    def unseen(self) -> int:
        """Generations that are known of, and have no row."""
        return len(self.missing) + self.made.hidden + self.made.unread
