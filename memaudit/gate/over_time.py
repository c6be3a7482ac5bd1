"""Looks again and again: at one model, whose prompts are pooled, and at others after it. (docs/protocols/gate.md)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from msgspec import structs

from memaudit.gate.batches import Batch
from memaudit.gate.detection import Bound, Detection
from memaudit.gate.ledger import Ledger, Look
from memaudit.gate.policy import Policy
from memaudit.gate.rates import at_most, confident, share
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.statistics import anytime_upper, error_of_attempt, least_anytime, shows


class Pool(NamedTuple):
    """All prompts that were drawn anew of one model, by one method. left: of those found, those of which nobody
    accepted every match. seeds: the fewest of a prompt; audits: how many drew some."""

    n: int = 0
    found: int = 0
    left: int = 0
    seeds: int = 0
    audits: int = 0


class Looked(NamedTuple):
    """A report that is looked at. number: of the first look at it by its method; first: that look."""

    batch: Batch
    number: int
    first: Look


@dataclass(frozen=True)
class Watch:
    """A ledger with the looks of this call at its end, the `new` ones. looked: by the name of the report. day: on which
    acceptances are held against their end."""

    ledger: Ledger
    looked: Mapping[str, Looked]
    new: int
    day: date

    @classmethod
    def of(cls, ledger: Ledger, batches: Sequence[tuple[str, Batch]], day: date) -> Watch:
        before = len(ledger.looks)
        for _, batch in batches:
            ledger = _looked_at(ledger, batch)
        firsts = {look.subject: look for look in reversed(ledger.looks)}
        numbers = ledger.subjects
        looked = {name: Looked(batch, numbers[batch.subject], firsts[batch.subject]) for name, batch in batches}
        return cls(ledger, looked, len(ledger.looks) - before, day)

    def policy(self, name: str, policy: Policy) -> Policy:
        """Of a report: its rate may err as often as its attempt may, and its rise as its look may."""
        looked = self.looked.get(name)
        if looked is None:
            return policy
        return replace(
            policy,
            audit=replace(policy.audit, confidence=_left_to(policy.audit.confidence, looked.first.attempt)),
            baseline=replace(policy.baseline, confidence=_left_to(policy.baseline.confidence, looked.number)),
        )

    def of_look(self, name: str, policy: Policy) -> Policy:
        """Of what a report is judged by alone, each time: it may err as often as its look may."""
        looked = self.looked.get(name)
        if looked is None:
            return policy
        confidence = _left_to(policy.audit.confidence, looked.number)
        return replace(policy, audit=replace(policy.audit, confidence=confidence))

    def judged(self, rule: RuleResult, policy: Policy) -> RuleResult:
        """The rule, or for a rate what takes its place where prompts are pooled; what was not pooled is said."""
        looked = self.looked.get(rule.report)
        if looked is None or rule.rule != "max_rate":
            return rule
        if looked.first.not_pooled:
            first = looked.first
            why = f" It is attempt {first.attempt:,} of the ledger, pooled with no other report: {first.not_pooled}."
            return replace(rule, sentence=rule.sentence + why)
        return _of_pool(rule.report, looked, self.pool(looked.first), self.policy(rule.report, policy))

    def pool(self, of: Look) -> Pool:
        accepted = {look.subject: look.accepted for look in self.ledger.looks}
        same = [look for look in self.ledger.looks if _same(look, of) and look.drawn]
        waived = sum(
            accepted[look.subject].get(prompt, "") >= self.day.isoformat() for look in same for prompt in look.found
        )
        found = sum(len(look.found) for look in same)
        seeds = min((look.seeds for look in same), default=0)
        return Pool(sum(len(look.drawn) for look in same), found, found - waived, seeds, len(same))

    def entries(self, rules: Sequence[RuleResult], policy: Policy, now: datetime) -> list[Look]:
        """The new looks, with what came of them."""
        outcomes = {rule.report: str(rule.outcome) for rule in rules if rule.rule == "max_rate"}
        names = {looked.batch.subject: name for name, looked in self.looked.items()}
        told = []
        for look in self.ledger.looks[len(self.ledger.looks) - self.new :]:
            pool, name = self.pool(look), names[look.subject]
            error = 1 - self.policy(name, policy).audit.confidence
            told.append(
                structs.replace(
                    look,
                    judged=now.isoformat(timespec="seconds"),
                    pooled=pool.n,
                    found_in_all=pool.found,
                    upper=_Seen.of(self.looked[name].batch.detection, error).upper(pool.found, pool.n),
                    outcome=outcomes.get(name, ""),
                )
            )
        return told


def _left_to(confidence: float, number: int) -> float:
    return 1 - error_of_attempt(1 - confidence, number)


def _same(look: Look, other: Look) -> bool:
    """Whether their prompts are pooled. A look at a report that is pooled with none is an attempt of its own."""
    alike = (look.model_digest, look.method) == (other.model_digest, other.method)
    return alike and not look.not_pooled and not other.not_pooled


def _looked_at(ledger: Ledger, batch: Batch) -> Ledger:
    known = [look for look in ledger.looks if look.subject == batch.subject]
    look = _again(ledger, known, batch) if known else _first(ledger, batch)
    return ledger if look is None else replace(ledger, looks=(*ledger.looks, look))


def _again(ledger: Ledger, known: Sequence[Look], batch: Batch) -> Look | None:
    """A report that is judged again draws nothing: at most, other matches of it are accepted by now."""
    accepted = _accepted(batch, known[0].found)
    if accepted == known[-1].accepted:
        return None
    return structs.replace(
        known[0], number=len(ledger.looks) + 1, drawn=[], found=[], accepted=accepted, repeated=0, repeated_found=0
    )


def _first(ledger: Ledger, batch: Batch) -> Look:
    model = batch.model
    look = Look(
        number=len(ledger.looks) + 1,
        judged="",
        report=batch.report,
        attempt=ledger.attempts + 1,
        model=model.name if model else "",
        model_digest=model.digest if model else "",
        method=batch.method,
        not_pooled=batch.not_pooled,
        seeds=batch.seeds,
        unknown=batch.unknown,
    )
    same = [other for other in ledger.looks if _same(other, look)]
    asked = {prompt for other in same for prompt in other.drawn}
    drawn = [prompt for prompt in batch.prompts if prompt not in asked]
    found = sorted(batch.found.difference(asked))
    return structs.replace(
        look,
        attempt=same[0].attempt if same else look.attempt,
        drawn=drawn,
        found=found,
        accepted=_accepted(batch, found),
        repeated=len(batch.prompts) - len(drawn),
        repeated_found=len(batch.found) - len(found),
    )


def _accepted(batch: Batch, found: Sequence[str]) -> dict[str, str]:
    return {prompt: batch.accepted[prompt].isoformat() for prompt in found if prompt in batch.accepted}


class _Seen(NamedTuple):
    """How much of what there is an audit sees, at least, and how often the bound of what it sees may then err.

    The same copies are planted night for night, so that looking again and again takes nothing off this bound: half of
    the error is its own.
    """

    recall: float
    error: float
    said: str

    @classmethod
    def of(cls, detection: Detection | str, error: float) -> _Seen:
        if isinstance(detection, str) or not detection.kinds:
            return cls(1.0, error, Detection({}).by(Bound(1.0)))
        least = detection.least(error / 2)
        return cls(least.value, error / 2, detection.by(least))

    def upper(self, found: int, n: int) -> float:
        if not n or not self.recall:
            return 1.0
        return min(1.0, anytime_upper(found, n, self.error) / self.recall)


def _of_pool(name: str, looked: Looked, pool: Pool, policy: Policy) -> RuleResult:
    limit, detection = policy.audit.max_rate, looked.batch.detection
    if isinstance(detection, str):
        return unmeasured(name, "max_rate", share(limit), detection)
    seen = _Seen.of(detection, 1 - policy.audit.confidence)
    upper, every = (seen.upper(count, pool.n) for count in (pool.left, pool.found))
    outcome = Verdict.PASS if shows(limit * seen.recall, pool.left, pool.n, seen.error) else Verdict.INCONCLUSIVE
    if outcome is not Verdict.PASS and pool.left > limit * pool.n:
        outcome = Verdict.FAIL
    figure = at_most(upper)
    bound = f"at most {figure} of prompts give a training image back"
    if pool.left < pool.found:
        bound += (
            f" that nobody accepted, and at most {at_most(every)} any, with the {pool.found - pool.left:,} prompts "
            "whose matches were accepted,"
        )
        figure = f"{figure} not accepted, {at_most(every)} in all"
    sure = confident(policy.audit.confidence)
    sentence = (
        f"With {sure} confidence, whenever one looks, {bound}{_drawn(looked.first, pool)}{seen.said}: "
        f"{_ending(outcome, pool, limit, seen)}{_said(looked.first)}"
    )
    return RuleResult(name, "max_rate", outcome, figure, share(limit), sentence)


def _drawn(look: Look, pool: Pool) -> str:
    each = "with a generation each" if pool.seeds == 1 else f"in {pool.seeds:,} seeds each, or more"
    audits = "an audit" if pool.audits == 1 else f"{pool.audits:,} audits"
    return (
        f" {each} (n = {pool.n:,} drawn anew in {audits} of {look.model}, {pool.found:,} found; attempt "
        f"{look.attempt:,} of the ledger)"
    )


def _ending(outcome: Verdict, pool: Pool, limit: float, seen: _Seen) -> str:
    if outcome is Verdict.PASS:
        return "within the limit."
    if outcome is Verdict.FAIL:
        return f"and the rate found, {share(pool.left / pool.n)}, is itself above the limit."
    if not limit:
        return "a rate of 0 cannot be shown by any number of prompts: allow a small one."
    if not seen.recall:
        return "no number of prompts shows anything of copies of which none is found."
    needed = least_anytime(limit * seen.recall, pool.left, seen.error)
    return f"too few; to show the limit takes {needed:,} prompts with {pool.left:,} found."


def _said(look: Look) -> str:
    """What of this report is in no pool."""
    said = ""
    if look.repeated:
        gave = f", though {look.repeated_found:,} of them gave one back this time" if look.repeated_found else ""
        said += f" {look.repeated:,} of its prompts were asked before and are no new draws{gave}."
    if look.unknown:
        said += f" {look.unknown:,} of its prompts are not known and are not pooled."
    return said
