"""Claims of right holders: which of their pictures are in the training set, what became of them, and who was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from memaudit import __version__
from memaudit.api.calibrated_options import by_calibration
from memaudit.api.encoding import Encoding
from memaudit.api.looking_up import Sought, searched
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, searcher_of_set, sources_of
from memaudit.api.runs import AuditRun, DedupRun
from memaudit.api.runs_given import table_of
from memaudit.claims.answer import HOWS, NOT_DECIDED, ClaimAnswer, answered
from memaudit.claims.answer import PictureAnswer as PictureAnswer
from memaudit.claims.families import Families, families_in
from memaudit.claims.given_back import AuditSeen, by_image, cut_in, given_back_in
from memaudit.claims.intake import DAYS as DAYS
from memaudit.claims.intake import Claimant, Term, asked_of, give, taken_in, unsettled
from memaudit.claims.ledger import today
from memaudit.claims.letter import summary
from memaudit.claims.searched import SearchedBy
from memaudit.claims.vault import LETTER, Asked, place_of
from memaudit.errors import EmptyInputError, InputError
from memaudit.files import digest_of, real
from memaudit.images.sources import iter_images
from memaudit.images.views import views_of
from memaudit.index import Index, Searcher
from memaudit.lookup.evidence import IndexSearched, OnPixels, Stopwatch, doubts_of_set
from memaudit.lookup.fates import with_fates
from memaudit.lookup.results import Answer, LookupResult
from memaudit.lookup.run import LookupOptions
from memaudit.lookup.same_files import with_same_files
from memaudit.matching.kinds import ALL
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults
from memaudit.report.run_folder import REPORT
from memaudit.similarity.exact import require_threshold
from memaudit.store import NO_FILE, Store
from memaudit.types import Progress, Status, silent
from memaudit.words import plural

Source = str | Path | Sequence[str | Path]
"""Pictures: folders, manifests (CSV, Parquet …), archives, files; one or several."""


@dataclass(frozen=True, repr=False)
class ClaimRun:
    """An answered claim. number: in the ledger; letter: the page for who asked; line: digest of the ledger's line;
    repeated: it was answered before, from the same training set, and the answer stands.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> claim = ma.answer_claim("generations", store, "claims", claimant="R. Holder")
    >>> claim.counts["altered"], claim.counts["not found"]
    (1, 4)
    """

    number: int
    answer: ClaimAnswer
    folder: Path
    line: str
    repeated: bool = False

    @property
    def letter(self) -> Path:
        return self.folder / LETTER

    @property
    def pictures(self) -> Sequence[PictureAnswer]:
        return self.answer.pictures

    @property
    def counts(self) -> Mapping[str, int]:
        """Pictures by outcome: exact, altered, part, re-drawn, not found, not decided."""
        return self.answer.counts

    @property
    def summary(self) -> str:
        """What was found, in a sentence."""
        return summary(self.answer)

    @property
    def outcome(self) -> str:
        """found, nothing found or could not decide."""
        if any(self.counts[how] for how in HOWS):
            return "found"
        return "could not decide" if self.counts["not decided"] else "nothing found"

    @property
    def is_cut(self) -> bool:
        """Whether more training images match a picture than are listed of it."""
        return self.answer.cut > 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why there may be more than is listed of the pictures that were found."""
        said = (
            (self.answer.cut, "more training images match than are listed"),
            (self.answer.found_in_part, "found further candidates could not be compared"),
        )
        return tuple(f"of {plural(count, 'picture')} {words}" for count, words in said if count)

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "claim": self.number,
            "outcome": self.outcome,
            "counts": dict(self.counts),
            "given_back": self.answer.given_back,
            "given_back_anew": self.answer.given_back_anew,
            "dropped": self.answer.dropped,
            "warnings": list(self.warnings),
            "letter": str(self.letter),
            "line": self.line,
            "repeated": self.repeated,
            "answer": msgspec.to_builtins(self.answer),
        }

    def __repr__(self) -> str:
        return f"<ClaimRun {self.number}: {self.outcome}; {plural(len(self.pictures), 'picture')}>"

    def _repr_html_(self) -> str:
        cells = [(name, f"{count:,}") for name, count in self.counts.items()]
        return card("memaudit claims", self.summary, [*cells, ("letter", str(self.letter))])


