"""The gate: reports held against a policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from memaudit.api.bundled import BundledReport, Signed, beside, opened, signature_rules, trusted
from memaudit.api.notebook import grid
from memaudit.api.places import Files, files_of
from memaudit.bundling.archive import is_archive
from memaudit.errors import UsageError
from memaudit.files import append_text, as_private, is_passage, real, write_text
from memaudit.folders import sole_writer_of
from memaudit.gate import (
    DEFAULT_POLICY,
    GateResult,
    Ledger,
    Policy,
    RuleResult,
    hold,
    open_ledger,
    outputs,
    read_accepted,
    read_policy,
)
from memaudit.gate import Finding as Finding
from memaudit.gate import Verdict as Verdict
from memaudit.gate.ledger import add
from memaudit.gate.outputs import plain as plain
from memaudit.gate.verdict import unmeasured
from memaudit.matching.kinds import kinds_of
from memaudit.report.document import read_report
from memaudit.report.found import FoundReports, find_reports, is_report
from memaudit.report.model import Report
from memaudit.reviews import read_reviews

_WRITERS = {"junit": outputs.junit, "sarif": outputs.sarif, "markdown": outputs.markdown}


@runtime_checkable
class HasReport(Protocol):
    """What a run is to the gate: its report, and the folder where that lies."""

    @property
    def report(self) -> Report: ...

    @property
    def folder(self) -> Path: ...


@dataclass(frozen=True, repr=False)
class GateRun:
    """The verdict, and every rule that led to it.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> gate = ma.run_gate("audit/report.json")
    >>> [rule.rule for rule in gate.rules if str(rule.outcome) == "fail"]
    ['max_findings', 'max_verbatim', 'max_rate']
    """

    result: GateResult

    @property
    def verdict(self) -> Verdict:
        return self.result.verdict

    @property
    def headline(self) -> str:
        """The verdict, and every rule that did not pass, in a line."""
        return self.result.headline

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        """Report, rule, outcome, figure, limit and a sentence of each rule."""
        return self.result.rules

    @property
    def both_counts(self) -> str:
        """How many findings count, and how many there are with those that people have cleared; "" where none is."""
        return self.result.both_counts

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.result.findings

    @property
    def reports(self) -> tuple[str, ...]:
        """The paths of the reports that were judged."""
        return self.result.reports

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know besides, such as entries without use."""
        return self.result.notes

    def write(
        self,
        *,
        junit: str | Path | None = None,
        sarif: str | Path | None = None,
        markdown: str | Path | None = None,
        append: bool = False,
    ) -> None:
        """Write the result as JUnit XML, SARIF 2.1.0 or Markdown. append: the Markdown goes to the end of its file.

        Of a report that is for its owner alone what is made here is, too; a file that is added to keeps its mode.
        """
        given = {"junit": junit, "sarif": sarif, "markdown": markdown}
        for name, path in ((name, Path(path)) for name, path in given.items() if path is not None):
            if append and name == "markdown" and path.exists():
                append_text(path, _WRITERS[name](self.result))
                continue
            with as_private(path, map(Path, self.reports)):
                write_text(path, _WRITERS[name](self.result))

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return dict(outputs.values(self.result))

    def annotations(self) -> list[str]:
        """Lines that GitHub Actions shows beside a change."""
        return list(outputs.annotation_lines(self.result))

    def __repr__(self) -> str:
        failed = [rule.rule for rule in self.rules if rule.outcome != Verdict.PASS]
        return f"<GateRun: {self.verdict}{': ' if failed else ''}{', '.join(failed)}>"

    def _repr_html_(self) -> str:
        rules = sorted(self.rules, key=lambda rule: rule.outcome == Verdict.PASS)
        rows = [(rule.outcome, rule.rule, rule.figure, rule.limit, rule.sentence) for rule in rules]
        said = "; ".join((f"Verdict: {self.verdict}", *self.warnings))
        return grid(("", "rule", "figure", "limit", ""), rows, title="memaudit gate", headline=said)


AnyReport = str | Path | HasReport
"""A report.json, a folder that has some, or a run that has one."""


