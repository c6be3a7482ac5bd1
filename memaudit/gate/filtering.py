"""The rules for reports of filters and of the weights that undo what they shift."""

from __future__ import annotations

from collections.abc import Iterator

from memaudit.gate.policy import FilterPolicy, ReweightPolicy
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.report.model import FilterResults, Report, ReweightResults


def judge_filter(name: str, report: Report, policy: FilterPolicy) -> Iterator[RuleResult]:
    """Apply the rules to one filter that was applied."""
    results = report.results
    yield coverage_rule(name, "min_coverage", report.coverage, policy.min_coverage, "images")
    if not isinstance(results, FilterResults):
        yield unmeasured(name, "min_recall", f"{policy.min_recall:.2%}")
        yield unmeasured(name, "max_dropped", f"{policy.max_dropped:.2%}")
        return
    yield _recall(name, results, policy)
    if policy.same_store:
        yield _same_store(name, results)
    yield _dropped(name, results, policy)


def _recall(name: str, results: FilterResults, policy: FilterPolicy) -> RuleResult:
    limit, measured = f"{policy.min_recall:.2%}", results.measured
    if measured is None:
        sentence = "The cut was given by hand: what it finds was not measured."
        return unmeasured(name, "min_recall", limit, sentence)
    recall = measured.recall
    if not recall.lower <= recall.value <= 1:
        raise ValueError(f"a recall of {recall.value:g}, at least {recall.lower:g}, is impossible")
    sentence = (
        f"By its sample the cut finds {recall.value:.2%} of {results.name}, with {measured.bound_confidence:.2%} "
        f"confidence at least {recall.lower:.2%}."
    )
    failed = Verdict.FAIL if recall.value < policy.min_recall else Verdict.INCONCLUSIVE
    outcome = Verdict.PASS if recall.lower >= policy.min_recall else failed
    return RuleResult(name, "min_recall", outcome, f"{recall.lower:.2%}", limit, sentence)


def _same_store(name: str, results: FilterResults) -> RuleResult:
    if results.measured is None:
        return unmeasured(name, "same_store", "yes", "No sample was drawn for this cut.")
    same = results.measured.same_store
    outcome = Verdict.PASS if same else Verdict.INCONCLUSIVE
    which = "the store that was filtered" if same else "another store than the one that was filtered"
    return RuleResult(
        name, "same_store", outcome, "yes" if same else "no", "yes", f"The sample was drawn from {which}."
    )


def _dropped(name: str, results: FilterResults, policy: FilterPolicy) -> RuleResult:
    """Images in neither list may still be dropped."""
    decided, limit = results.decided, f"{policy.max_dropped:.2%}"
    total = decided.kept + decided.dropped + decided.undecided
    if not total:
        return unmeasured(name, "max_dropped", limit, "The filter was applied to no image.")
    least, most = decided.dropped / total, (decided.dropped + decided.undecided) / total
    failed = Verdict.FAIL if least > policy.max_dropped else Verdict.INCONCLUSIVE
    outcome = Verdict.PASS if most <= policy.max_dropped else failed
    open_ones = f", and {decided.undecided:,} are in neither list" if decided.undecided else ""
    sentence = f"{decided.dropped:,} of {total:,} images are dropped{open_ones}."
    return RuleResult(name, "max_dropped", outcome, f"{least:.2%}", limit, sentence)


def judge_reweight(name: str, report: Report, policy: ReweightPolicy) -> Iterator[RuleResult]:
    """Apply the rules to one set of weights."""
    results = report.results
    yield coverage_rule(name, "min_coverage", report.coverage, policy.min_coverage, "images")
    if not isinstance(results, ReweightResults):
        yield unmeasured(name, "min_effective", f"{policy.min_effective:.2%}")
        yield unmeasured(name, "min_restored", f"{policy.min_restored:.2%}")
        return
    yield _effective(name, results, policy)
    yield _restored(name, results, policy)


def _effective(name: str, results: ReweightResults, policy: ReweightPolicy) -> RuleResult:
    limit, kept = f"{policy.min_effective:.2%}", results.kept
    if not kept:
        return unmeasured(name, "min_effective", limit, "The filter left no image with an embedding.")
    share = results.effective / kept
    if share > 1 + 1e-6:
        raise ValueError(f"{kept:,} images cannot count as {results.effective:,.1f}")
    outcome = Verdict.PASS if share >= policy.min_effective else Verdict.FAIL
    sentence = f"The {kept:,} images that are left count as {results.effective:,.0f} of equal weight."
    return RuleResult(name, "min_effective", outcome, f"{share:.2%}", limit, sentence)


def _restored(name: str, results: ReweightResults, policy: ReweightPolicy) -> RuleResult:
    limit, tested = f"{policy.min_restored:.2%}", results.tested
    if not tested:
        sentence = "No word, value or cluster had enough images: no share was tested."
        return unmeasured(name, "min_restored", limit, sentence)
    if results.restored > tested:
        raise ValueError(f"{results.restored} of {tested} shares are restored is impossible")
    share = results.restored / tested
    outcome = Verdict.PASS if share >= policy.min_restored else Verdict.FAIL
    gone = f" Of {results.gone:,} nothing is left." if results.gone else ""
    sentence = f"{results.restored:,} of {tested:,} weighted shares are those of all, within their intervals.{gone}"
    return RuleResult(name, "min_restored", outcome, f"{share:.2%}", limit, sentence)