def receive_claim(
    pictures: Source,
    ledger: str | Path,
    *,
    claimant: str,
    contact: str = "",
    received: str | None = None,
    days: int = DAYS,
) -> int:
    """Put a claim into the ledger without answering it yet, and return its number: its days run. `answer_claim` of the
    same person and pictures answers it.

    received: the day when it came in; None: today. days: until the answer is due.

    Raises UsageError for impossible options, EmptyInputError where there is no picture.

    >>> ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder")
    1
    """
    term = Term.of(received, days, today())
    with taken_in(Path(ledger), Claimant(claimant, contact), _asked(pictures), term) as taken:
        return taken.claim.number


def answer_claim(
    pictures: Source,
    against: AnyStore,
    ledger: str | Path,
    *,
    claimant: str,
    contact: str = "",
    who: str = "",
    training_set: str = "",
    received: str | None = None,
    days: int = DAYS,
    dedup: str | Path | DedupRun | None = None,
    audits: Sequence[str | Path | AuditRun] = (),
    views: str = "all",
    match: str = "auto",
    match_from: float | None = None,
    threshold: float | None = None,
    calibration: str | Path | None = None,
    max_unreadable: float = 0.01,
    encoding: Encoding = Encoding(),
    progress: Progress = silent,
) -> ClaimRun:
    """Look a right holder's pictures up, keep the answer and a letter in the ledger's vault, and say in the ledger that
    it was given. Called again after a kill, it goes on with the claim; answered from the same training set, runs and
    options before, the answer stands, unless something could not be decided that another time may be.

    against: the training set's store, or an index of it. claimant, contact: who asks, and where an answer reaches him.
    who, training_set: who answers, and of what, for the letter. received, days: as of `receive_claim`. dedup: a run of
    the same store: near-duplicates of what is found, and whether it dropped them. audits: of models that were trained
    on it: what they gave back. The others: as of `run_lookup`. All training images that match a picture are listed, up
    to 1,000 and all that are the same file.

    Raises EmptyInputError where there is no picture, InconclusiveError for another encoder than the training set's and
    for runs of another state of it, InputError for a ledger that is not as it was written.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.answer_claim("generations/copy.png", store, "claims", claimant="R. Holder", days=14)
    <ClaimRun 1: found; 1 picture>
    """
    if threshold is not None:
        require_threshold(threshold)
    term = Term.of(received, days, today())
    options = LookupOptions(views_of(views), threshold, match=match, match_from=match_from, all_matches=True)
    options = by_calibration(options, calibration)
    references = searcher_of_set(against)
    runs = _runs(references.store, dedup, audits)
    by = [*_searched_by(references, options), max_unreadable]
    basis = digest_of([*by, runs.report, [one.seen.digest for one in runs.audits], who])
    asked = _asked(pictures)
    watch = Stopwatch()
    with taken_in(Path(ledger), Claimant(claimant, contact), asked, term, basis) as taken:
        answer = taken.answer
        if answer is None:
            encoder = encoding.load(references.store.encoder)
            found = searched(sources_of(pictures), references, encoder, options, progress)
            parts = _parts(found, runs, max_unreadable)
            references.require_current()
            watch.lap("all")
            answer = ClaimAnswer(
                memaudit=__version__,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                claim=taken.claim.number,
                basis=basis if _is_settled(found.result.answers, parts) else unsettled(basis),
                who=who,
                training_set=training_set,
                seconds=watch.seconds["all"],
                **parts,
            )
        line = give(Path(ledger), taken, answer)
        place = place_of(real(ledger), taken.claim.number)
        return ClaimRun(taken.claim.number, answer, place, line, repeated=taken.answer is not None)


def _asked(pictures: Source) -> list[Asked]:
    asked = asked_of(iter_images(sources_of(pictures)))
    if not asked:
        raise EmptyInputError(f"no image in {', '.join(sources_of(pictures))}: nothing was claimed")
    return asked


class _Audit(NamedTuple):
    """kinds: of matches that count there."""

    seen: AuditSeen
    matches: Path
    scores: Path
    kinds: Sequence[str]

    def with_cut(self) -> AuditSeen:
        return msgspec.structs.replace(self.seen, cut=cut_in(self.matches, self.scores, self.kinds))