def run_gate(
    reports: AnyReport | Sequence[AnyReport],
    policy: str | Path | None = None,
    *,
    baseline: AnyReport | None = None,
    accepted: str | Path | None = None,
    reviews: Files = (),
    kinds: str | Sequence[str] = (),
    ledger: str | Path | None = None,
    junit: str | Path | None = None,
    sarif: str | Path | None = None,
    markdown: str | Path | None = None,
    append: bool = False,
    page: str | Path | None = None,
    pdf: str | Path | None = None,
    require_signature: bool = False,
    keys: Files = (),
) -> GateRun:
    """Hold reports of audits and dedups against a policy.

    reports: a folder stands for every report of memaudit below it, whatever the file is called; previous runs are left
    out, and a run without a report there is inconclusive; a bundle stands for its reports. policy: limits in
    TOML; None: those that `write_policy` writes. baseline: an earlier audit: its rate may not be exceeded by much.
    accepted: TOML of matches that a person has accepted. reviews: files of what people decided on findings, by the
    digests of both files; the policy says how many people clear one. kinds: of findings that count, in place of the
    policy's, with commas or as names. ledger: a file to which every look is added, made where there is none: error is
    shared among all looks, and the audits of one model (`run_audit` with model) are pooled. junit, sarif, markdown:
    files to write. append: the Markdown goes to the end of its file, where others wrote before. page: the audit's
    page anew, with the verdict; pdf: the same by a Chromium that is there. require_signature: each report must lie
    in a bundle, named, in the folder that is gated, in that of the report or between them, that all of `keys` signed:
    files of public keys, or their ids.

    Raises InputError for a report, policy or ledger that is not sound, InconclusiveError for a bundle that was changed,
    UsageError for a file that is both read and written, and for limits that are not those of the ledger.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> str(ma.run_gate(audit).verdict)
    'fail'
    """
    named = list(reports) if isinstance(reports, Sequence) and not isinstance(reports, str) else [reports]
    if not named:
        raise UsageError("no report given: name at least one report.json of memaudit audit or dedup")
    if append and markdown is None:
        raise UsageError("append without markdown: name the file that the Markdown is added to")
    given = {"junit": junit, "sarif": sarif, "markdown": markdown, "page": page, "pdf": pdf}
    files = {name: Path(path) for name, path in given.items() if path is not None}
    kept, reviewed = {"markdown"} if append else set[str](), files_of(reviews)
    others = [*reviewed, *(path_of(each) for each in (policy, baseline, accepted, ledger) if each is not None)]
    _clear(files, [*map(path_of, named), *others], kept, _may_be_judged)
    wanted = trusted(files_of(keys), required=require_signature)
    bundles = _bundles(named)
    if any(isinstance(each, str | Path) and is_archive(Path(each)) for each in named) and (page or pdf):
        raise UsageError("--page and --pdf are made beside a run's pictures: a bundle has its own page in it")
    asked, (named, walked) = named, _unfolded(named, bundles)
    bundles += _beside_all(asked, named) if require_signature else []
    _clear(files, [*map(path_of, named), *(each.path for each in bundles), *others], kept)
    read = _once([(path_of(report), report_of(report), isinstance(report, BundledReport)) for report in named])
    shown = _to_show(read) if page or pdf else None
    book = Path(ledger) if ledger is not None else None
    with sole_writer_of(real(book), "--ledger") if book else nullcontext():
        limits = read_policy(Path(policy)) if policy else Policy()
        limits = replace(limits, audit=replace(limits.audit, kinds=_counted(kinds, limits)))
        known = open_ledger(book, limits) if book else None
        result = hold(
            [(str(path), report) for path, report in read],
            limits,
            baseline=report_of(baseline) if baseline else None,
            accepted=read_accepted(Path(accepted)) if accepted else (),
            reviews=read_reviews(reviewed) if reviewed else None,
            ledger=known,
        )
        result = _with_what_was_found(result, walked)
        if require_signature:
            told = [(str(path), report) for path, report in read]
            result = replace(result, rules=(*result.rules, *signature_rules(told, bundles, wanted)))
        if book and known:
            result = _written_down(result, book, known)
    if shown and (line := shown(result, files.pop("page", None), files.pop("pdf", None))):
        result = replace(result, notes=(*result.notes, line))
    run = GateRun(result)
    run.write(**files, append=append)
    return run


def _counted(kinds: str | Sequence[str], limits: Policy) -> tuple[str, ...]:
    return tuple(map(str, kinds_of(kinds))) if kinds else limits.audit.kinds


def _written_down(result: GateResult, path: Path, ledger: Ledger) -> GateResult:
    """A look counts before anybody knows what came of it."""
    head = add(path, ledger, result.looks)
    looks = (*ledger.looks, *result.looks)
    reports, attempts = len({look.report for look in looks}), max((look.attempt for look in looks), default=0)
    cut = " What an unfinished write had left at its end was removed." if ledger.cut and result.looks else ""
    note = (
        f"The ledger {path} holds {reports:,} judged reports, attempts: {attempts:,}; digest of its last line: "
        f"{head}.{cut}"
    )
    return replace(result, notes=(*result.notes, note))


