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
    CHAIN = "near-duplicate by a chain"  # groups by components only: below the threshold with the one that is kept
    ELSEWHERE = "in the other set"
    UNREADABLE = "unreadable"


class Decisions(NamedTuple):
    """One entry for each store row. witness: row of the kept image (its own when kept); group: number of its group;
    similarity to the witness; chain: the weakest similarity on the best chain of pairs to it (by the cover rule
    that chain is one pair). witness and group are -1 when unreadable, or dropped for an image of the other set."""

    image_id: NDArray[np.object_]
    decision: NDArray[np.object_]
    reason: NDArray[np.object_]
    group: Int64
    witness: Int64
    similarity: Float32
    chain: Float32


class RowPairs(NamedTuple):
    """Pairs of store rows (left < right; int32 where the store is small enough) with their similarity; exact: same
    file or same embedding."""

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
class DedupResult:
    """What a dedup run found and decided. `added`: new pairs that each clustering brought. `inconclusive`: reasons why
    its decisions must not be read as those of the whole set."""

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
    seed: int = 0
    inconclusive: tuple[str, ...] = ()

    def count(self, *decisions: Decision) -> int:
        return int(np.isin(self.decisions.decision, decisions).sum())


class Matches(NamedTuple):
    """Training images (reference rows) that generations (query rows) resemble at or above the threshold.

    rank: 1 for a generation's most similar training image. near_duplicates: how many training images, itself
    included, reach the threshold with this reference (its eidetic count).
    """

    query: Int64
    reference: Int64
    similarity: Float32
    rank: Int64
    near_duplicates: Int64


class Scores(NamedTuple):
    """One entry for each row of the generations. Rows are -1 and similarities NaN where nothing was measured.

    best, best_similarity: nearest training image over the whole set. above: how many training images reach the
    threshold. paired, paired_similarity: the training image of the generation's own prompt.
    """

    status: NDArray[np.object_]
    best: Int64
    best_similarity: Float32
    above: Int64
    paired: Int64
    paired_similarity: Float32


@dataclass(frozen=True)
class Control:
    """What held-out images say about chance.

    matched: rate of control images that reach the threshold with a training image. excluded: how many of them, and
    how many training images with them, were left out of the relabelling test. nearer_training, nearer_control:
    generations whose nearest image at near-duplicate scale is a training or a held-out one. The p-values are None,
    and `why_no_p` says why, when there are too few held-out images. best_similarity: of each held-out image compared.
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


@dataclass(frozen=True)
class AuditResult:
    """What an audit measured. `inconclusive` holds the reasons why its rates must not be read as a clean bill.

    missing: generations that the pairing names and that are not there. duplicates: generations that are another's file
    again; they are searched like all, but count once in `searched`. counted: for each row whether `searched` counts it.
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
