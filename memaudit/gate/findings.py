"""The findings of the audits given, each with what became of it at the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from memaudit.gate.accepted import Accepted, entry_for
from memaudit.gate.audits import is_verified
from memaudit.gate.by_kind import RULES
from memaudit.gate.subjects import counts, training_set_of
from memaudit.gate.verdict import RuleResult, Verdict
from memaudit.matching.kinds import FACE, Kind
from memaudit.report.model import AuditFinding, ImageMatch, Report
from memaudit.reviews import Merged, Opinion, Pair, opinion_of, opinion_of_all, pair_of


class Decided(NamedTuple):
    """What people have decided: entries of accepted matches, and reviews, of which so many clear a finding.

    listed_alone: by the training image that it lists, where the report does not name all that its generation matches.
    So a baseline is judged: what is cleared there makes a rise greater.
    """

    accepted: Sequence[Accepted] = ()
    reviews: Merged | None = None
    reviewers: int = 1
    listed_alone: bool = False


_RULES: dict[str, tuple[str, ...]] = {
    FACE: ("min_face_p",),
    Kind.REDRAWN: ("max_redrawn_rate",),
    **{kind: ("max_findings", rule) for kind, rule in RULES.items()},
}
"""Which limits count the findings of a kind."""


@dataclass(frozen=True)
class Finding:
    """One reported match. accepted: the entry that a person wrote about it, which may have expired; review: what people
    come to who looked at its two pictures.

    outcome: FAIL if a limit on findings is exceeded and this one counts, else PASS: it is accepted, or allowed. new:
    not in the baseline (None: there is none to compare with). counts: it is of a kind that does.
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
    review: Opinion | None = None
    counts: bool = True

    @property
    def waived(self) -> bool:
        """Accepted by a person, until a day that has not passed, or cleared by reviews; and no review is against it."""
        if self.review is not None and (self.review.against or self.review.clears):
            return self.review.clears
        return self.accepted is not None and not self.expired

    @property
    def label(self) -> str:
        pair, likeness = f"{self.query_id} -> {self.reference_id}", f"similarity {self.similarity:.3f}"
        counted = "" if self.counts else ", not counted"
        if self.kind == Kind.REDRAWN:
            return f"{pair}, {self.kind}, no copy, {likeness}{counted}"
        confirmed = "confirmed on pixels" if self.verified else "not compared on pixels"
        return f"{pair}, {self.kind}, {likeness}, {confirmed}{counted}"

    @property
    def decision(self) -> str:
        """What people decided about it; nothing where nobody has."""
        return "; ".join(filter(None, (self._entry, self.review.sentence if self.review else "")))

    @property
    def _entry(self) -> str:
        if self.accepted is None:
            return ""
        entry = self.accepted
        word = f"acceptance expired on {entry.until}, counts again" if self.expired else f"accepted until {entry.until}"
        return f"{word} (by {entry.who}: {entry.why})"


def findings_of(name: str, report: Report, decided: Decided, day: date) -> list[Finding]:
    """The findings of an audit's report, in its order; none for another kind of report."""
    training_set = training_set_of(report)
    return [
        _finding(name, place, match, entry_for(match, decided.accepted, day, training_set), decided, day)
        for place, match in enumerate(report.matches)
    ]


def _opinion(match: AuditFinding, decided: Decided, day: date) -> Opinion | None:
    """By the digests of both files; of faces what was said of faces."""
    if decided.reviews is None or not match.query_sha256 or not match.reference_sha256:
        return None
    said = decided.reviews.faces if match.kind == FACE else decided.reviews.said

    def opinion(pair: Pair) -> Opinion | None:
        of_pair = said.get(pair)
        return opinion_of(of_pair, day, decided.reviewers) if of_pair else None

    listed = opinion(pair_of(match.query_sha256, match.reference_sha256))
    if not isinstance(match, ImageMatch):
        return listed
    further = further_of(match)
    if decided.listed_alone and further.unnamed:
        return listed
    return opinion_of_all(listed, [opinion(pair) for pair in further.pairs], further.unnamed, more=further.more)


class Further(NamedTuple):
    """What the generation of a finding matches besides the training image that is listed: the pairs that reviews know,
    each once, for images of one file are one to them, how many the report does not name, and whether there may be
    more than it counts."""

    pairs: tuple[Pair, ...]
    unnamed: int
    more: bool = False


def further_of(match: ImageMatch) -> Further:
    query, named = match.query_sha256 or "", match.further or []
    digests = dict.fromkeys(each.reference_sha256 for each in named if each.reference_sha256)
    pairs = tuple(pair_of(query, digest) for digest in digests if digest != match.reference_sha256)
    without = sum(not each.reference_sha256 for each in named)
    return Further(pairs if query else (), max(0, match.matches - 1 - len(named)) + without, match.more is True)


def _finding(
    name: str, place: int, match: AuditFinding, entry: Accepted | None, decided: Decided, day: date
) -> Finding:
    return Finding(
        report=name,
        place=place,
        kind=match.kind,
        verified=is_verified(match),
        query_id=match.query_id,
        reference_id=match.reference_id,
        similarity=match.similarity,
        prompt=match.prompt,
        query_picture=match.query_picture,
        reference_picture=match.reference_picture,
        accepted=entry,
        expired=entry is not None and not entry.holds_on(day),
        review=_opinion(match, decided, day),
        counts=counts(match),
    )


def outcome_of(finding: Finding, results: Sequence[RuleResult]) -> Verdict:
    """FAIL for a finding that counts towards a limit, on findings or on faces, which its report exceeds."""
    failed = [each for each in results if each.outcome is Verdict.FAIL and each.report == finding.report]
    counts = finding.counts and not finding.waived and any(_counted(finding, each.rule) for each in failed)
    return Verdict.FAIL if counts else Verdict.PASS


def blamed(result: RuleResult, findings: Sequence[Finding]) -> list[Finding]:
    """The findings that this rule counts, of those that exceed a limit; none for a rule that counts something else."""
    own = (each for each in findings if each.report == result.report and each.outcome is Verdict.FAIL)
    return [each for each in own if _counted(each, result.rule)]


def _counted(finding: Finding, rule: str) -> bool:
    """Whether a rule is about this finding."""
    if rule in RULES.values() and rule != RULES[Kind.NEAR] and not finding.verified:
        return False
    return rule in _RULES.get(finding.kind, ("max_findings",))
