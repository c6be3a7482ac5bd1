"""How much an audit detects, by what it found of planted copies, and what its bounds are then of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from memaudit.gate.policy import AuditPolicy
from memaudit.report.model import AuditMeasures, Planted
from memaudit.statistics import (
    Detected,
    WeightedRate,
    clopper_pearson_lower,
    clopper_pearson_upper,
    melded_upper,
    weighted_upper,
)

AGAIN = "audit again with this version: what is embedded is kept"
_OR_LESS = "or write planted = [] into the policy, for the rate of copies that can be detected"


class Bound(NamedTuple):
    """A one-sided upper bound, and the kind of copies that it is by; empty: of those that can be detected."""

    value: float
    kind: str = ""


class Detection(NamedTuple):
    """By kind how many planted copies were found; none: nothing is said but of copies that can be detected."""

    kinds: dict[str, Detected]

    def upper(self, count: int, n: int, tail: float) -> Bound:
        """Of count of n, by the kind that gives the highest."""
        if not self.kinds:
            return Bound(clopper_pearson_upper(count, n, tail))
        return self._highest(lambda detected: melded_upper(count, n, detected, tail))

    def upper_weighted(self, rate: WeightedRate) -> Bound:
        if not self.kinds:
            return Bound(rate.upper)
        return self._highest(lambda detected: weighted_upper(rate, detected, 1 - rate.confidence))

    def _highest(self, bound: Callable[[Detected], float]) -> Bound:
        kind_of = {detected: kind for kind, detected in reversed(self.kinds.items())}  # equal counts, equal bounds
        return max(Bound(bound(detected), kind) for detected, kind in kind_of.items())

    def least(self, tail: float) -> Bound:
        """The recall below which it is with probability `tail`, by the kind that gives the lowest."""
        bounds = [Bound(clopper_pearson_lower(*each, tail), kind) for kind, each in self.kinds.items()]
        return min(bounds, default=Bound(1.0))

    def of(self, bound: Bound) -> Detection:
        """The same by the kind of this bound alone."""
        return Detection({bound.kind: self.kinds[bound.kind]} if bound.kind else {})

    def by(self, bound: Bound) -> str:
        """For the sentence that states it."""
        if not bound.kind:
            return ", undetected copies not included"
        found, planted = self.kinds[bound.kind]
        return f", undetected copies included ({found:,} of {planted:,} planted ones that are {bound.kind} were found)"


def detection_of(results: AuditMeasures, policy: AuditPolicy) -> Detection | str:
    """By the kinds that the policy names; or why nothing is known of one of them."""
    if not policy.planted or policy.max_rate >= 1:
        return Detection({})
    if not results.planted:
        return f"The report does not say how many copies the audit detects: {AGAIN}, {_OR_LESS}."
    kinds = {kind: _detected(results.planted, kind) for kind in policy.planted}
    known = {kind: detected for kind, detected in kinds.items() if detected.planted}
    lacking = [kind for kind in kinds if kind not in known]
    if not lacking:
        return Detection(known)
    why = f" ({results.planted.why_none})" if results.planted.why_none else ""
    return (
        f"The audit planted no copies that are {' or '.join(lacking)}{why}, so that nobody knows how many it detects: "
        f"audit again with --planted, {_OR_LESS}."
    )


def _detected(planted: Planted, kind: str) -> Detected:
    """Raises ValueError for counts that are impossible."""
    rates = [each.found for each in planted.kinds if each.kind == kind and each.found is not None]
    if len(rates) > 1 or any(rate.count > rate.n for rate in rates):
        raise ValueError(f"planted copies that are {kind} are told twice, or more were found than planted")
    return Detected(rates[0].count, rates[0].n) if rates else Detected(0, 0)
