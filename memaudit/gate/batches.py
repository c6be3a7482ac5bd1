"""What a report says of prompts, as a gate that looks again and again keeps it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import NamedTuple

from msgspec import UNSET, to_builtins

from memaudit.files import canonical, digest_of
from memaudit.gate.detection import Detection, detection_of
from memaudit.gate.findings import Finding
from memaudit.gate.ledger import Subject
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.provenance import identity_of
from memaudit.gate.rates import MOST_DUPLICATED, require_prompts
from memaudit.gate.subjects import calibration_of, subject_places, training_set_of
from memaudit.matching.kinds import ALL
from memaudit.report.model import AuditResults, ByPrompt, Model, Outcomes, OutcomesByPrompt, Report


class Batch(NamedTuple):
    """The prompts of one audit that can be pooled with those of others, or why they cannot.

    method: what counts as a match, as a digest. seeds: the fewest of a prompt. prompts, found: digests; unknown: how
    many have none. accepted: those of which a person accepted every match, and until when. detection: of the audit, or
    why the policy's is not known.
    """

    report: str
    method: str
    model: Model | None = None
    not_pooled: str = ""
    seeds: int = 0
    prompts: tuple[str, ...] = ()
    found: frozenset[str] = frozenset()
    unknown: int = 0
    accepted: Mapping[str, date] = {}
    detection: Detection | str = Detection({})

    @property
    def subject(self) -> Subject:
        return Subject(self.report, self.method)


def batch_of(report: Report, results: AuditResults, findings: Sequence[Finding], policy: AuditPolicy) -> Batch:
    """Raises ValueError for outcomes that cannot be."""
    model = results.model or None
    batch = Batch(report.digest, _method(report, results), model, detection=detection_of(results, policy))
    prompts, outcomes = results.by_prompt or None, results.outcomes
    why = _why_alone(report, results, prompts, policy)
    named = outcomes.by_prompt or None if outcomes else None
    if why or prompts is None or outcomes is None or named is None or named.prompts is UNSET:
        return batch._replace(not_pooled=why or "it does not say which prompts it had")
    places = set(subject_places(report))  # a face, or a picture drawn anew, is no copy: who accepts it accepts none
    return _measured(batch, outcomes, named, named.prompts, [each for each in findings if each.place in places])


def _why_alone(report: Report, results: AuditResults, prompts: ByPrompt | None, policy: AuditPolicy) -> str:
    if results.model is UNSET:
        return "it names no model (audit --model)"
    if not results.conclusive:
        return "it calls itself inconclusive"
    if prompts is None:
        return "its prompts are not known (audit --pairing)"
    if MOST_DUPLICATED in prompts.strategies:
        return "its prompts are of the most duplicated images"
    if prompts.weighted is not None or "mixed" in prompts.strategies:
        return "its prompts stand for unequal numbers of captions"
    coverage = prompts.returned.coverage
    if coverage.measured < policy.min_coverage * coverage.total or not coverage.measured:
        return f"{coverage.measured:,} of its {coverage.total:,} prompts were measured"
    return ""


def _method(report: Report, results: AuditResults) -> str:
    """Two audits count the same thing if all of this is the same."""
    calibration, views, effort = calibration_of(report), results.reference_views, results.effort
    counted = results.counted_kinds
    value = {
        "training_set": training_set_of(report),
        "encoder": identity_of(report),
        "threshold": report.threshold,
        "cut": calibration.cut if calibration else None,
        "views": sorted(results.views),
        "searched": views.searched if views else [],
        "match_from": effort.match_from if effort else None,
        **({"nearest_from": effort.nearest_from} if effort and effort.nearest_from else {}),
        "pixels": results.verified is not None,
        **({"kinds": sorted(counted)} if counted and set(counted) != {*ALL} else {}),
        "strategies": results.by_prompt.strategies if results.by_prompt else [],
    }
    return digest_of(canonical(to_builtins(value)))


def _measured(
    batch: Batch, outcomes: Outcomes, named: OutcomesByPrompt, digests: Sequence[str], findings: Sequence[Finding]
) -> Batch:
    require_prompts(named, outcomes.found, outcomes.left_out)
    ends = list(accumulate(each.prompts for each in named.asked))
    count = ends[-1] if ends else 0
    if len(digests) != count:
        raise ValueError(f"outcomes by prompt name {len(digests):,} of {count:,} prompts")
    left_out = Counter(named.left_out)
    drawn = [named.asked[bisect_right(ends, number)].seeds - left_out[number] for number in range(count)]
    measured = {digests[number]: seeds for number, seeds in enumerate(drawn) if seeds > 0 and digests[number]}
    found = frozenset(digests[number] for number in named.found).intersection(measured)
    unknown = sum(seeds > 0 and not digests[number] for number, seeds in enumerate(drawn))
    return batch._replace(
        seeds=min(measured.values(), default=0),
        prompts=tuple(measured),
        found=found,
        unknown=unknown,
        accepted=_accepted(outcomes.found, [digests[number] for number in named.found], findings),
    )


def _last_day(waived: Finding) -> date:
    """What people found to be no copy is none for good."""
    if waived.review is not None and waived.review.clears:
        return waived.review.until or date.max
    return waived.accepted.until if waived.accepted else date.min


def _accepted(queries: Sequence[str], prompts: Sequence[str], findings: Sequence[Finding]) -> dict[str, date]:
    """Of each prompt of which every match is accepted, the first day on which one of these entries ends."""
    until, first = dict[str, date | None](), dict[str, date | None]()
    for each in findings:
        earlier = until.get(each.query_id, date.max)
        until[each.query_id] = min(earlier, _last_day(each)) if earlier and each.waived else None
    for query, prompt in zip(queries, prompts, strict=True):
        ends, known = until.get(query), first.get(prompt, date.max)
        first[prompt] = None if ends is None or known is None else min(ends, known)
    return {prompt: ends for prompt, ends in first.items() if prompt and ends is not None}
