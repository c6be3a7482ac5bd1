"""The gate: reports held against a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memaudit.api.notebook import card
from memaudit.errors import UsageError
from memaudit.files import is_passage, write_text
from memaudit.gate import (
    DEFAULT_POLICY,
    GateResult,
    Policy,
    RuleResult,
    hold,
    outputs,
    read_accepted,
    read_policy,
)
from memaudit.gate import Finding as Finding
from memaudit.gate import Verdict as Verdict
from memaudit.gate.outputs import plain as plain
from memaudit.report.document import read_report
from memaudit.report.model import Report

_WRITERS = {"junit": outputs.junit, "sarif": outputs.sarif, "markdown": outputs.markdown}


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
    ['max_findings', 'max_rate']
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
    def findings(self) -> tuple[Finding, ...]:
        return self.result.findings

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
    ) -> None:
        """Write the result as JUnit XML, SARIF 2.1.0 or Markdown."""
        for name, path in (("junit", junit), ("sarif", sarif), ("markdown", markdown)):
            if path is not None:
                write_text(Path(path), _WRITERS[name](self.result))

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
        rules = [(f"{rule.rule}: {rule.outcome}", f"{rule.figure} (limit {rule.limit})") for rule in self.rules]
        return card("memaudit gate", self.headline, [*rules, ("warnings", "; ".join(self.warnings))])


AnyReport = str | Path | HasReport
"""A report.json, or a run that has one."""


def run_gate(
    reports: AnyReport | Sequence[AnyReport],
    policy: str | Path | None = None,
    *,
    baseline: AnyReport | None = None,
    accepted: str | Path | None = None,
    junit: str | Path | None = None,
    sarif: str | Path | None = None,
    markdown: str | Path | None = None,
) -> GateRun:
    """Hold reports of audits and dedups against a policy.

    policy: limits in TOML; None: those that `write_policy` writes. baseline: an earlier audit: its rate may not be
    exceeded by much. accepted: TOML of matches that a person has accepted. junit, sarif, markdown: files to write.

    Raises InputError for a report or policy that is not sound, UsageError for a file that is both read and written.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> str(ma.run_gate(audit).verdict)
    'fail'
    """
    named = list(reports) if isinstance(reports, Sequence) and not isinstance(reports, str) else [reports]
    if not named:
        raise UsageError("no report given: name at least one report.json of memaudit audit or dedup")
    given = {"junit": junit, "sarif": sarif, "markdown": markdown}
    files = {name: Path(path) for name, path in given.items() if path is not None}
    inputs = [path_of(report) for report in named]
    _clear(files, [*inputs, *(path_of(other) for other in (policy, baseline, accepted) if other is not None)])
    run = GateRun(
        hold(
            [(str(path_of(report)), report_of(report)) for report in named],
            read_policy(Path(policy)) if policy else Policy(),
            baseline=report_of(baseline) if baseline else None,
            accepted=read_accepted(Path(accepted)) if accepted else (),
        )
    )
    run.write(**files)
    return run


def write_policy(path: str | Path) -> Path:
    """Write the default policy, with comments. Raises UsageError where a file is already.

    >>> ma.write_policy("memaudit.toml").name
    'memaudit.toml'
    """
    path = Path(path)
    if path.exists():
        raise UsageError(f"{path} exists already: name another file, or remove it")
    write_text(path, DEFAULT_POLICY)
    return path


def path_of(report: AnyReport) -> Path:
    return Path(report) if isinstance(report, str | Path) else report.folder / "report.json"


def report_of(report: AnyReport) -> Report:
    return read_report(Path(report)) if isinstance(report, str | Path) else report.report


def _clear(files: Mapping[str, Path], inputs: Sequence[Path]) -> None:
    """Remove what an earlier call wrote: it must not pass for the result of one that ends with an error."""
    taken = {path.resolve() for path in inputs}
    for name, path in files.items():
        if path.resolve() in taken:
            raise UsageError(f"--{name} {path} is read or written by this very call: name another file")
        taken.add(path.resolve())
    for path in files.values():
        if path.is_file() and not is_passage(path):
            path.resolve().unlink()  # what a link leads to, and not the link
