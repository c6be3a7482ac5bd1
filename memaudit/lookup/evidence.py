"""The evidence of a look-up: what was asked, of what, how, and what came of it, with the digests that make it
repeatable, and its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import memaudit
from memaudit.files import digest_of
from memaudit.index import Index, Searcher
from memaudit.index.recall import NearRecall
from memaudit.lookup.results import Answer, LookupResult
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.plan import NOT_LOOKED_FOR, RedrawnPlan
from memaudit.matching.shortfalls import Shortfall, cut_archives, lost_images, unmeasured
from memaudit.store import Store
from memaudit.types import Coverage, EncoderSpec, Status

SCHEMA = "memaudit-lookup/1"
COMPARED, COMPARED_IN_PART, NOT_COMPARED = "compared", "compared in part", "not compared"
NOTHING, FOUND, UNDECIDED = "nothing found", "found", "could not decide"


@dataclass(frozen=True)
class StoreSearched:
    """The training set's store. sha256: its digest; coverage: how many of its images could be embedded; parts: where it
    is several stores as one, the digest of each by its path, and `path` names them all."""

    path: str
    sha256: str
    coverage: Coverage
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> StoreSearched:
        parts = {str(part.folder): part.digest for part in store.made_of}
        return cls(", ".join(parts or [str(store.folder)]), store.digest, store.coverage, parts)

    def as_dict(self) -> dict[str, object]:
        parts = {"parts": dict(self.parts)} if self.parts else {}
        return {"path": self.path, "sha256": self.sha256, "coverage": self.coverage.as_dict(), **parts}


@dataclass(frozen=True)
class IndexSearched:
    """An index of the store. index_recall: as index.json holds it; near: of that, recall at near-duplicate scale."""

    path: str
    sha256: str
    recipe: str
    index_recall: Mapping[str, object]
    near: NearRecall

    @classmethod
    def of(cls, references: Searcher) -> IndexSearched | None:
        """None where the store was searched without an index."""
        if not isinstance(references, Index):
            return None
        recipe, recall = (references.manifest[name] for name in ("recipe", "index_recall"))
        return cls(str(references.folder), references.digest, recipe, recall, NearRecall(**recall["near"]))

    def as_dict(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "near"}


@dataclass(frozen=True)
class OnPixels:
    """What was decided on pixels, from the similarity `floor` on, and of each picture the nearest few from
    `nearest_from` on, if any: how many candidates were to be, and could be; `why` not. Where none was (floor None)
    parts and strong alterations are found at the threshold only."""

    status: str
    why: tuple[str, ...]
    floor: float | None = None
    candidates: int = 0
    compared: int = 0
    nearest_from: float | None = None

    @classmethod
    def of(cls, result: LookupResult) -> OnPixels:
        if not result.plan.on_pixels:
            return cls(NOT_COMPARED, (result.plan.why_not,))
        candidates, compared = (sum(getattr(a, name) for a in result.answers) for name in ("candidates", "compared"))
        status = COMPARED if compared == candidates else COMPARED_IN_PART if compared else NOT_COMPARED
        why = {reason for answer in result.answers for reason in answer.why}
        return cls(status, tuple(sorted(why)), result.plan.floor, candidates, compared, result.plan.nearest_from)

    @property
    def lost(self) -> list[str]:
        """Candidates that could be copies, had their files been there to be looked at."""
        lost = self.candidates - self.compared
        if not lost:
            return []
        why = "; ".join(self.why)
        return [f"{lost:,} candidates could not be compared on pixels ({why}); --match none leaves them"]

    def as_dict(self) -> dict[str, object]:
        counted = {name: getattr(self, name) for name in ("floor", "nearest_from", "candidates", "compared")}
        return {"status": self.status, **(counted if self.floor is not None else {}), "why": list(self.why)}


@dataclass(frozen=True)
class Evidence:
    """undecided: why "found nothing" must not be read as "is not in it", a line for each reason; views: those of the
    pictures; reference_views: of the training images, by the digests of those that were searched, None: not this one;
    seconds: of named steps; calibrated: by which calibration the threshold was settled, and the cut; redrawn: from
    which similarity on whole images were looked at that may be drawn anew, or why not."""

    created: str
    outcome: str
    undecided: tuple[str, ...]
    store: StoreSearched
    index: IndexSearched | None
    encoder: EncoderSpec
    threshold: float
    views: tuple[str, ...]
    reference_views: Mapping[str, str | None]
    pixels: OnPixels
    images: tuple[Answer, ...]
    seconds: Mapping[str, float]
    calibrated: Calibrated | None = None
    redrawn: RedrawnPlan = NOT_LOOKED_FOR

    @property
    def sha256(self) -> str:
        """Digest of all the others."""
        return digest_of(self._content())

    def as_dict(self) -> dict[str, object]:
        """As its file holds it."""
        return {**self._content(), "sha256": self.sha256}

    def _content(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "memaudit": memaudit.__version__,
            "created": self.created,
            "outcome": self.outcome,
            "undecided": list(self.undecided),
            "store": self.store.as_dict(),
            "index": self.index and self.index.as_dict(),
            "encoder": self.encoder.as_dict(),
            "threshold": self.threshold,
            **({"calibration": {"digest": by.digest, "cut": by.cut}} if (by := self.calibrated) else {}),
            "views": list(self.views),
            "reference_views": dict(self.reference_views),
            "pixels": self.pixels.as_dict(),
            "redrawn": {"floor": self.redrawn.floor, "why_not": self.redrawn.why_not},
            "images": [asdict(answer) for answer in self.images],
            "seconds": dict(self.seconds),
        }


def evidence_of(
    result: LookupResult, allowed: float, seconds: Mapping[str, float], unread: Sequence[str] = ()
) -> Evidence:
    """allowed: share of the training images that may be unmeasured before "found nothing" says nothing. unread: what
    the sources of the pictures hold that was not looked up, and may be pictures."""
    store, pixels = result.references.store, OnPixels.of(result)
    doubts = (
        *(f"{answer.image}: {answer.error}" for answer in result.answers if answer.status != Status.OK),
        *unread,
        *map(str, doubts_of_set(result, allowed)),
        *pixels.lost,
        *(lost_images(store) if pixels.lost else ()),
    )
    return Evidence(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        outcome=_outcome(result.answers, doubts),
        undecided=doubts,
        store=StoreSearched.of(store),
        index=IndexSearched.of(result.references),
        encoder=store.encoder,
        threshold=result.threshold,
        views=result.views,
        reference_views=result.windows.searched_with(store).as_dict(),
        pixels=pixels,
        images=result.answers,
        seconds=seconds,
        calibrated=result.calibrated,
        redrawn=result.redrawn,
    )


def doubts_of_set(result: LookupResult, allowed: float) -> tuple[Shortfall, ...]:
    """What of the training set was not searched, whatever the picture, for each reason."""
    store = result.references.store
    facts = (*cut_archives("training set", store.cut), *unmeasured("training images", store.coverage, allowed))
    return (*map(Shortfall, facts), *result.windows.lost(allowed))


def _outcome(answers: Sequence[Answer], doubts: Sequence[str]) -> str:
    if any(answer.matches or answer.redrawn for answer in answers):
        return FOUND
    return UNDECIDED if doubts else NOTHING


class Stopwatch:
    """Seconds of named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = round(now - self._last, 3), now
