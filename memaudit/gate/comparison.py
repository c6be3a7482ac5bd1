"""Two audits held against each other: rates, the test of their difference, matches lost and gained."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from msgspec import UNSET

from memaudit.gate.provenance import identity_of
from memaudit.gate.rates import draws_of, open_count, open_prompts, require_prompts
from memaudit.gate.redrawn import RedrawnRise, compare_redrawn
from memaudit.gate.subjects import about_faces, measured_by, of_subject, subject_places, training_set_of
from memaudit.matching.kinds import COPIES
from memaudit.report.model import (
    AuditFinding,
    AuditMeasures,
    AuditResults,
    ByPrompt,
    FaceAuditResults,
    ImageMatch,
    Outcomes,
    OutcomesByPrompt,
    ReferenceViews,
    Report,
)
from memaudit.statistics import Rise, mcnemar_p, rate_of, rise_between, rise_p
from memaudit.types import Coverage, Rate

MCNEMAR, FISHER = "McNemar", "Fisher"
PROMPTS, GENERATIONS, PEOPLE = "prompts", "generations", "people"


class Pair(NamedTuple):
    """A generation and the training image it resembles most."""

    query_id: str
    reference_id: str


class Changed(NamedTuple):
    """A pair that both audits found, and what it was and is."""

    query_id: str
    reference_id: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """Audit `new` against audit `old`.

    unit: what was drawn, and what all figures count: prompts, that gave a training image back, or where these are not
    known generations, which are then taken for independent. n: how many were compared (with McNemar's test those that
    both audits measured). gained, lost: that match in one of the two only; None where they are not the same. p_rise,
    p_fall: exact and one-sided. why: the reason why they are not paired. gained_matches, lost_matches: pairs found in
    one of the two only, or, where generations are not paired, those whose training image no generation of the other
    resembles. redrawn: the same of generations that are re-drawn, beside all of this; or why it cannot be told.
    """

    test: str
    unit: str
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
    redrawn: RedrawnRise | str
    changed_matches: tuple[Changed, ...] = ()

    @property
    def p(self) -> float:
        """Two-sided, by doubling."""
        return min(1.0, 2 * min(self.p_rise, self.p_fall))

    @property
    def measured(self) -> bool:
        """Whether both sides have a rate: without one there is no difference."""
        return self.old.value is not None and self.new.value is not None


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

    @property
    def kinds(self) -> dict[Pair, str]:
        """What each pair is, in words."""
        matches = self.report.matches
        findings = [matches[place] for place in self._open]
        return {Pair(each.query_id, each.reference_id): _kind(each) for each in findings}

    def found(self, outcomes: Outcomes) -> set[str]:
        """The generations that match, less those accepted."""
        findings = self.report.matches
        return set(outcomes.found) - {findings[p].query_id for p in of_subject(self.report, self.accepted)}

    @property
    def prompts(self) -> ByPrompt | None:
        """What prompts gave back; None where no prompt is known, or the report does not say."""
        return self.results.by_prompt or None

    def named(self, outcomes: Outcomes) -> OutcomesByPrompt | None:
        by_prompt = outcomes.by_prompt or None
        return by_prompt and require_prompts(by_prompt, outcomes.found, outcomes.left_out)

    def rate(self, unit: str, confidence: float) -> Rate:
        """Of what nobody accepted."""
        results, prompts = self.results, self.prompts
        stated = prompts.returned if unit == PROMPTS and prompts else results.searched
        left = open_count(self.report, results, self.accepted)
        if unit == PROMPTS and prompts:
            left = open_prompts(self.report, results, prompts, self.accepted)
        coverage = Coverage(stated.coverage.measured, stated.coverage.total)
        return rate_of(left, coverage, confidence, stated.effective or None)


def _kind(finding: AuditFinding) -> str:
    by_embeddings = isinstance(finding, ImageMatch) and not finding.verified
    return f"{finding.kind}{', by embeddings' if by_embeddings else ''}"


def obstacle(old: Report, new: Report) -> str:
    """Why the rates of two audits cannot be compared; nothing if they can.

    They must have counted the same thing: the same kinds, by the same encoder, threshold, views of both sides and use
    of pixels. Of another training set there is a `caveat`.
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
    return _other_subject(old, new) or _other_decisions(Audited(old).results, Audited(new).results)


def _other_subject(old: Report, new: Report) -> str:
    if about_faces(old) != about_faces(new):
        return "one of them is an audit of faces alone"
    if about_faces(old) and _counts_people(old) != _counts_people(new):
        return "one of them counted faces and the other people: audit again with this version"
    if training_set_of(old) is None or training_set_of(new) is None:
        return "not both reports say which training set they are about"
    return ""


