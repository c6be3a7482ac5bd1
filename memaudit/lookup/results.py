"""What a look-up finds of each picture."""

from __future__ import annotations

from dataclasses import dataclass

from memaudit.index import Searcher
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.plan import NOT_LOOKED_FOR, MatchPlan, RedrawnPlan
from memaudit.matching.windows import Windows
from memaudit.types import Status


@dataclass(frozen=True)
class DedupFate:
    """What a dedup run decided about an image: keep or drop, why, and the witness that stands for it."""

    decision: str
    reason: str
    witness_id: str
    witness_similarity: float | None


@dataclass(frozen=True)
class LookupMatch:
    """A training image that reaches the threshold with a view of the picture asked for, or that pixels confirm.

    kind: of `Kind`, empty for one that is no match and was not compared. verified: pixels confirm it; compared: they
    were looked at; probability: of a copy by them, None where they were not, or a part was. alignment (the matrix row
    by row), picture_box, reference_box: where the picture and the training image show the same, see `Overlap`; None
    where pixels do not confirm it.
    """

    image_id: str
    similarity: float
    view: str
    uri: str
    caption: str
    sha256: str
    dedup: DedupFate | None = None
    kind: str = ""
    verified: bool = False
    compared: bool = False
    probability: float | None = None
    alignment: tuple[float, ...] | None = None
    picture_box: tuple[float, ...] | None = None
    reference_box: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """What came of one picture. status: ok, blank or unreadable (with the `error`); of the last two nothing is known.

    redrawn: training images that it is, by its pixels, drawn anew, which are no matches; only of one without a match.
    nearest: its most similar training image, whether or not it reaches the threshold. more: further matches than are
    listed reach the threshold. candidates, compared: how many were to be held against it on pixels, and could be; why
    not. Those that it may be drawn anew are among them where their files cannot be read.
    """

    image: str
    sha256: str
    status: Status
    error: str
    matches: tuple[LookupMatch, ...] = ()
    nearest: LookupMatch | None = None
    more: bool = False
    candidates: int = 0
    compared: int = 0
    why: tuple[str, ...] = ()
    redrawn: tuple[LookupMatch, ...] = ()


@dataclass(frozen=True)
class LookupResult:
    """The answers, and what they rest on: what was searched, with which windows, from which similarity on, by which
    views of the pictures, whether pixels were compared, and whether what is drawn anew was looked for."""

    answers: tuple[Answer, ...]
    references: Searcher
    windows: Windows
    plan: MatchPlan
    threshold: float
    views: tuple[str, ...]
    calibrated: Calibrated | None = None
    redrawn: RedrawnPlan = NOT_LOOKED_FOR
