"""The page of a report with the gate's verdict on it: made anew of the report, which stays as it is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from memaudit.errors import UsageError
from memaudit.files import as_private
from memaudit.gate import Finding, GateResult, RuleResult, Verdict
from memaudit.report.model import Report
from memaudit.report.pages import Judged, plain_day, write_report_page
from memaudit.report.printing import print_page
from memaudit.reviews import Standing


def subject_of(reports: Sequence[tuple[Path, Report]]) -> tuple[Path, Report]:
    """The report that the page is of: the only audit, or the only report. Raises UsageError where there are several."""
    audits = [each for each in reports if each[1].kind == "audit"]
    one = audits if len(audits) == 1 else reports
    if len(one) != 1:
        raise UsageError(f"--page and --pdf are of one report, and {len(one):,} are judged: gate one audit at a time")
    return one[0]


def write_gate_page(
    subject: tuple[Path, Report], result: GateResult, page: Path | None, pdf: Path | None
) -> str | None:
    """Write the page, the PDF of it, or both; return a line that says why there is no PDF, if there is none."""
    path, report = subject
    judged = judged_of(result, str(path))
    if page is not None:
        with as_private(page, [path]):
            write_report_page(page, report, folder=path.parent, judged=judged)
    if pdf is None:
        return None
    with tempfile.TemporaryDirectory(prefix="memaudit-") as folder:
        shown = page or Path(folder) / "report.html"
        if page is None:
            write_report_page(shown, report, folder=path.parent, judged=judged)
        with as_private(pdf, [path]):
            return print_page(shown, pdf)


def _is_of_the_ledger(rule: RuleResult, result: GateResult) -> bool:
    """Its bound is over many audits, and not the one that the page has of this."""
    return result.in_ledger and rule.rule == "max_rate"


def _as_no_copy(finding: Finding) -> bool:
    return finding.review is not None and finding.review.standing is Standing.NO_COPY


def judged_of(result: GateResult, name: str) -> Judged:
    """What the gate says of all reports, and what people decided on the findings of this one."""
    told = [rule for rule in result.rules if rule.outcome is not Verdict.PASS or _is_of_the_ledger(rule, result)]
    told.sort(key=lambda rule: (rule.outcome is Verdict.PASS, rule.outcome is not Verdict.FAIL))
    own = [finding for finding in result.findings if finding.report == name]
    return Judged(
        verdict=str(result.verdict),
        reasons=(*(f"{rule.rule}: {rule.sentence}" for rule in told), *filter(None, (result.not_counted,))),
        rules=len(result.rules),
        day=plain_day(datetime.now(UTC)),
        decisions={finding.place: finding.decision for finding in own if finding.decision},
        accepted=sum(finding.waived for finding in own),
        no_copies=sum(finding.waived and _as_no_copy(finding) for finding in own),
        limits=result.own_limits,
    )