def caveat(old: Report, new: Report) -> str:
    """What a comparison for which there is no `obstacle` cannot say; nothing for two audits of one training set."""
    earlier, later = training_set_of(old), training_set_of(new)
    if earlier is None or later is None or earlier == later:
        return ""
    return (
        f"they are about different training sets, {earlier[:12]} and {later[:12]}: a rate changes as well where images "
        "come and go, and no longer copying what is no longer there is no gain; audit both against the same"
    )


def of_other_versions(old: Report, new: Report) -> str:
    """What a comparison cannot say of audits by two versions of memaudit; nothing for one. The same generations may
    come to fewer findings by another version, which is no progress of the model."""
    earlier, later = old.head.memaudit, new.head.memaudit
    if earlier == later:
        return ""
    return (
        f"memaudit {earlier} made the earlier report and {later} the later one: they may decide differently on "
        "the same pictures, and what changed may be the tool; audit both with one version"
    )


def _counts_people(report: Report) -> bool:
    """Whether an audit of faces alone tells a rate of people. Those of older versions told one of faces."""
    results = report.results
    return isinstance(results, FaceAuditResults) and bool(results.faces and results.faces.people)


def _other_decisions(old: AuditMeasures, new: AuditMeasures) -> str:
    """What counts as a match follows from these as well. Reports of before do not say what was searched of the training
    images, and can only be compared among themselves."""
    if (old.verified is None) != (new.verified is None):
        return "one of them decided on pixels and the other did not (--match)"
    if _cut(old) != _cut(new):
        return "they went by different cuts of the probability (--calibration)"
    if sorted(old.views) != sorted(new.views):
        return "they looked at different views of the generations (--views)"
    return (
        _other_kinds(old, new)
        or _other_match_from(old, new)
        or _other_references(old.reference_views or None, new.reference_views or None)
    )


def _other_kinds(old: AuditMeasures, new: AuditMeasures) -> str:
    earlier, later = (_kinds_counted(each) for each in (old, new))
    if earlier == later:
        return ""
    return f"they counted different kinds of matches, {', '.join(earlier)} and {', '.join(later)} (--kinds)"


def _kinds_counted(results: AuditMeasures) -> list[str]:
    """Of the copies: what is re-drawn has a comparison of its own."""
    counted: Collection[str] = COPIES
    if isinstance(results, AuditResults) and results.counted_kinds is not UNSET:
        counted = results.counted_kinds
    return [str(kind) for kind in COPIES if kind in counted] or ["none of the copies"]


