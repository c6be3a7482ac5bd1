"""What a dedup run finds and decides, and how well it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.calibrated import Calibrated
from memaudit.matching.kinds import ALL, COPIES, Kind
from memaudit.matching.overlap import Overlaps
from memaudit.similarity.pairs import Positions
from memaudit.types import Coverage, EncoderSpec, Float32, Int64

KIND_NAMES = np.array([*map(str, ALL), ""], object)  # by their place in `ALL`; the last for -1


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


NOTHING_TO_FIND = Estimate(0, 0, None, None, None)


@dataclass(frozen=True)
class DedupRecall:
    """Recall of one dedup run, from `sampled` images compared exactly with all. census: all images were sampled.

    by_image: images with a near-duplicate of which one at least was found; complete: of which all were. Only of images
    an interval holds at its confidence: pairs come in families, and one that no sampled image is of is not seen.
    """

    sampled: int
    census: bool
    confidence: float
    by_pair: Estimate
    by_image: Estimate
    bands: tuple[Band, ...]
    complete: Estimate = NOTHING_TO_FIND


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
    PEOPLE = "near-duplicate, by people"  # below the threshold; a review says that the two are copies
    REDRAWN = "re-drawn"  # it, or the copy that stood for it, shows one that stays drawn anew; with --kinds re-drawn
    CHAIN = "near-duplicate by a chain"  # groups by components only: below the threshold with the one that is kept
    ELSEWHERE = "in the other set"
    UNREADABLE = "unreadable"


class Decisions(NamedTuple):
    """One entry for each store row. witness: row of the kept image (its own when kept); group: number of its group;
    similarity to the witness; chain: the weakest similarity on the best chain of pairs to it (by the cover rule
    that chain is one pair). witness and group are -1 when unreadable, or dropped for an image of the other set.
    pixels: the pair with the witness lies below the threshold, and was confirmed on pixels; people: it does, and only
    a review says that it is one. kind: of the pair with the witness, of `Kind`; "" where there is none, or only people
    know of one."""

    image_id: NDArray[np.object_]
    decision: NDArray[np.object_]
    reason: NDArray[np.object_]
    group: Int64
    witness: Int64
    similarity: Float32
    chain: Float32
    pixels: NDArray[np.bool_]
    people: NDArray[np.bool_]
    kind: NDArray[np.object_]


class RowPairs(NamedTuple):
    """Pairs of store rows (left < right; int32 where the store is small enough) with their similarity; exact: same
    file or same embedding; people: nothing but a review says that the two are copies; kind: place in `ALL`, -1 for
    those. What else lies below the threshold was confirmed on pixels, or is re-drawn."""

    left: Positions
    right: Positions
    similarity: Float32
    exact: NDArray[np.bool_]
    people: NDArray[np.bool_]
    kind: NDArray[np.int8]

    @property
    def kinds(self) -> NDArray[np.object_]:
        """Their names, "" for none, (n,)."""
        return KIND_NAMES[self.kind]

    @property
    def redrawn(self) -> NDArray[np.bool_]:
        """Those of which one is the other drawn anew, (n,)."""
        return np.asarray(self.kind == ALL.index(Kind.REDRAWN), dtype=bool)

    def on_pixels(self, threshold: float) -> NDArray[np.bool_]:
        """Those that were confirmed on pixels, (n,)."""
        return ~self.exact & ~self.people & ~self.redrawn & (self.similarity < np.float32(threshold))


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
class Reviews:
    """What reviews did: pairs that they ruled out, of which `found` would have been some at the threshold; pairs that
    they name, of which `added` nothing else found; left: on which people disagree or are unsure, or whose day has
    passed; unknown: of which a file is not in the store."""

    digest: str
    apart: int
    found: int
    together: int
    added: int
    left: int
    unknown: int


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
class Outlook:
    """What a way of comparing finds in the pilot; None where it holds nothing to find. method: in words."""

    method: str
    by_pair: float | None
    by_image: float | None

    def reaches(self, goal: float) -> bool:
        return all(value is None or value >= goal for value in (self.by_pair, self.by_image))


@dataclass(frozen=True)
class Piloted:
    """How much was compared, where nobody said it: what reaches the recall `goal`, by pair and by image, in a pilot of
    so many `images`. planned, settled: what was meant to be compared, and what is. cost, limit: of all that, and the
    most that it may be, as shares of comparing every image with every other, computed. why_not: why the goal was not
    reached."""

    goal: float
    images: int
    with_duplicates: int
    planned: Outlook
    settled: Outlook
    cost: float
    limit: float
    why_not: str = ""


@dataclass(frozen=True)
class PixelChecks:
    """How the pairs below the threshold were decided. floor: similarity from which they were candidates.

    checked of `candidates` were held against each other, and `confirmed` are copies; `left_out` were not looked at,
    because each of their images has more similar ones; of `unread` a file could not be read, for the reasons `why`.
    images: that these pairs are of; reads: of their files, where all pairs are gone through. left: pairs that a budget
    of so many seconds left, of a similarity of left_from and less. not_counted: copies of
    kinds that do not count, by kind.
    """

    floor: float
    candidates: int
    checked: int
    confirmed: int
    left_out: int
    unread: int
    why: tuple[str, ...]
    images: int = 0
    reads: int = 0
    budget: float | None = None
    left: int = 0
    left_from: float | None = None
    not_counted: Mapping[str, int] = field(default_factory=dict)


class TrueCopies(NamedTuple):
    """Of the true copies of a benchmark's pictures, the share that a run finds whose similarities are cut and whose
    pairs are decided like this one's, and the share it would find with all pairs decided on pixels; where measured."""

    found: float
    possible: float
    source: str


