"""The findings of the audits given, each with what became of it at the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from memaudit.gate.accepted import Accepted, entry_for
from memaudit.gate.audits import VERBATIM
from memaudit.gate.subjects import FACE, training_set_of
from memaudit.gate.verdict import RuleResult, Verdict


@dataclass(frozen=True)
class Finding:
    """One reported match. accepted: the entry that a person wrote about it, which may have expired.

    outcome: FAIL if a limit on findings is exceeded and this one counts, else PASS: it is accepted, or allowed. new:
    not in the baseline (None: there is none to compare with).
    """

    report: str
    place: int
    kind: str
    verified: bool
    query_id: str
    reference_id: str
    similarity: float
    prompt: str
    query_picture: str | None
    reference_picture: str | None
    accepted: Accepted | None
    expired: bool
    outcome: Verdict = Verdict.PASS
    new: bool | None = None

    @property
    def waived(self) -> bool:
        """Accepted by a person, and the day until which that holds has not passed."""
        return self.accepted is not None and not self.expired

    @property
    def label(self) -> str:
        confirmed = "confirmed on pixels" if self.verified else "not compared on pixels"
        return f"{self.query_id} -> {self.reference_id}, {self.kind}, similarity {self.similarity:.3f}, {confirmed}"

    @property
    def decision(self) -> str:
        """What a person decided about it; nothing where nobody has."""
        if self.accepted is None:
            return ""
        entry = self.accepted
        word = f"acceptance expired on {entry.until}, counts again" if self.expired else f"accepted until {entry.until}"
        return f"{word} (by {entry.who}: {entry.why})"


def findings_of(name: str, report: Mapping[str, Any], accepted: Sequence[Accepted], day: date) -> list[Finding]:
    """The findings of an audit's report, in its order; none for another kind of report.

    Raises LookupError, TypeError or ValueError for a finding without its ids.
    """
    if report["kind"] != "audit":
        return []
    training_set = training_set_of(report)
    entries = [entry_for(raw, accepted, day, training_set) for raw in report["findings"]]
    return [
        _finding(name, place, raw, entry, day)
        for place, (raw, entry) in enumerate(zip(report["findings"], entries, strict=True))
    ]


def _finding(name: str, place: int, raw: Mapping[str, Any], entry: Accepted | None, day: date) -> Finding:
    return Finding(
        report=name,
        place=place,
        kind=str(raw.get("kind", "near-duplicate")),
        verified=raw.get("verified") is True,
        query_id=str(raw.get("query_id", "")),
        reference_id=str(raw.get("reference_id", "")),
        similarity=float(raw.get("similarity", 0)),
        prompt=str(raw.get("prompt") or ""),
        query_picture=_text(raw.get("query_picture")),
        reference_picture=_text(raw.get("reference_picture")),
        accepted=entry,
        expired=entry is not None and not entry.holds_on(day),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def outcome_of(finding: Finding, results: Sequence[RuleResult]) -> Verdict:
    """FAIL for a finding that counts towards a limit, on findings or on faces, which its report exceeds."""
    failed = {result.rule for result in results if result.outcome is Verdict.FAIL and result.report == finding.report}
    if finding.kind == FACE:
        return Verdict.FAIL if "min_face_p" in failed and not finding.waived else Verdict.PASS
    counts = "max_findings" in failed or ("max_verbatim" in failed and finding.verified and finding.kind == VERBATIM)
    return Verdict.FAIL if counts and not finding.waived else Verdict.PASS
