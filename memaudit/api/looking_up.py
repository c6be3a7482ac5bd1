"""Pictures looked up in a training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from memaudit.api.calibrated_options import by_calibration
from memaudit.api.encoding import Encoding
from memaudit.api.notebook import card
from memaudit.api.places import sources_of
from memaudit.api.runs import DedupRun
from memaudit.api.runs_given import table_of
from memaudit.api.several import Stores, searcher_of, without
from memaudit.embedding.growth import grown
from memaudit.encoders import Encoder
from memaudit.errors import EmptyInputError, UsageError
from memaudit.files import write_json
from memaudit.folders import sole_writer_of
from memaudit.images.passed_over import PassedOver
from memaudit.images.sources import iter_images
from memaudit.images.views import views_of
from memaudit.index import Searcher
from memaudit.lookup.evidence import FOUND as FOUND
from memaudit.lookup.evidence import NOTHING as NOTHING
from memaudit.lookup.evidence import UNDECIDED as UNDECIDED
from memaudit.lookup.evidence import Evidence as Evidence
from memaudit.lookup.evidence import OnPixels as OnPixels
from memaudit.lookup.evidence import Stopwatch, evidence_of
from memaudit.lookup.fates import with_fates
from memaudit.lookup.results import Answer as Answer
from memaudit.lookup.results import LookupMatch as LookupMatch
from memaudit.lookup.results import LookupResult
from memaudit.lookup.run import LookupOptions, look_up
from memaudit.similarity.exact import require_threshold
from memaudit.types import Progress, silent


@dataclass(frozen=True, repr=False)
class LookupRun:
    """What came of each picture. evidence: all of it, with the digests that make it repeatable. grown: what the
    training set's sources hold by now and its store does not, in a sentence. not_read: files beside the pictures that
    hold none, a sentence for each source, and what of the training set its store was made without.

    >>> found = ma.run_lookup("generations/copy.png", ma.embed("training", out="store", encoder="thumbnail"))
    >>> found.outcome, found.answers[0].matches[0].image_id
    ('found', '0005.png')
    """

    evidence: Evidence
    grown: str = ""
    not_read: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[Answer, ...]:
        return self.evidence.images

    @property
    def outcome(self) -> str:
        """found, nothing found or could not decide."""
        return self.evidence.outcome

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why "nothing found" must not be read as "is not in it"."""
        return (*self.evidence.undecided, *([f"not searched in: {self.grown}"] if self.grown else []))

    def write(self, path: str | Path) -> Path:
        """Write the evidence as JSON. Raises UsageError where a file is already: evidence is not written over."""
        path = Path(path)
        _require_new(path)
        write_json(path, self.evidence.as_dict(), new=True)
        return path

    def __repr__(self) -> str:
        return f"<LookupRun: {self.outcome}; {len(self.answers):,} pictures>"

    def _repr_html_(self) -> str:
        rows = [(answer.image, _said(answer)) for answer in self.answers]
        return card("memaudit lookup", self.outcome, [*rows, ("warnings", "; ".join(self.warnings))])


def _said(answer: Answer) -> str:
    if answer.matches:
        return ", ".join(f"{match.image_id} ({match.similarity:.3f})" for match in answer.matches)
    if answer.redrawn:
        return ", ".join(f"{match.image_id} drawn anew ({match.similarity:.3f})" for match in answer.redrawn)
    return "no match" if answer.status == "ok" else str(answer.status)


def run_lookup(
    images: str | Path | Sequence[str | Path],
    against: Stores,
    *,
    dedup: str | Path | DedupRun | None = None,
    views: str = "all",
    match: str = "auto",
    match_from: float | None = None,
    threshold: float | None = None,
    calibration: str | Path | None = None,
    neighbours: int = 10,
    evidence: str | Path | None = None,
    max_unreadable: float = 0.01,
    encoding: Encoding = Encoding(),
    progress: Progress = silent,
) -> LookupRun:
    """Look pictures up in a training set: its store, an index of it, or several stores as one.

    dedup: a run of the same store: was a match kept or dropped? views: none, flips or all. match: whether candidates
    from `match_from` to the threshold (cosine) are decided on pixels: auto, pixels or none. calibration: a file of
    `calibrate`, whose threshold and cut count. evidence: file to write.

    Raises EmptyInputError where there is no image, InconclusiveError for another encoder than the training set's.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.run_lookup("generations/0500.png", store, views="none").outcome
    'nothing found'
    """
    if threshold is not None:
        require_threshold(threshold)
    options = LookupOptions(views_of(views), threshold, neighbours, match, match_from)
    options = by_calibration(options, calibration)
    sources = sources_of(images)
    if evidence is None:
        return _looked_up(sources, against, dedup, options, max_unreadable, encoding, progress)
    with sole_writer_of(Path(evidence)):
        _require_new(Path(evidence))
        found = _looked_up(sources, against, dedup, options, max_unreadable, encoding, progress)
        found.write(evidence)
        return found


def _looked_up(
    sources: list[str],
    against: Stores,
    dedup: str | Path | DedupRun | None,
    options: LookupOptions,
    max_unreadable: float,
    encoding: Encoding,
    progress: Progress,
) -> LookupRun:
    watch = Stopwatch()
    references = searcher_of(against)
    decisions = table_of(dedup, references.store, "decisions.parquet") if dedup else None
    watch.lap("opening")
    encoder = encoding.load(references.store.encoder)
    watch.lap("loading the encoder")
    found = searched(sources, references, encoder, options, progress)
    result = found.result if decisions is None else with_fates(found.result, decisions)
    watch.lap("looking up")
    references.require_current()
    evidence = evidence_of(result, max_unreadable, watch.seconds, found.unread)
    store = references.store
    said = (f"training images: {line}" for line in store.unsearched(references.first_frames_alone()))
    return LookupRun(evidence, grown(store), (*found.plain, *said, *without(store)))


class Sought(NamedTuple):
    """Pictures that were looked up. unread: what their sources hold besides that may be pictures, and plain: that is
    none, or that they hold no picture at all, a sentence for each source."""

    result: LookupResult
    unread: tuple[str, ...]
    plain: tuple[str, ...]


def searched(
    sources: Sequence[str], references: Searcher, encoder: Encoder, options: LookupOptions, progress: Progress
) -> Sought:
    """Look up what sources hold. Raises EmptyInputError where that is no image, and as `look_up`."""
    passed = [PassedOver() for _ in sources]
    refs = (ref for source, each in zip(sources, passed, strict=True) for ref in iter_images([source], passed=each))
    result = look_up(refs, references, encoder, options, progress)
    unread = tuple(
        f"{source}: {each.unread_line}" for source, each in zip(sources, passed, strict=True) if each.pictures
    )
    if not result.answers:
        raise EmptyInputError(f"no image in {', '.join([*sources, *unread])}: nothing to look up")
    return Sought(result, unread, tuple(line for each in passed for line in (each.plain_line, each.empty_line) if line))


def _require_new(path: Path) -> None:
    if path.exists():
        raise UsageError(f"{path} exists already: evidence is not written over; choose another --evidence")
