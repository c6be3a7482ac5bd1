"""The rule for training images that were drawn anew: beside that for copies, and against what held-out images give."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from memaudit.gate.detection import AGAIN
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.rates import at_most, draws_of, queries, share
from memaudit.gate.subjects import measured_by, redrawn_places
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.matching.kinds import Kind
from memaudit.report.model import AuditResults, Rate, Redrawn, Report
from memaudit.statistics import Rise, rate_of, rise_between, rise_p
from memaudit.types import Coverage
from memaudit.types import Rate as Computed
from memaudit.words import plural

RULE = "max_redrawn_rate"
MOST_BY_CHANCE = 0.05  # of held-out images: five times what hard likenesses may give; above it nothing is told apart


def judge_redrawn(
    name: str, report: Report, results: AuditResults, accepted: Collection[int], policy: AuditPolicy
) -> Iterator[RuleResult]:
    """accepted: the places of findings, of any kind, that a person has accepted.

    What nobody looked for is not none. By generations, for one is what one held-out image is; of the seeds of a prompt
    as many count as are independent.
    """
    limit, found = share(policy.max_redrawn_rate), results.redrawn
    if policy.max_redrawn_rate >= 1 or Kind.REDRAWN not in policy.kinds:
        return
    if not found:
        said = f"The report does not say whether training images were drawn anew: {AGAIN}."
        yield unmeasured(name, RULE, limit, said)
    elif not found.measured or found.searched is None:
        yield unmeasured(name, RULE, limit, found.headline)
    else:
        left = open_redrawn(report, found.searched, accepted)
        yield _judged(name, found, found.searched, left, policy)
        covered, what = found.searched.coverage, "generations (for re-drawn ones)"
        if covered.share < results.searched.coverage.share:  # of these the audit's own coverage says nothing
            yield coverage_rule(name, "min_coverage", covered, policy.min_coverage, what)


def open_redrawn(report: Report, stated: Rate, accepted: Collection[int]) -> int:
    """Re-drawn generations of those that the rate counts, less those that were accepted."""
    listed = redrawn_places(report)
    waived = set(accepted).intersection(listed)
    return min(stated.count, max(0, stated.count - len(queries(report, waived)), len(listed) - len(waived)))


class Excess(NamedTuple):
    """How much more often generations are re-drawn than held-out images are called so; p: that they are by chance, None
    without enough held-out images."""

    rise: Rise
    p: float | None


def excess_of(found: Redrawn, stated: Rate, left: int, confidence: float) -> Excess:
    """Without held-out images the rate itself is the bound, for chance gives no less than nothing."""
    count, n = draws_of(_rate(stated, left, confidence))
    control, error = found.control, 1 - confidence
    if control is None or not control.matched.n:
        return Excess(rise_between(count, n, 0, 0, error), None)
    others = draws_of(_rate(control.matched, control.matched.count, confidence))
    known = control.greater_rate_p
    p = None if known is None else max(known, rise_p(count, n, *others))
    return Excess(rise_between(count, n, *others, error), p)


def _rate(stated: Rate, count: int, confidence: float) -> Computed:
    coverage = Coverage(stated.coverage.measured, stated.coverage.total)
    return rate_of(count, coverage, confidence, stated.effective or None)


class RedrawnRise(NamedTuple):
    """Rates of generations that are re-drawn, of two audits: of what nobody accepted. p_rise, p_fall: Fisher's, of as
    many draws as are independent. gained, lost: findings, by generation and training image, of one of them only."""

    old: Computed
    new: Computed
    rise: Rise
    p_rise: float
    p_fall: float
    gained: tuple[tuple[str, str], ...]
    lost: tuple[tuple[str, str], ...]

    @property
    def p(self) -> float:
        """Two-sided, by doubling."""
        return min(1.0, 2 * min(self.p_rise, self.p_fall))


Open = tuple[Report, Collection[int]]
"""A report, and the places of its findings that a person has accepted."""


def compare_redrawn(old: Open, new: Open, confidence: float) -> RedrawnRise | str:
    """Hold them against each other, or say why that cannot be. confidence: of the two-sided intervals."""
    sides = [_told(report) for report, _ in (old, new)]
    earlier, later = sides
    if isinstance(earlier, str) or isinstance(later, str):
        return next(side for side in sides if isinstance(side, str))
    if (earlier.floor, earlier.cut, earlier.source) != (later.floor, later.cut, later.source):
        return "they went by different probabilities of a re-drawn picture: audit both with this version"
    before, after = (_open_rate(found, each, confidence) for found, each in ((earlier, old), (later, new)))
    (k1, n1), (k2, n2) = draws_of(before), draws_of(after)
    known, found = _pairs(*old), _pairs(*new)
    return RedrawnRise(
        before,
        after,
        rise_between(k2, n2, k1, n1, (1 - confidence) / 2),
        rise_p(k2, n2, k1, n1),
        rise_p(k1, n1, k2, n2),
        tuple(pair for pair in found if pair not in known),
        tuple(pair for pair in known if pair not in found),
    )


def _told(report: Report) -> Redrawn | str:
    results = measured_by(report)
    found = results.redrawn if results else None
    if not found:
        return "not both reports say whether training images were drawn anew"
    return found if found.measured and found.searched else f"one of them did not look for them ({found.why_not})"


def _open_rate(found: Redrawn, of: Open, confidence: float) -> Computed:
    stated = found.searched
    if stated is None:
        raise ValueError("re-drawn generations were measured, and have no rate")
    return _rate(stated, open_redrawn(of[0], stated, of[1]), confidence)


def _pairs(report: Report, accepted: Collection[int]) -> list[tuple[str, str]]:
    places = (place for place in redrawn_places(report) if place not in accepted)
    matches = report.matches
    return [(matches[place].query_id, matches[place].reference_id) for place in places]


def _judged(name: str, found: Redrawn, stated: Rate, left: int, policy: AuditPolicy) -> RuleResult:
    excess, limit = excess_of(found, stated, left, policy.confidence), policy.max_redrawn_rate
    outcome = Verdict.INCONCLUSIVE if _blind(found) else _outcome(excess, limit, policy.confidence)
    bound = at_most(max(0.0, excess.rise.high))
    beyond = "" if found.control is None else " more than of held-out images"
    at_most_said = f"with {policy.confidence:.0%} confidence at most {bound}{beyond}"
    endings = {
        Verdict.PASS: f"{at_most_said}: within the limit.",
        Verdict.FAIL: f"that is {share(excess.rise.value)} more, above the limit, and more than chance explains.",
        Verdict.INCONCLUSIVE: f"{at_most_said}: {_why_open(found, excess)}",
    }
    sentence = f"{_counts(found, stated, left)}; {endings[outcome]}"
    return RuleResult(name, RULE, outcome, bound, share(limit), sentence)


def _outcome(excess: Excess, limit: float, confidence: float) -> Verdict:
    if excess.rise.high <= limit:
        return Verdict.PASS
    more_than_chance = excess.p is not None and excess.p <= 1 - confidence
    return Verdict.FAIL if excess.rise.value > limit and more_than_chance else Verdict.INCONCLUSIVE


def _blind(found: Redrawn) -> bool:
    """Where images that the model never saw are called so this often, one that is cannot be told from one that is not:
    no more than chance would be no acquittal."""
    return bool(found.control and (found.control.matched.value or 0.0) > MOST_BY_CHANCE)


def _why_open(found: Redrawn, excess: Excess) -> str:
    if _blind(found):
        return f"held-out images are called so too often ({MOST_BY_CHANCE:.0%} at most) for the kind to be told here."
    if excess.p is None:
        return "how many are so by chance is unknown, for there are too few held-out images."
    return "too few generations or held-out images to show that it stays within the limit."


def _counts(found: Redrawn, stated: Rate, left: int) -> str:
    accepted = f" ({stated.count - left:,} more were cleared by people)" if left < stated.count else ""
    are = (
        "is a training image drawn anew, and no copy" if left == 1 else "are training images drawn anew, and no copies"
    )
    said = f"{left:,} of {plural(stated.n, 'generation')} {are}{accepted}"
    if found.control is None:
        return f"{said}; no held-out images were given"
    matched = found.control.matched
    return f"{said}; of {matched.n:,} held-out images {matched.count:,} would be called so"
