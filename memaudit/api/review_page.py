"""Review by hand: the doubtful pairs of a run on a page that this machine alone can ask for."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from memaudit.api.gating import AnyReport, path_of, report_of
from memaudit.api.notebook import card
from memaudit.api.places import Scratch
from memaudit.errors import InputError, UsageError
from memaudit.files import write_text
from memaudit.report.model import Report
from memaudit.report.run_folder import REPORT
from memaudit.reviewing.book import SUFFIXES, Book
from memaudit.reviewing.desk import Desk
from memaudit.reviewing.findings import findings_queue
from memaudit.reviewing.groups import groups_queue
from memaudit.reviewing.page import page_of
from memaudit.reviewing.proposals import proposals_queue
from memaudit.reviewing.queue import Queue
from memaudit.reviews import Review, Verdict

_PAIRS = (".csv", ".tsv", *SUFFIXES)
_KINDS = ("audit", "dedup")
_OPENER = '<!doctype html><title>memaudit review</title><meta http-equiv="refresh" content="0;url={}">'


@dataclass(frozen=True)
class ReviewStatus:
    """How far people are. out: the file of their decisions; pairs: to be reviewed, in so many sheets; people: how many
    each of them decided; disagreeing: pairs on which they disagree; decisions: made on this page.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> ma.review_status(audit, "reviews.jsonl").pairs
    1
    """

    out: Path
    pairs: int
    sheets: int
    people: Mapping[str, int]
    disagreeing: int
    decisions: int = 0

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return {
            "out": str(self.out),
            "pairs": self.pairs,
            "sheets": self.sheets,
            "people": dict(self.people),
            "disagreeing": self.disagreeing,
            "decisions": self.decisions,
        }


class ReviewPage:
    """A page that is being served, until `close`, or the end of a `with` block. url: with a token that is good once.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> with ma.open_review(audit, "reviews.jsonl") as page:
    ...     page.url.startswith("http://127.0.0.1:"), page.status.pairs
    (True, 1)
    """

    def __init__(self, desk: Desk, port: int) -> None:
        from memaudit.reviewing.server import Server

        self._desk = desk
        self._mended = desk.book.mend()
        self._server = Server(desk, page_of(desk), port)
        self._scratch: Scratch | None = None

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def status(self) -> ReviewStatus:
        return _status(self._desk)

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever looks should know, such as pictures that are not there."""
        return self._desk.queue.notes

    @property
    def mended(self) -> int:
        """Bytes of a line that somebody did not finish, which were taken away."""
        return self._mended

    def serve(self) -> None:
        """Answer until `close` is called from another thread, or Ctrl-C is pressed, which raises KeyboardInterrupt."""
        self._server.serve_forever(poll_interval=0.2)

    def open_browser(self) -> bool:
        """Open the page in this user's browser, by a file that nobody else can read: what stands in the list of
        processes everybody can."""
        self._scratch = Scratch()
        place = self._scratch.folder / "open.html"
        write_text(place, _OPENER.format(self.url))
        return webbrowser.open(place.resolve().as_uri())

    def close(self) -> None:
        """End. What is being written is written first."""
        with self._desk.book.lock:
            self._server.server_close()
        self._scratch = None

    def stop(self) -> None:
        """Let `serve`, which another thread called, return."""
        self._server.shutdown()

    def __enter__(self) -> ReviewPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ReviewPage: {self.status.pairs:,} pairs, {self.status.out}>"

    def _repr_html_(self) -> str:
        cells = [(name, f"{count:,} decided") for name, count in self.status.people.items()]
        return card("memaudit review", repr(self)[1:-1], cells)


def open_review(target: AnyReport, out: str | Path = "reviews.jsonl", *, who: str = "", port: int = 0) -> ReviewPage:
    """Make a page on which people review findings of an audit, groups of a dedup, or pairs proposed to be labelled, the
    most doubtful first. It answers to this machine alone, and is served when `serve` is called.

    target: the run, its folder or report.json, or what `propose_labels` wrote. out: the .jsonl file that decisions are
    added to the moment they are made; what is in it counts as decided. who: whose name the page begins with. port: 0
    for any that is free.

    Raises UsageError for impossible options, InputError for a target with nothing to review and an `out` that holds
    something else, InconclusiveError where a dedup's tables or store are not what they were.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> _ = ma.propose_labels(store, "to-label.csv", match_from=0.2)
    >>> with ma.open_review("to-label.csv", "reviews.jsonl", who="A. Auditor") as page:
    ...     page.status.pairs
    8
    """
    return ReviewPage(_desk(target, out, who), port)


def review_status(target: AnyReport, out: str | Path = "reviews.jsonl") -> ReviewStatus:
    """How far people are with this target; nothing is served. target, out: as of `open_review`. Raises as it does.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> _ = ma.propose_labels(store, "to-label.csv", match_from=0.2)
    >>> ma.review_status("to-label.csv").people
    {}
    """
    return _status(_desk(target, out, ""))


def _status(desk: Desk) -> ReviewStatus:
    desk.book.refresh()
    told = desk.progress("")
    people, differ = told.people, told.differ
    return ReviewStatus(desk.book.path, desk.queue.pairs, len(desk.queue), people, differ, desk.decisions)


def _desk(target: AnyReport, out: str | Path, who: str) -> Desk:
    if isinstance(target, str | Path) and Path(target).suffix.lower() in _PAIRS:
        queue, said = proposals_queue(Path(target))
        if os.path.realpath(out) == os.path.realpath(target):
            raise UsageError(f"--out {out} is the file of pairs itself: name another one for the decisions")
    else:
        said = list[Review]()
        queue = _of_run(target, Path(out))
    return Desk(queue, Book(Path(out), said), " ".join(who.split()))


def _of_run(target: AnyReport, out: Path) -> Queue:
    folder = isinstance(target, str | Path) and Path(target).is_dir()
    place = Path(str(target)) / REPORT if folder else target
    if folder and not Path(str(place)).is_file():
        raise InputError(f"{target} has no {REPORT}: name the folder of an audit or a dedup")
    report: Report = report_of(place)
    if report.kind not in _KINDS:
        raise UsageError(f"{path_of(place)} is a report of {report.kind}: expected one of {' or '.join(_KINDS)}")
    beside = Path(path_of(place)).parent
    if report.kind == "dedup":
        return groups_queue(report, beside)
    return findings_queue(report, beside, Book(out).with_verdict(Verdict.NO_COPY))