def _to_show(reports: Sequence[tuple[Path, Report]]) -> Callable[[GateResult, Path | None, Path | None], str | None]:
    """What writes the page and the PDF of it. Raises UsageError where it is not plain of which report."""
    from memaudit.api.gate_page import subject_of, write_gate_page  # a gate without a page loads no template

    return partial(write_gate_page, subject_of(reports))


def write_policy(path: str | Path) -> Path:
    """Write the default policy, with comments. Raises UsageError where a file is already.

    >>> ma.write_policy("memaudit.toml").name
    'memaudit.toml'
    """
    path = Path(path)
    if path.exists():
        raise UsageError(f"{path} exists already: name another file, or remove it")
    write_text(path, DEFAULT_POLICY, new=True)
    return path


def _bundles(named: Sequence[AnyReport]) -> list[Signed]:
    """Those that were named."""
    paths = dict.fromkeys(Path(each) for each in named if isinstance(each, str | Path))
    return [opened(path) for path in paths if path.is_file() and is_archive(path)]


def _beside_all(given: Sequence[AnyReport], reports: Sequence[AnyReport]) -> list[Signed]:
    """The bundles that lie in a folder that was given, in that of a report outside of bundles, or between the two."""
    tops = [Path(each) for each in given if isinstance(each, str | Path) and Path(each).is_dir()]
    own = [path_of(each).parent for each in reports if not isinstance(each, BundledReport)]
    between = [each for folder in own for each in folder.parents if any(map(each.is_relative_to, tops))]
    return [each for folder in dict.fromkeys([*tops, *own, *between]) for each in beside(folder)]


def _once(named: Sequence[tuple[Path, Report, bool]]) -> list[tuple[Path, Report]]:
    """Without the reports in bundles (true) that lie outside of these as well: a report is judged once."""
    outside = {report.digest for _, report, bundled in named if not bundled}
    return [(path, report) for path, report, bundled in named if not bundled or report.digest not in outside]


def _unfolded(named: Sequence[AnyReport], bundles: Sequence[Signed]) -> tuple[list[AnyReport], list[FoundReports]]:
    """Reports, those of a folder or a bundle in its place; and what else was found there."""
    reports, walked = list[AnyReport](), list[FoundReports]()
    inside = {each.path: each.reports for each in bundles}
    for report in named:
        if isinstance(report, str | Path) and Path(report) in inside:
            reports += inside[Path(report)]
            continue
        if not isinstance(report, str | Path) or not Path(report).is_dir():
            reports.append(report)
            continue
        walked.append(find_reports(Path(report)))
        reports += walked[-1].reports
    return reports, walked


def _with_what_was_found(result: GateResult, walked: Sequence[FoundReports]) -> GateResult:
    """A run that was killed, or goes on, has no report that could fail: it must not look as if it had passed."""
    began = "A run began there and wrote no report: let it finish, or remove the folder."
    rules = (unmeasured(str(path), "report", "one", began) for found in walked for path in found.unfinished)
    notes = [f"{path} is no report of memaudit: it was not judged." for found in walked for path in found.others]
    notes += [f"{path} has previous runs: they were not judged." for found in walked for path in found.earlier]
    return replace(result, rules=(*result.rules, *rules), notes=(*result.notes, *notes))


def path_of(report: AnyReport) -> Path:
    return Path(report) if isinstance(report, str | Path) else report.folder / "report.json"


def report_of(report: AnyReport) -> Report:
    return read_report(Path(report)) if isinstance(report, str | Path) else report.report


def _may_be_judged(path: Path) -> bool:
    return is_archive(path) or is_report(path)


def _clear(
    files: Mapping[str, Path],
    inputs: Sequence[Path],
    kept: Collection[str],
    spared: Callable[[Path], bool] = lambda path: False,
) -> None:
    """Remove what an earlier call wrote: it must not pass for the result of one that ends with an error.

    kept: the files that are added to. spared: of what lies there, whether it may be an input that is not known yet, as
    of a folder that was not walked.
    """
    taken = {real(path) for path in inputs}
    for name, path in files.items():
        if real(path) in taken:
            raise UsageError(f"--{name} {path} is read or written by this very call: name another file")
        taken.add(real(path))
    for name, path in files.items():
        if name not in kept and path.is_file() and not is_passage(path) and not spared(path):
            real(path).unlink()  # what a link leads to, and not the link