@dataclass(frozen=True)
class Cleanness:
    """Why an image stays rather than another, by the rule `cleanest`. score (n,) float32: NaN for rows that were not
    read; behind (n,): in what a dropped one is behind its witness, "" where nothing tells them apart.

    read, unread and left_out count images with near-duplicates: of `left_out` the family has too many members; why:
    reasons of the unread. groups were decided on pixels, and `without_pixels` by size alone.
    """

    score: Float32
    behind: NDArray[np.object_]
    read: int
    unread: int
    left_out: int
    groups: int
    without_pixels: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class RedrawnCleared:
    """What of a training set is drawn anew from what stays. images: that were left when copies had gone; candidates:
    pairs of them, the most similar ones of each below the threshold from `floor` on, of which `compared` could be
    looked at; pairs: of these, those that are; dropped: images; source: where it comes from how likely that
    is; probability (pairs,): see redrawn.py, as the pairs of kind re-drawn lie."""

    images: int
    candidates: int
    compared: Coverage
    pairs: int
    dropped: int
    floor: float
    cut: float
    source: str
    probability: Float32


@dataclass(frozen=True)
class DedupResult:
    """What a dedup run found and decided. `added`: new pairs at the threshold by clustering. `inconclusive`: reasons
    why its decisions must not be read as those of the whole set. pixels: None where none were compared, and `no_pixels`
    says why; overlaps, probability: of the pairs that they confirmed, those below the threshold, in their order, left
    as the query.
    recall: of the pairs at the threshold; candidate_recall: of those at the floor of the pixel checks, None if so many
    were found that not all were held; copies: what that is of true copies, None where no benchmark says. cleanness: by
    the keep rule `cleanest` only. refused: rows (n, 2) and similarities of the most similar pairs that pixels refuse.
    calibrated: by which calibration threshold and cut were settled. kinds: that count; redrawn: None where these were
    not looked for. pilot: what settled how much was compared; None where that was said, or is everything."""

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
    reviews: Reviews | None = None
    pixels: PixelChecks | None = None
    no_pixels: str = ""
    candidate_recall: DedupRecall | None = None
    copies: TrueCopies | None = None
    seed: int = 0
    inconclusive: tuple[str, ...] = ()
    overlaps: Overlaps = field(default_factory=Overlaps.unknown)
    probability: Float32 = field(default_factory=lambda: np.empty(0, np.float32))
    cleanness: Cleanness | None = None
    refused: tuple[Int64, Float32] = (np.empty((0, 2), np.int64), np.empty(0, np.float32))
    calibrated: Calibrated | None = None
    kinds: tuple[Kind, ...] = COPIES
    redrawn: RedrawnCleared | None = None
    pilot: Piloted | None = None

    def count(self, *decisions: Decision) -> int:
        return int(np.isin(self.decisions.decision, decisions).sum())
