"""The rules for the report of a dedup run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from memaudit.gate.policy import DedupPolicy
from memaudit.gate.thresholds import copy_detection_rule, threshold_rule
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.report.model import DedupResults, Estimate, Recall, Report
from memaudit.statistics import clopper_pearson_upper


def judge_dedup(name: str, report: Report, policy: DedupPolicy) -> Iterator[RuleResult]:
    """Apply the rules to one dedup run."""
    yield coverage_rule(name, "min_coverage", report.coverage, policy.min_coverage, "images")
    results = report.results
    if not isinstance(results, DedupResults):
        yield unmeasured(name, "min_recall", f"{policy.min_recall:.2%}")
        return
    if policy.copy_detection:
        yield copy_detection_rule(name, "dedup run", report)
    yield threshold_rule(name, "dedup run", report, policy.max_threshold)
    by_pair = results.recall.by_pair
    bounds = _consistent(by_pair)
    if bounds is None:
        yield _recall_without_pairs(name, results.recall, _near_pairs(results), policy)
    else:
        yield _recall(name, results.recall, bounds, policy)


class _Bounds(NamedTuple):
    value: float
    low: float


def _consistent(recall: Estimate) -> _Bounds | None:
    """The recall and its lower end; None where there was nothing to find. Raises ValueError for a recall that its own
    counts do not give."""
    found, total, value, low = recall.found, recall.total, recall.value, recall.low
    if found > total or (value is None) != (total == 0):
        raise ValueError(f"{found} of {total} pairs found is impossible")
    if value is None:
        return None
    if low is None:
        raise ValueError(f"a recall of {value:g} has no lower bound")
    if abs(value - found / total) > 1e-6 or low > value + 1e-6:
        raise ValueError(f"a recall of {value:g}, at least {low:g}, is not that of {found} of {total} pairs")
    return _Bounds(value, low)


def _recall_without_pairs(name: str, recall: Recall, found: int, policy: DedupPolicy) -> RuleResult:
    """No sampled image has a near-duplicate. That measures no recall where the run itself `found` pairs, nor by a
    sample so small that more images than the limit lets be missed may have one."""
    sampled = recall.sampled
    outcome, ending = Verdict.PASS, "there was nothing to miss."
    if not sampled:
        outcome, ending = Verdict.INCONCLUSIVE, "nothing was measured."
    elif found and not recall.census:
        outcome, ending = Verdict.INCONCLUSIVE, f"yet the run found {found:,} pairs; check more images."
    elif not recall.census:
        most = clopper_pearson_upper(0, sampled, 0.05)
        ending = f"nor did the run find a pair; at most {most:.2%} of all have one"
        enough = most <= 1 - policy.min_recall
        outcome, ending = (outcome, f"{ending}.") if enough else (Verdict.INCONCLUSIVE, f"{ending}; check more images.")
    sentence = f"None of {sampled:,} images checked exactly has a near-duplicate: {ending}"
    return RuleResult(name, "min_recall", outcome, "no pairs", f"{policy.min_recall:.2%}", sentence)


def _recall(name: str, recall: Recall, bounds: _Bounds, policy: DedupPolicy) -> RuleResult:
    """Pairs come in families: no confidence is stated for theirs, as it is for images."""
    outcome, pairs = _against_floor(bounds.value, bounds.low, policy.min_recall), recall.by_pair
    sentence = (
        f"{pairs.found:,} of {pairs.total:,} true pairs of {recall.sampled:,} images were found, which bounds the "
        f"recall by {bounds.low:.2%} if no large family went unseen{_complete(recall)}."
    )
    return RuleResult(name, "min_recall", outcome, f"{bounds.low:.2%}", f"{policy.min_recall:.2%}", sentence)


def _complete(recall: Recall) -> str:
    images = recall.complete or None
    if images is None or images.low is None:
        return ""
    return f"; with {recall.confidence:.0%} confidence all pairs were found of at least {images.low:.2%} of images"


def _against_floor(value: float, low: float, floor: float) -> Verdict:
    if low >= floor:
        return Verdict.PASS
    return Verdict.FAIL if value < floor else Verdict.INCONCLUSIVE


def _near_pairs(results: DedupResults) -> int:
    """How many near-duplicate pairs the run found. Earlier reports say only what each clustering added."""
    return sum(results.pairs_added_by_clustering) if results.near_pairs is None else results.near_pairs
