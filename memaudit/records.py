"""The values that flow between the stages. Words are those of docs/glossary.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Rows = NDArray[np.int64] | NDArray[np.int32]
CONFIDENCE = 0.95
ARCHIVE_CUT = "the archive ends early"  # in the error of rows whose archive lost an unknown number of images
Progress = Callable[[str, int, int], None]
"""Called with the stage, the number done and the total (0: unknown)."""


def silent(stage: str, done: int, total: int) -> None:
    """The Progress that shows nothing."""


class Status(StrEnum):
    """What became of an image. Only `OK` rows have an embedding that is compared."""

    OK = "ok"
    BLANK = "blank"  # read, but without content: similar to every other blank image, so never compared
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class ImageRef:
    """Where an image is and what it is called. `image_id` is stable across machines and runs.

    metadata: a JSON object of whatever else the source says of it. data: its bytes, where the source hands them out
    in passing (a table); else they are read at `uri`.
    """

    image_id: str
    uri: str
    caption: str = ""
    metadata: str = ""
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class EncoderSpec:
    """Identity of an encoder: embeddings are comparable if and only if `identity` is equal.

    `threshold` is the encoder's default for "near-duplicate" (cosine, tested with >=); it does not belong to
    the identity. `source` says where that number comes from.
    """

    name: str
    weights_sha256: str
    preprocessing: str
    dim: int
    threshold: float
    source: str = ""

    @property
    def identity(self) -> str:
        return f"{self.name} weights {self.weights_sha256[:12] or 'none'} [{self.preprocessing}] {self.dim}-d"

    def same_as(self, other: EncoderSpec) -> bool:
        keys = ("name", "weights_sha256", "preprocessing", "dim")
        return all(getattr(self, key) == getattr(other, key) for key in keys)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Block(NamedTuple):
    """A run of comparable store rows: positions (n,) int64 and unit embeddings (n, dim) float32."""

    rows: Int64
    embeddings: Float32


@dataclass(frozen=True)
class Coverage:
    """How much of what was asked for was measured. No rate is reported without one."""

    measured: int
    total: int

    @property
    def share(self) -> float:
        return self.measured / self.total if self.total else 0.0

    def falls_short(self, allowed: float) -> bool:
        """True if a larger share than `allowed` was not measured. Of nothing, nothing is unmeasured."""
        unmeasured = (self.total - self.measured) / self.total if self.total else 0.0
        return not unmeasured <= allowed  # NaN would pass a plain >

    def as_dict(self) -> dict[str, Any]:
        return {"measured": self.measured, "total": self.total, "share": self.share}


@dataclass(frozen=True)
class Rate:
    """`count` of `coverage.measured`, with its two-sided Clopper-Pearson interval and one-sided upper bound."""

    count: int
    coverage: Coverage
    low: float
    high: float
    upper: float
    confidence: float = CONFIDENCE

    @property
    def value(self) -> float | None:
        """The point estimate, or None when nothing was measured."""
        return self.count / self.coverage.measured if self.coverage.measured else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "n": self.coverage.measured,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "upper": self.upper,
            "confidence": self.confidence,
            "coverage": self.coverage.as_dict(),
        }


@dataclass(frozen=True)
class Estimate:
    """`found` of `total`; value and interval are None when there was nothing to find."""

    found: int
    total: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Band:
    """Recall of the pairs whose similarity lies in [low, high)."""

    low: float
    high: float
    found: int
    total: int


@dataclass(frozen=True)
class DedupRecall:
    """Recall of one dedup run, from `sampled` images compared exactly with all. census: all images were sampled."""

    sampled: int
    census: bool
    confidence: float
    by_pair: Estimate
    by_image: Estimate
    bands: tuple[Band, ...]


class Decision(StrEnum):
    KEEP = "keep"
    DROP = "drop"
    UNREADABLE = "unreadable"  # neither: it was not compared, and nobody can train on it


class Reason(StrEnum):
    UNIQUE = "no near-duplicate"
    CHOSEN = "kept for its group"
    BLANK = "blank: not compared"
    ALONE = "kept: its near-duplicates are in other groups"
    COPY = "exact duplicate"
    NEAR = "near-duplicate"
    PIXELS = "near-duplicate, seen on pixels"  # below the threshold; the files were held against each other
    CHAIN = "near-duplicate by a chain"  # groups by components only: below the threshold with the one that is kept
    ELSEWHERE = "in the other set"
    UNREADABLE = "unreadable"


class Kind(StrEnum):
    """What a match is, as far as it was looked at."""

    VERBATIM = "verbatim"
    NEAR = "near-duplicate"
    PARTIAL = "partial"  # a region of one is, or is a region of, the other
    TEMPLATE = "template"  # the same picture but for a part
    SIMILAR = "similar, not a copy"


class Decisions(NamedTuple):
    """One entry for each store row. witness: row of the kept image (its own when kept); group: number of its group;
    similarity to the witness; chain: the weakest similarity on the best chain of pairs to it (by the cover rule
    that chain is one pair). witness and group are -1 when unreadable, or dropped for an image of the other set.
    pixels: the pair with the witness lies below the threshold, and was confirmed on pixels."""

    image_id: NDArray[np.object_]
    decision: NDArray[np.object_]
    reason: NDArray[np.object_]
    group: Int64
    witness: Int64
    similarity: Float32
    chain: Float32
    pixels: NDArray[np.bool_]


class RowPairs(NamedTuple):
    """Pairs of store rows (left < right; int32 where the store is small enough) with their similarity; exact: same
    file or same embedding. What lies below the threshold was confirmed on pixels."""

    left: Rows
    right: Rows
    similarity: Float32
    exact: NDArray[np.bool_]


class Elsewhere(NamedTuple):
    """Rows of this set whose image is in the other one, sorted: the other's row, their similarity, and whether the
    match is one of files (its own, or of an exact duplicate of it)."""

    row: Int64
    other: Int64
    similarity: Float32
    same_file: NDArray[np.bool_]


@dataclass(frozen=True)
class Against:
    """What a dedup run removed because another store has it."""

    store_digest: str
    coverage: Coverage
    found: Elsewhere


@dataclass(frozen=True)
class Ignored:
    """Pairs that a person has ruled out: how many were given, and how many of them would have been pairs."""

    digest: str
    pairs: int
    found: int


class Skew(NamedTuple):
    """What the removal did to each value of a feature, one entry for each, largest change first.

    before, after: images with it; families: sets of linked duplicates among them; ratio: share after / share before
    with the ends `low` and `high` of its interval; p, and q corrected for the number of values looked at.
    """

    feature: NDArray[np.object_]
    value: NDArray[np.object_]
    before: Int64
    after: Int64
    families: Int64
    ratio: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p: NDArray[np.float64]
    q: NDArray[np.float64]


@dataclass(frozen=True)
class Removal:
    """Images before and after, the skew of every value with enough support, and what was not looked at.

    left_out: for each feature how many times an image's value was beyond the cap; note: why something is absent.
    """

    before: int
    after: int
    skew: Skew
    left_out: dict[str, int]
    note: str


@dataclass(frozen=True)
class Cells:
    """How rows fell into the clusters of one clustering."""

    clusters: int
    largest: int
    empty: int
    rows: int

    @classmethod
    def of(cls, sizes: Int64) -> Cells:
        return cls(len(sizes), int(sizes.max(initial=0)), int((sizes == 0).sum()), int(sizes.sum()))

    @property
    def share(self) -> float:
        """Share of the rows that the largest cluster holds."""
        return self.largest / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Comparison:
    """How the pairs were found. backend: short phrase for a report; note: what went otherwise than planned;
    compared: how many pairs the backend looked at, some of them in several clusters; cells: of each clustering."""

    backend: str
    note: str
    compared: int
    cells: tuple[Cells, ...]


@dataclass(frozen=True)
class PixelChecks:
    """How the pairs below the threshold were decided. floor: similarity from which they were candidates.

    checked of `candidates` were held against each other, and `confirmed` are copies; `left_out` were not looked at,
    because each of their images has more similar ones; of `unread` a file could not be read, for the reasons `why`.
    """

    floor: float
    candidates: int
    checked: int
    confirmed: int
    left_out: int
    unread: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class DedupResult:
    """What a dedup run found and decided. `added`: new pairs at the threshold by clustering. `inconclusive`: reasons
    why its decisions must not be read as those of the whole set. pixels: None where none were compared, and `no_pixels`
    says why. recall: of the pairs at the threshold; candidate_recall: of those at the floor of the pixel checks, None
    if so many were found that not all were held."""

    encoder: EncoderSpec
    store_digest: str
    threshold: float
    method: str
    keep_rule: str
    group_rule: str
    coverage: Coverage
    decisions: Decisions
    pairs: RowPairs
    added: tuple[int, ...]
    comparison: Comparison
    recall: DedupRecall
    removal: Removal
    against: Against | None = None
    ignored: Ignored | None = None
    pixels: PixelChecks | None = None
    no_pixels: str = ""
    candidate_recall: DedupRecall | None = None
    seed: int = 0
    inconclusive: tuple[str, ...] = ()

    def count(self, *decisions: Decision) -> int:
        return int(np.isin(self.decisions.decision, decisions).sum())


class Matches(NamedTuple):
    """Training images (reference rows) that generations (query rows) are near-duplicates or copies of.

    similarity: of the view that is most similar, `view` its name. rank: 1 for a generation's first match; those that
    pixels confirm come before the others, graver kinds first, then by similarity. kind: of `Kind`. verified: pixels
    confirm it; compared: they were looked at. near_duplicates: how many training images, itself included, reach the
    threshold with this reference (its eidetic count).
    """

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]
    rank: Int64
    kind: NDArray[np.object_]
    verified: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    near_duplicates: Int64


class Misses(NamedTuple):
    """The most similar pairs of rows that are no matches, one for each generation, most similar first. compared: their
    pixels were."""

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]
    compared: NDArray[np.bool_]


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
class WhyBand:
    """Training images from `low` to below `high` (None: no end) of a feature. came_back: how many generations of
    their prompts gave them back (paired), or the share of all findings that are theirs; training: their share of the
    training set, from a sample (not paired)."""

    feature: str
    low: float
    high: float | None
    came_back: Rate
    training: Rate | None


@dataclass(frozen=True)
class Why:
    """What kind of training image comes back. paired: by the prompts' images; else by best match. without: images
    that lack the feature `simplicity` (embeddings that were imported)."""

    paired: bool
    bands: tuple[WhyBand, ...]
    without: int


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
    images. regurgitated: there is a match, by any view or on pixels; paired_match: the prompt's own image is one.
    """

    status: NDArray[np.object_]
    best: Int64
    best_similarity: Float32
    above: Int64
    paired: Int64
    paired_similarity: Float32
    regurgitated: NDArray[np.bool_]
    paired_match: NDArray[np.bool_]