class _Runs(NamedTuple):
    """What is known of the training set besides. report: digest of the dedup run's, empty without one."""

    report: str
    decisions: Path | None
    audits: tuple[_Audit, ...]


def _runs(store: Store, dedup: str | Path | DedupRun | None, audits: Sequence[str | Path | AuditRun]) -> _Runs:
    decisions = table_of(dedup, store, "decisions.parquet") if dedup else None
    report = read_report(decisions.parent / REPORT).digest if decisions else ""
    return _Runs(report, decisions, tuple(_audit(store, each) for each in audits))


def _audit(store: Store, run: str | Path | AuditRun) -> _Audit:
    matches = table_of(run, store, "matches.parquet", "audit", "--audit")
    report = read_report(matches.parent / REPORT)
    results = report.results
    if not isinstance(results, AuditResults):
        raise InputError(f"{matches.parent} measured no images: --audit takes an audit that did")
    named = report.head.about.model if report.head.about else ""
    named = named or (results.model.name if results.model else "")
    seen = AuditSeen(digest=report.digest, model=named, generations=results.searched.n, conclusive=results.conclusive)
    kinds = ALL if results.counted_kinds is msgspec.UNSET else results.counted_kinds
    return _Audit(seen, matches, table_of(run, store, "scores.parquet", "audit", "--audit"), kinds)


def _searched_by(references: Searcher, options: LookupOptions) -> list[object]:
    index = references.digest if isinstance(references, Index) else ""
    by = options.calibrated.digest if options.calibrated else ""
    views = [view.name for view in options.views]
    listed, store = options.listed, references.store
    unread = [store.pictures_not_read] if store.not_read else []  # no part of the digest, and the answer tells of them
    return [store.digest, index, options.threshold, options.match, options.match_from, by, views, listed, *unread]


def _parts(found: Sought, runs: _Runs, allowed: float) -> dict[str, Any]:
    """Those of an answer that the search and the runs give: what was searched, how, and what came of it."""
    result = found.result
    store, near = result.references.store, IndexSearched.of(result.references)
    pixels = OnPixels.of(result)
    of_training = [f"training images: {store.count_not_read}"] if store.not_read else []
    how = (
        "every image was compared"
        if near is None
        else (f"the index finds {near.near.at_1:.2%} of near-duplicates (measured on {near.near.rows:,} queries)")
    )
    said = f"candidates were {pixels.status} on pixels" + (f" ({'; '.join(pixels.why)})" if pixels.why else "")
    return {
        "store": store.digest,
        "images": store.coverage.total,
        "measured": store.coverage.measured,
        "index": how,
        "encoder": store.encoder.identity,
        "threshold": result.threshold,
        "pixels": said,
        "dedup": runs.report,
        "audits": [one.with_cut() for one in runs.audits],
        "doubts": [each.fact for each in doubts_of_set(result, allowed)],  # the letter tells them
        "not_read": [*found.unread, *found.plain, *of_training],
        "unsearched": store.pictures_not_read,
        "pictures": _pictures(result, runs, allowed),
        "searched": SearchedBy.of(result, allowed),
    }


def _is_settled(answers: Sequence[Answer], parts: Mapping[str, Any]) -> bool:
    """Whether another search of the same would say no more: what was not decided is so by the picture's own bytes, and
    not because files were gone."""
    for answer, picture in zip(answers, parts["pictures"], strict=True):
        by_files = answer.status == Status.OK or answer.sha256 == NO_FILE
        if by_files and (picture.outcome == NOT_DECIDED or (picture.is_found and picture.why)):
            return False
    return True


def _pictures(result: LookupResult, runs: _Runs, allowed: float) -> list[PictureAnswer]:
    result = with_same_files(result)
    if runs.decisions:
        result = with_fates(result, runs.decisions)
    wanted = {match.image_id for answer in result.answers for match in (*answer.matches, *answer.redrawn)}
    families = families_in(runs.decisions, wanted) if runs.decisions else Families({}, {})
    wanted |= families.images
    given = by_image(each for one in runs.audits for each in given_back_in(one.matches, one.seen, wanted))
    return answered(result.answers, bool(doubts_of_set(result, allowed)), families, given)
