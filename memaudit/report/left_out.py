"""What an audit found of kinds that do not count: it is shown all the same, with its count."""

from __future__ import annotations

from collections import Counter

from memaudit.audit.results import AuditResult
from memaudit.matching.kinds import Kind, left_out_of


def not_counted(result: AuditResult) -> dict[str, int]:
    """How many generations are of each kind that does not count; of what was not looked for nothing is said."""
    found: Counter[str] = Counter()
    if result.not_counted is not None:
        found.update(str(kind) for kind in result.not_counted.kind)
    if result.redrawn is not None:
        found[Kind.REDRAWN] = len(set(result.redrawn.findings.query.tolist()))
    measured = [kind for kind in left_out_of(result.kinds) if kind != Kind.REDRAWN or result.redrawn is not None]
    return {kind: found[kind] for kind in measured}


def said_of(left_out: list[str], found: dict[str, int]) -> str:
    """The kinds that do not count, each with how many there are; nothing where all count."""
    each = (f"{kind} {found[kind]:,}" if kind in found else f"{kind} (not looked for)" for kind in left_out)
    return f"not counted: {', '.join(each)}" if left_out else ""