def _other_match_from(old: AuditMeasures, new: AuditMeasures) -> str:
    """A higher one leaves copies unseen, which is no progress of the model; who looks closer than 0.3.0 did may."""
    earlier, later = (each.effort or None if isinstance(each, AuditResults) else None for each in (old, new))
    if earlier is None and later is None:
        return ""
    if earlier is None or later is None:
        return "one of them does not say from which similarity on pixels were compared: audit again"
    if earlier.match_from != later.match_from:
        return (
            f"they compared pixels from different similarities on, {earlier.match_from} and {later.match_from} "
            "(--match-from)"
        )
    before, now = earlier.nearest_from or None, later.nearest_from or None  # absent in reports of 0.3.0
    if before is not None and (now is None or now > before):
        return "the baseline compared the nearest training images below that similarity, too: leave out --match-from"
    return ""


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
    McNemar's exact test on the prompts that changed, others by Fisher's exact test.
    """
    earlier, later = old.results.outcomes, new.results.outcomes
    if earlier is None or later is None:
        found = _unpaired(old, new, confidence, "not both reports hold the outcomes of single generations")
        return replace(found, changed_matches=_changed(old, new))
    outcomes = earlier, later
    why = _why_unpaired(outcomes, (old.results.searched.count, new.results.searched.count))
    found = _unpaired(old, new, confidence, why) if why else _paired(old, new, outcomes, confidence)
    return replace(found, changed_matches=_changed(old, new))


def _changed(old: Audited, new: Audited) -> tuple[Changed, ...]:
    """Pairs of both that are of another kind by now, or confirmed on pixels in one of the two only."""
    earlier = old.kinds
    both = [(pair, earlier[pair], kind) for pair, kind in new.kinds.items() if pair in earlier]
    return tuple(Changed(*pair, before, after) for pair, before, after in both if before != after)


def _why_unpaired(outcomes: tuple[Outcomes, Outcomes], counts: tuple[int, int]) -> str:
    earlier, later = outcomes
    if not earlier.digest or not later.digest:
        return "not both audits know the prompts of their generations"
    if earlier.digest != later.digest:
        return "the prompts, seeds or names of the generations differ"
    if (earlier.by_prompt and earlier.by_prompt.asked) != (later.by_prompt and later.by_prompt.asked):
        return "not both audits say which generations are of one prompt"
    if any(len(set(each.found)) != count for each, count in zip(outcomes, counts, strict=True)):
        return "the outcomes of single generations do not add up to the rate"
    return ""


def _paired(old: Audited, new: Audited, outcomes: tuple[Outcomes, Outcomes], confidence: float) -> Comparison:
    left_out = {query for each in outcomes for query in each.left_out}
    before, after = old.found(outcomes[0]) - left_out, new.found(outcomes[1]) - left_out
    earlier, later = old.named(outcomes[0]), new.named(outcomes[1])
    if earlier and later:
        found = _by_prompt(before, after, left_out, outcomes, (earlier, later))
        return _of_counts(old, new, PROMPTS, found, confidence)
    changed = _Changed(outcomes[0].total - len(left_out), len(after - before), len(before - after))
    return _of_counts(old, new, GENERATIONS, changed, confidence)


class _Changed(NamedTuple):
    """Of n that both audits measured, how many match in the later one only, and in the earlier one only."""

    n: int
    gained: int
    lost: int


def _by_prompt(
    before: set[str],
    after: set[str],
    left_out: set[str],
    outcomes: tuple[Outcomes, Outcomes],
    named: tuple[OutcomesByPrompt, OutcomesByPrompt],
) -> _Changed:
    """A prompt matches if any of its generations does that counts in both; of one that has none nothing is known."""
    number: dict[str, int] = {}
    for each, prompts in zip(outcomes, named, strict=True):
        number |= zip([*each.found, *each.left_out], [*prompts.found, *prompts.left_out], strict=True)
    asked = named[0].asked
    ends = list(accumulate(each.prompts for each in asked))
    lost = Counter(number[query] for query in left_out)
    gone = sum(count >= asked[bisect_right(ends, prompt)].seeds for prompt, count in lost.items())
    n = (ends[-1] if ends else 0) - gone
    earlier, later = ({number[query] for query in queries} for queries in (before, after))
    return _Changed(n, len(later - earlier), len(earlier - later))


def _of_counts(old: Audited, new: Audited, unit: str, found: _Changed, confidence: float) -> Comparison:
    earlier, later = set(old.matches), set(new.matches)
    n, gained, lost = found
    return Comparison(
        MCNEMAR,
        unit,
        old.rate(unit, confidence),
        new.rate(unit, confidence),
        n,
        gained,
        lost,
        rise_between(gained, n, lost, n, (1 - confidence) / 2),
        mcnemar_p(gained, lost),
        mcnemar_p(lost, gained),
        "",
        tuple(pair for pair in new.matches if pair not in earlier),
        tuple(pair for pair in old.matches if pair not in later),
        _redrawn(old, new, confidence),
    )


def _unpaired(old: Audited, new: Audited, confidence: float, why: str) -> Comparison:
    """Prompts of as many seeds each are compared as prompts; else generations, as the independent ones they count."""
    earlier, later = old.prompts, new.prompts
    alike = bool(earlier and later and len(earlier.seeds) == 1 == len(later.seeds))
    same = alike and earlier and later and earlier.seeds[0].seeds == later.seeds[0].seeds
    unit = PROMPTS if same else PEOPLE if _counts_people(new.report) else GENERATIONS
    before, after = old.rate(unit, confidence), new.rate(unit, confidence)
    (k1, n1), (k2, n2) = draws_of(before), draws_of(after)
    return Comparison(
        FISHER,
        unit,
        before,
        after,
        None,
        None,
        None,
        rise_between(k2, n2, k1, n1, (1 - confidence) / 2),
        rise_p(k2, n2, k1, n1),
        rise_p(k1, n1, k2, n2),
        why,
        _unknown_to(new.matches, old.matches),
        _unknown_to(old.matches, new.matches),
        _redrawn(old, new, confidence),
    )


def _redrawn(old: Audited, new: Audited, confidence: float) -> RedrawnRise | str:
    return compare_redrawn((old.report, old.accepted), (new.report, new.accepted), confidence)


def _unknown_to(matches: Sequence[Pair], others: Sequence[Pair]) -> tuple[Pair, ...]:
    """Generations of other prompts have nothing in common but the training images that come back."""
    known = {pair.reference_id for pair in others}
    return tuple(pair for pair in matches if pair.reference_id not in known)
