"""Many audits, one after another: their rates, and what is new since the last but one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from msgspec import UNSET

from memaudit.api.comparing import Compared, compare
from memaudit.api.gating import AnyReport, path_of, report_of
from memaudit.api.notebook import grid
from memaudit.errors import InconclusiveError, UsageError
from memaudit.files import real
from memaudit.gate.comparison import GENERATIONS, PROMPTS, obstacle
from memaudit.gate.judging import complaining
from memaudit.gate.subjects import FACES, about_faces, measured_by, training_set_of
from memaudit.report.found import find_reports
from memaudit.report.history import Entry, Since, write_history
from memaudit.report.model import Rate, Report
from memaudit.report.page import percent


@dataclass(frozen=True, repr=False)
class History:
    """Audits from the oldest to the newest. unit: what rates are of; since: the newest against the one before, None for
    a single one; path: the page.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> reports = [ma.run_audit("generations", store, out=name, model=name) for name in ("before", "after")]
    >>> [audit.found for audit in ma.history(reports, "history.html").entries]
    [1, 1]
    """

    entries: tuple[Entry, ...]
    unit: str
    since: Since | None
    path: Path

    @property
    def conclusive(self) -> bool:
        """Whether the newest audit and the one before say what they set out to, and could be compared."""
        since = self.since
        return not (since.why or since.warnings) if since else self.entries[-1].conclusive

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        since = {**asdict(self.since), "lists": dict(self.since.lists)} if self.since else None
        entries = [{"break" if name == "break_" else name: v for name, v in asdict(e).items()} for e in self.entries]
        return {"unit": self.unit, "audits": entries, "since": since, "path": str(self.path)}

    def __repr__(self) -> str:
        return f"<History: {len(self.entries):,} audits, in {self.path}>"

    def _repr_html_(self) -> str:
        rows = [(each.created, each.name, each.rate, each.interval) for each in self.entries]
        return grid(
            ("day", "report", "rate", "95 % interval"), rows, title="memaudit history", headline=repr(self)[1:-1]
        )


def history(reports: AnyReport | Sequence[AnyReport], out: str | Path) -> History:
    """Put audits in the order of their days, and write a page with a chart of their rates.

    reports: report.json of audits, folders of them, or runs. out: the page, an .html file.

    Raises UsageError where none is an audit of images, or audits of faces alone are among others.

    >>> ma.history([], "history.html")
    Traceback (most recent call last):
    memaudit.errors.UsageError: no report given: name the report.json of some audits, or a folder of them
    """
    path = Path(out)
    if path.suffix.lower() != ".html":
        raise UsageError(f"--out {path}: expected a file that ends in .html")
    named = sorted(_audits(reports), key=lambda each: (each[1].created, each[0]))
    _require_written(path, named)
    unit = _unit(named)
    entries = tuple(_entry(place, named, unit) for place in range(len(named)))
    since = _since(named[-2], named[-1]) if len(named) > 1 else None
    write_history(path, entries, unit, since)
    return History(entries, unit, since, path)


def _audits(given: AnyReport | Sequence[AnyReport]) -> list[tuple[str, Report]]:
    """Every audit by its path, once each: one that could not measure anything has its place as well."""
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    found = list[tuple[str, Report]]()
    for each in several:
        folder = isinstance(each, str | Path) and Path(each).is_dir()
        inside = [*find_reports(Path(str(each))).reports] if folder else [each]
        read = [(str(path_of(one)), report_of(one)) for one in inside]
        others = [name for name, report in read if report.kind != "audit"]
        if others and not folder:
            raise UsageError(f"{others[0]} is no audit: a history is of audits")
        found += [(name, report) for name, report in read if name not in others]
    once = {report.digest: (name, report) for name, report in reversed(found)}
    if not once:
        raise UsageError("no report given: name the report.json of some audits, or a folder of them")
    measured = [report for _, report in once.values() if measured_by(report) is not None]
    if len({about_faces(report) for report in measured}) > 1:
        raise UsageError("some of the audits are of faces alone and others of images: give those of one kind")
    return list(once.values())


def _require_written(path: Path, named: Sequence[tuple[str, Report]]) -> None:
    """Raise UsageError where the page would be written over another file than an earlier page."""
    if path.exists() and not (path.is_file() and b"<title>memaudit history</title>" in path.read_bytes()[:4096]):
        raise UsageError(f"{path} exists already, and is no page of a history: choose another --out")
    if real(path) in {real(Path(name)) for name, _ in named}:
        raise UsageError(f"--out {path} is read by this very call: name another file")


def _unit(named: Sequence[tuple[str, Report]]) -> str:
    """Of the audits that measured something, or of all where none did; prompts, where all of them know these."""
    reports = [report for _, report in named]
    measured = [report for report in reports if measured_by(report) is not None]
    if any(map(about_faces, measured or reports)):
        return FACES
    by_prompt = [each.by_prompt for report in measured if (each := measured_by(report)) is not None]
    return PROMPTS if by_prompt and all(by_prompt) else GENERATIONS


def _entry(place: int, named: Sequence[tuple[str, Report]], unit: str) -> Entry:
    name, report = named[place]
    rate = _rate(report, unit)
    before = named[place - 1][1] if place else None
    own = training_set_of(report) or ""
    with complaining(name):
        why = obstacle(before, report) if before else ""
    return Entry(
        name=name,
        created=report.created[:10],
        found=rate.count if rate else 0,
        measured=rate.n if rate else 0,
        value=rate.value if rate else None,
        low=rate.low if rate else 0.0,
        high=rate.high if rate else 1.0,
        findings=len(report.matches),
        training_set=own,
        other_set=before is not None and bool(own) and training_set_of(before) not in (own, None),
        break_=why,
        conclusive=report.results.conclusive,
        model=report.head.about.model if report.head.about else "",
    )


def _rate(report: Report, unit: str) -> Rate | None:
    """None of an audit that measured nothing."""
    results = measured_by(report)
    if results is None:
        return None
    by_prompt = results.by_prompt
    return by_prompt.returned if unit == PROMPTS and by_prompt is not UNSET and by_prompt else results.searched


def _since(before: tuple[str, Report], after: tuple[str, Report]) -> Since:
    names = before[0], after[0]
    try:
        found = compare(*names) if all(Path(name).is_file() for name in names) else None
    except InconclusiveError as error:
        return Since(*names, why=str(error))
    if found is None:
        return Since(*names, why="not both reports are files that are there")
    sets = _sets(found, before[1], after[1])
    return Since(*names, _sentence(found), found.caveat, sets, "", _lists(found), found.warnings)


def _sentence(found: Compared) -> str:
    old, new = found.rates
    rise = found.comparison.rise
    sides = [f"{percent(rate.value)} ({rate.count:,} of {rate.coverage.measured:,})" for rate in (new, old)]
    told = f"{sides[0]} of {found.comparison.unit} gave a training image back, {sides[1]} before"
    if not found.comparison.measured:
        return f"{told}: no difference can be told."
    return (
        f"{told}: a difference of {rise.value:+.2%}, 95 % interval {rise.low:+.2%} to {rise.high:+.2%}, "
        f"p = {found.p:.2g} ({found.comparison.test}'s exact test, two-sided)."
    )


def _sets(found: Compared, before: Report, after: Report) -> str:
    sets = found.sets
    if sets is None or sets.why:
        return sets.sentence if sets else ""
    gone, came = sets.without_original(before.matches), sets.of_added(after.matches)
    return (
        f"{sets.sentence} The training image of {gone:,} of the {len(before.matches):,} findings before is no longer "
        f"in it, and that of {came:,} of the {len(after.matches):,} now was not in it."
    )


def _lists(found: Compared) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """None where a side measured nothing: then nothing is gone."""
    comparison = found.comparison
    if not comparison.measured:
        return ()
    new, gone = (
        tuple(f"{pair.query_id} → {pair.reference_id}" for pair in pairs)
        for pairs in (comparison.gained_matches, comparison.lost_matches)
    )
    changed = tuple(
        f"{each.query_id} → {each.reference_id}: {each.before}, now {each.after}" for each in comparison.changed_matches
    )
    return (("New", new), ("Gone", gone), ("Changed", changed))
