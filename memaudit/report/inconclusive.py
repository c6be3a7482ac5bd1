"""Files of a run that could not measure anything."""

from __future__ import annotations

from pathlib import Path

from memaudit.report.document import inconclusive_report, write_report
from memaudit.report.model import About, Report
from memaudit.report.pages import write_report_page


def write_inconclusive(kind: str, reason: str, out: Path, about: About | None = None) -> Report:
    """Write report.html and report.json of an audit or dedup run that ended for `reason`; return the report."""
    report = inconclusive_report(kind, reason, about)
    write_report_page(out / "report.html", report)
    write_report(out / "report.json", report)
    return report
