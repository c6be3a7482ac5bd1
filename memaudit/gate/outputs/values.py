"""The result as one JSON object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from memaudit.gate.findings import Finding
from memaudit.gate.judging import GateResult


def values(result: GateResult) -> dict[str, Any]:
    """verdict, exit_code, headline, reports, rules, own_limits, findings (with what people decided), new_matches,
    counts, notes."""
    return {
        "verdict": str(result.verdict),
        "exit_code": result.verdict.exit_code,
        "headline": result.headline,
        "reports": [*result.reports],
        "rules": [asdict(rule) for rule in result.rules],
        "own_limits": [*result.own_limits],
        "findings": [_finding(finding) for finding in result.findings],
        "new_matches": [_pair(finding) for finding in result.new],
        "accepted": [{**_pair(finding), **_entry(finding)} for finding in result.accepted],
        "counts": {"findings": len(result.counted), "with_cleared": len(result.findings)},
        "reviewed": [{**_pair(finding), **(_review(finding) or {})} for finding in result.reviewed],
        "notes": list(result.notes),
    }


def _pair(finding: Finding) -> dict[str, Any]:
    return {"report": finding.report, "query_id": finding.query_id, "reference_id": finding.reference_id}


def _finding(finding: Finding) -> dict[str, Any]:
    value = {**asdict(finding), "outcome": str(finding.outcome)}
    return {**value, "accepted": _entry(finding) if finding.accepted else None, "review": _review(finding)}


def _review(finding: Finding) -> dict[str, Any] | None:
    """What people come to, and who said what."""
    opinion = finding.review
    if opinion is None:
        return None
    said = [
        {
            "who": each.who,
            "verdict": str(each.verdict),
            "why": each.why,
            "until": each.until.isoformat() if each.until else None,
        }
        for each in opinion.said
    ]
    return {"standing": str(opinion.standing), "clears": opinion.clears, "needed": opinion.needed, "said": said}


def _entry(finding: Finding) -> dict[str, Any]:
    entry = finding.accepted
    if entry is None:
        return {}
    return {"who": entry.who, "why": entry.why, "until": entry.until.isoformat(), "expired": finding.expired}
