"""Lines that GitHub Actions turns into annotations: `::error title=...::message`."""

from __future__ import annotations

from memaudit.gate.judging import GateResult
from memaudit.gate.outputs.plain import plain
from memaudit.gate.verdict import Verdict

MOST = 10  # GitHub shows ten errors and ten warnings of a step


def annotation_lines(result: GateResult) -> list[str]:
    """An error for each failed rule and finding, a warning for each inconclusive rule, a notice for accepted ones."""
    rules = [rule for rule in result.rules if rule.outcome is not Verdict.PASS]
    words = {Verdict.FAIL: "error", Verdict.INCONCLUSIVE: "warning"}
    findings = [finding for finding in result.findings if finding.outcome is Verdict.FAIL]
    lines = [_line(words[rule.outcome], f"memaudit {rule.rule}", f"{rule.report}: {rule.sentence}") for rule in rules]
    lines += [_line("error", f"memaudit {each.kind}", f"{each.report}: {each.label}") for each in findings]
    lines += [
        _line("notice", "memaudit accepted", f"{each.report}: {each.label}; {each.decision}")
        for each in result.accepted
    ]
    lines += [_line("notice", "memaudit", note) for note in result.notes]
    return [line for word in ("error", "warning", "notice") for line in _first(lines, word)]


def _first(lines: list[str], word: str) -> list[str]:
    return [line for line in lines if line.startswith(f"::{word} ")][:MOST]


def _line(word: str, title: str, message: str) -> str:
    return f"::{word} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """As the runner's toolkit escapes it; plain() leaves no newline, and %0A of a caption stays %0A to the eye."""
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