@dataclass(frozen=True)
class Control:
    """What held-out images say about chance.

    matched: rate of control images that reach the threshold with a training image. excluded: how many held-out and
    how many training images are near-duplicates across the split: such held-out images are no usable controls.
    nearer_training, nearer_control: generations whose nearest image at near-duplicate scale is a training or a
    held-out one. groups: of near-duplicates that these images form, one label each; least_p: the p-value if all their
    labels were "training". The p-values are None, and `why_no_p` says why, when there are too few held-out images.
    best_similarity: of each held-out image compared. duplicates: held-out images that are another's file again; they
    count nowhere.
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


class ReferenceViews(NamedTuple):
    """Which views of the training images were searched, by the digests of their stores; None: not this one. idle: names
    of those that are there and were not searched."""

    whole: str
    tiles: str | None = None
    details: str | None = None
    idle: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditResult:
    """What an audit measured. `inconclusive` holds the reasons why its rates must not be read as a clean bill.

    missing: generations that the pairing names and that are not there. duplicates: generations that are another's file
    again; they are searched like all, but count once in `searched`. neighbour_ratio: of each match, NaN where it has
    none. seeds: of each generation, as the pairing gives them. compared: how many of the candidates were looked at on
    pixels; None where none were, and `no_pixels` says why. views: their names. misses: the closest that are no matches.
    counted: for each row whether `searched` counts it. reference_views: what was searched of the training images.
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
    counted: NDArray[np.bool_]
    duplicates: int
    searched: Rate
    paired: Rate | None
    control: Control | None
    inconclusive: tuple[str, ...]
    neighbour_ratio: Float32 = field(default_factory=lambda: np.empty(0, np.float32))
    why: Why | None = None
    metrics: Metrics | None = None
    seeds: tuple[str, ...] = ()
    compared: Coverage | None = None
    no_pixels: str = ""
    views: tuple[str, ...] = ()
    misses: Misses | None = None
    reference_views: ReferenceViews | None = None


@dataclass(frozen=True)
class PromptCluster:
    """The generations of one prompt. compared: those that are neither unreadable nor blank.

    members, uris: of the largest clique, if it is large enough; files: how many different files they are.
    mean_distance, largest_distance: patched l2 within it. proven: False if a larger clique may exist.
    """

    prompt: str
    generations: int
    compared: int
    unreadable: int
    blank: int
    members: tuple[str, ...]
    uris: tuple[str, ...]
    files: int
    mean_distance: float | None
    largest_distance: float | None
    proven: bool


@dataclass(frozen=True)
class Extraction:
    """What generations say without a training set. clusters: of memorised prompts, the closest first.

    memorised: prompts with a clique, of those with enough generations; its coverage counts all prompts.
    """

    threshold: float
    clique: int
    digest: str
    coverage: Coverage
    memorised: Rate
    clusters: tuple[PromptCluster, ...]
    blank: int
    inconclusive: tuple[str, ...]
