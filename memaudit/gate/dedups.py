"""The rules for the report of a dedup run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memaudit.gate.figures import coverage_rule, number, whole
from memaudit.gate.policy import DedupPolicy
from memaudit.gate.thresholds import threshold_rule
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.statistics import clopper_pearson_upper


def judge_dedup(name: str, report: Mapping[str, Any], policy: DedupPolicy) -> Iterator[RuleResult]:
    """Apply the rules to one dedup run."""
    yield coverage_rule(name, "min_coverage", report["coverage"], policy.min_coverage, "images")
    results = report["results"]
    if "recall" not in results:
        yield unmeasured(name, "min_recall", f"{policy.min_recall:.2%}")
        return
    yield threshold_rule(name, "dedup run", report["threshold"], report["encoder"], policy.max_threshold)
    _require_consistent(results["recall"]["by_pair"])
    if results["recall"]["by_pair"]["value"] is None:
        yield _recall_without_pairs(name, results["recall"], _near_pairs(results), policy)
    else:
        yield _recall(name, results["recall"], policy)


def _require_consistent(recall: Mapping[str, Any]) -> None:
    """Raises ValueError for a recall that its own counts do not give."""
    found, total = whole(recall["found"]), whole(recall["total"])
    if found > total or (recall["value"] is None) != (total == 0):
        raise ValueError(f"{found} of {total} pairs found is impossible")
    if total:
        value, low = number(recall["value"], 0, 1), number(recall["low"], 0, 1)
        if abs(value - found / total) > 1e-6 or low > value + 1e-6:
            raise ValueError(f"a recall of {value:g}, at least {low:g}, is not that of {found} of {total} pairs")


def _recall_without_pairs(name: str, recall: Mapping[str, Any], found: int, policy: DedupPolicy) -> RuleResult:
    """No sampled image has a near-duplicate. That measures no recall where the run itself `found` pairs."""
    sampled = recall["sampled"]
    outcome, ending = Verdict.PASS, "there was nothing to miss."
    if not sampled:
        outcome, ending = Verdict.INCONCLUSIVE, "nothing was measured."
    elif found and not recall["census"]:
        outcome, ending = Verdict.INCONCLUSIVE, f"yet the run found {found:,} pairs; check more images."
    elif not recall["census"]:
        ending = f"nor did the run find a pair; at most {clopper_pearson_upper(0, sampled, 0.05):.2%} of all have one."
    sentence = f"None of {sampled:,} images checked exactly has a near-duplicate: {ending}"
    return RuleResult(name, "min_recall", outcome, "no pairs", f"{policy.min_recall:.2%}", sentence)


def _recall(name: str, recall: Mapping[str, Any], policy: DedupPolicy) -> RuleResult:
    estimate, limit = recall["by_pair"], f"{policy.min_recall:.2%}"
    outcome = _against_floor(estimate["value"], estimate["low"], policy.min_recall)
    sentence = (
        f"{estimate['found']:,} of {estimate['total']:,} true pairs of {recall['sampled']:,} images were found; "
        f"the recall is at least {estimate['low']:.2%}."
    )
    return RuleResult(name, "min_recall", outcome, f"{estimate['low']:.2%}", limit, sentence)


def _against_floor(value: float, low: float, floor: float) -> Verdict:
    if low >= floor:
        return Verdict.PASS
    return Verdict.FAIL if value < floor else Verdict.INCONCLUSIVE


def _near_pairs(results: Mapping[str, Any]) -> int:
    """How many near-duplicate pairs the run found. Earlier reports say only what each clustering added."""
    found = results.get("near_pairs")
    return sum(results["pairs_added_by_clustering"]) if found is None else int(found)
