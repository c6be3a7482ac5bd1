"""Markdown for a job's summary. Every word of a report is escaped: no link, no picture, no tag gets through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from memaudit.gate.findings import Finding
from memaudit.gate.judging import GateResult
from memaudit.gate.outputs.plain import plain
from memaudit.gate.verdict import Verdict

MOST = 100  # of findings: a job's summary may have 1 MiB
_SIGNS = {Verdict.PASS: "✅ pass", Verdict.FAIL: "❌ fail", Verdict.INCONCLUSIVE: "❔ inconclusive"}
_SYNTAX = re.compile(r"[^\w\s.,;()/%+=?-]|_|(?<=www)\.", re.IGNORECASE)  # GitHub makes links of www. and of a@b.c


def markdown(result: GateResult) -> str:
    """The verdict, a table of rules, new matches, what a person decided, and findings."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: GateResult) -> Iterator[str]:
    yield f"## memaudit gate: {_SIGNS[result.verdict]}"
    for said in filter(None, (result.both_counts, result.not_counted)):
        yield from ("", _text(said))
    if result.own_limits:
        yield from (
            "",
            "Limits that are not the default ones:",
            "",
            *(f"- {_text(each)}" for each in result.own_limits),
        )
    unmet = [rule for rule in result.rules if rule.outcome is not Verdict.PASS]
    if unmet:
        yield from ("", *(f"- {_SIGNS[rule.outcome]}: {_text(rule.sentence)}" for rule in unmet))
    for report in dict.fromkeys(rule.report for rule in result.rules):
        yield from ("", f"### {_text(report)}", "", "| | rule | figure | limit | |", "|---|---|---|---|---|")
        for rule in result.rules:
            if rule.report == report:
                cells = (_text(rule.rule), _text(rule.figure), _text(rule.limit), _text(rule.sentence))
                yield f"| {_SIGNS[rule.outcome]} | {' | '.join(cells)} |"
    yield from _section("New since the baseline", result.new)
    yield from _section("Accepted by a person", result.accepted)
    yield from _section("Reviewed by people", [each for each in result.reviewed if not each.accepted])
    undecided = [each for each in result.findings if not each.accepted and not each.review]
    yield from _section("Findings", undecided)
    if result.notes:
        yield from ("", "### Notes", "", *(f"- {_text(note)}" for note in result.notes))


def _section(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield from ("", f"### {title} ({len(findings):,})", "")
    for finding in findings[:MOST]:
        yield f"- {_text('; '.join(filter(None, (finding.label, finding.decision))))}"
    if len(findings) > MOST:
        yield f"- and {len(findings) - MOST:,} more"


def _text(words: str) -> str:
    """Text that Markdown reads as text: whatever could be syntax becomes a character reference."""
    return _SYNTAX.sub(lambda found: f"&#{ord(found[0])};", plain(words)).replace("&#64;", "&#64;&#8203;")
