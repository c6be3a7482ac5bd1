"""Files of a run that could not measure anything."""

from __future__ import annotations

from pathlib import Path

from memaudit.report.document import inconclusive_report, write_report
from memaudit.report.model import Report
from memaudit.report.page import write_page

_TITLES = {
    "audit": "Regurgitation audit",
    "dedup": "Near-duplicates of a training set",
    "extraction": "Extraction: prompts that give one picture",
}


def write_inconclusive(kind: str, reason: str, out: Path) -> Report:
    """Write report.html and report.json of an audit or dedup run that ended for `reason`; return the report."""
    report = inconclusive_report(kind, reason)
    write_page(out / "report.html", "inconclusive.html", report=report, title=_TITLES[kind])
    write_report(out / "report.json", report)
    return report
