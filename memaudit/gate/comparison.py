"""Two audits held against each other: rates, the test of their difference, matches lost and gained."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memaudit.gate.audits import open_count
from memaudit.gate.provenance import identity_of
from memaudit.gate.subjects import about_faces, measured_by, of_subject, subject_places, training_set_of
from memaudit.report.model import AuditMeasures, Outcomes, ReferenceViews, Report
from memaudit.statistics import Rise, mcnemar_p, rate_of, rise_between, rise_p
from memaudit.types import Coverage, Rate

MCNEMAR, FISHER = "McNemar", "Fisher"


class Pair(NamedTuple):
    """A generation and the training image it resembles most."""

    query_id: str
    reference_id: str


@dataclass(frozen=True)
class Comparison:
    """Audit `new` against audit `old`.

    n: generations compared (with McNemar's test those that both audits measured). gained, lost: generations that match
    in one of the two only; None where the generations are not the same. p_rise, p_fall: exact and one-sided. why: the
    reason why the generations are not paired. gained_matches, lost_matches: pairs found in one of the two only, or,
    where generations are not paired, those whose training image no generation of the other resembles.
    """

    test: str
    old: Rate
    new: Rate
    n: int | None
    gained: int | None
    lost: int | None
    rise: Rise
    p_rise: float
    p_fall: float
    why: str
    gained_matches: tuple[Pair, ...]
    lost_matches: tuple[Pair, ...]

    @property
    def p(self) -> float:
        """Two-sided, by doubling."""
        return min(1.0, 2 * min(self.p_rise, self.p_fall))


@dataclass(frozen=True)
class Audited:
    """One of the two sides: a report, and the places in its list of findings that a person has accepted."""

    report: Report
    accepted: Collection[int] = ()

    @property
    def results(self) -> AuditMeasures:
        """What was measured. Raises ValueError for an audit that measured nothing: that is an `obstacle`."""
        results = measured_by(self.report)
        if results is None:
            raise ValueError("nothing was measured")
        return results

    @property
    def _open(self) -> list[int]:
        return [place for place in subject_places(self.report) if place not in self.accepted]

    @property
    def matches(self) -> list[Pair]:
        findings = self.report.matches
        return [Pair(findings[place].query_id, findings[place].reference_id) for place in self._open]

    def found(self, outcomes: Outcomes) -> set[str]:
        """The generations that match, less those accepted."""
        findings = self.report.matches
        return set(outcomes.found) - {findings[p].query_id for p in of_subject(self.report, self.accepted)}

    def rate(self, confidence: float) -> Rate:
        coverage = self.results.searched.coverage
        measured = Coverage(coverage.measured, coverage.total)
        return rate_of(open_count(self.report, self.results, self.accepted), measured, confidence)


def obstacle(old: Report, new: Report) -> str:
    """Why the rates of two audits cannot be compared; nothing if they can.

    They must have counted the same thing: copies of the same training set, by the same encoder, threshold, views of
    both sides and use of pixels.
    """
    for report, which in ((old, "earlier"), (new, "later")):
        if report.kind != "audit":
            return f"the {which} report is one of {report.kind}, not of an audit"
        if measured_by(report) is None:
            return f"the {which} audit measured nothing"
    if identity_of(old) != identity_of(new):
        return f"the encoders differ: {identity_of(old)} and {identity_of(new)}"
    if old.threshold != new.threshold:
        return f"the thresholds differ: {old.threshold} and {new.threshold}"
    return _other_training_set(old, new) or _other_decisions(Audited(old).results, Audited(new).results)


def _other_training_set(old: Report, new: Report) -> str:
    if about_faces(old) != about_faces(new):
        return "one of them is an audit of faces alone"
    earlier, later = training_set_of(old), training_set_of(new)
    if earlier is None or later is None:
        return "not both reports say which training set they are about"
    if earlier != later:
        return f"they are about different training sets, {earlier[:12]} and {later[:12]}: audit both against the same"
    return ""


def _other_decisions(old: AuditMeasures, new: AuditMeasures) -> str:
    """What counts as a match follows from these as well. Reports of before do not say what was searched of the training
    images, and can only be compared among themselves."""
    if (old.verified is None) != (new.verified is None):
        return "one of them decided on pixels and the other did not (--match)"
    if _cut(old) != _cut(new):
        return "they went by different cuts of the probability (--calibration)"
    if sorted(old.views) != sorted(new.views):
        return "they looked at different views of the generations (--views)"
    return _other_references(old.reference_views or None, new.reference_views or None)


def _cut(results: AuditMeasures) -> float | None:
    return results.calibration.cut if results.calibration else None


def _other_references(old: ReferenceViews | None, new: ReferenceViews | None) -> str:
    if old is None and new is None:
        return ""
    if old is None or new is None:
        return "one of them does not say whether tiles and details of training images were searched: audit again"
    earlier, later = old.searched, new.searched
    if earlier != later:
        return (
            f"they searched different views of the training images, {', '.join(earlier)} and {', '.join(later)} "
            "(memaudit embed --tiles, --fine-tiles)"
        )
    return ""


def compare(old: Audited, new: Audited, confidence: float = 0.95) -> Comparison:
    """Compare two audits for which there is no `obstacle`.

    confidence: of the two-sided intervals of the rates and of the rise. The same prompts and seeds are tested by
    McNemar's exact test on the discordant pairs, others by Fisher's exact test.
    """
    earlier, later = old.results.outcomes, new.results.outcomes
    if earlier is None or later is None:
        return _unpaired(old, new, confidence, "not both reports hold the outcomes of single generations")
    outcomes = earlier, later
    why = _why_unpaired(outcomes, (old.results.searched.count, new.results.searched.count))
    return _unpaired(old, new, confidence, why) if why else _paired(old, new, outcomes, confidence)


def _why_unpaired(outcomes: tuple[Outcomes, Outcomes], counts: tuple[int, int]) -> str:
    earlier, later = outcomes
    if not earlier.digest or not later.digest:
        return "not both audits know the prompts of their generations"
    if earlier.digest != later.digest:
        return "the prompts, seeds or names of the generations differ"
    if any(len(set(each.found)) != count for each, count in zip(outcomes, counts, strict=True)):
        return "the outcomes of single generations do not add up to the rate"
    return ""


def _paired(old: Audited, new: Audited, outcomes: tuple[Outcomes, Outcomes], confidence: float) -> Comparison:
    left_out = {query for each in outcomes for query in each.left_out}
    n = outcomes[0].total - len(left_out)
    before, after = old.found(outcomes[0]) - left_out, new.found(outcomes[1]) - left_out
    gained, lost = len(after - before), len(before - after)
    earlier, later = set(old.matches), set(new.matches)
    return Comparison(
        MCNEMAR,
        old.rate(confidence),
        new.rate(confidence),
        n,
        gained,
        lost,
        rise_between(gained, n, lost, n, (1 - confidence) / 2),
        mcnemar_p(gained, lost),
        mcnemar_p(lost, gained),
        "",
        tuple(pair for pair in new.matches if pair not in earlier),
        tuple(pair for pair in old.matches if pair not in later),
    )


def _unpaired(old: Audited, new: Audited, confidence: float, why: str) -> Comparison:
    before, after = old.rate(confidence), new.rate(confidence)
    earlier, later = before.coverage.measured, after.coverage.measured
    return Comparison(
        FISHER,
        before,
        after,
        None,
        None,
        None,
        rise_between(after.count, later, before.count, earlier, (1 - confidence) / 2),
        rise_p(after.count, later, before.count, earlier),
        rise_p(before.count, earlier, after.count, later),
        why,
        _unknown_to(new.matches, old.matches),
        _unknown_to(old.matches, new.matches),
    )


def _unknown_to(matches: Sequence[Pair], others: Sequence[Pair]) -> tuple[Pair, ...]:
    """Generations of other prompts have nothing in common but the training images that come back."""
    known = {pair.reference_id for pair in others}
    return tuple(pair for pair in matches if pair.reference_id not in known)
