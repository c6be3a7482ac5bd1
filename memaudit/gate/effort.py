"""The rules for how hard an audit looked, and for what of the model's output it could say nothing about.

What a report does not state is inconclusive; only a limit that allows everything passes without it.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from memaudit.gate.policy import AuditPolicy
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.report.effort import own_match_from, unsearched
from memaudit.report.model import AuditMeasures, AuditResults, Report

_AGAIN = "audit again with this version: what is embedded is kept"


def judge_effort(name: str, report: Report, results: AuditResults, policy: AuditPolicy) -> Iterator[RuleResult]:
    """Views, pixels, and the shares of generations that are blank or have no line in the pairing."""
    yield _share(name, "max_blank", results.blank, _made(results), policy.max_blank, "are blank")
    if results.paired is not None:
        ending = "have no line in the pairing"
        yield _share(name, "max_unpaired", results.unpaired, _made(results), policy.max_unpaired, ending)
    yield _views(name, results, policy.views)
    if policy.min_view_coverage:
        yield from _view_coverage(name, results, policy.min_view_coverage)
    if policy.min_verified_coverage:
        yield _verified(name, results, policy.min_verified_coverage)
    if results.verified is not None:
        yield _match_from(name, report, results, policy.max_match_from)


def _made(results: AuditResults) -> int:
    """Generations that are there. Earlier reports say it by what became of them."""
    if results.made is not UNSET:
        return results.made
    return results.searched.coverage.total - results.missing + results.duplicates + (results.blank or 0)


def _share(name: str, rule: str, count: int | UnsetType, made: int, limit: float, what: str) -> RuleResult:
    """A share of the generations about which an audit says nothing: not more of them than the limit."""
    if count is UNSET:
        if limit >= 1:
            return RuleResult(name, rule, Verdict.PASS, "not stated", f"{limit:.2%}", "Any share is allowed.")
        return unmeasured(
            name, rule, f"{limit:.2%}", f"The report does not state how many generations {what}: {_AGAIN}."
        )
    if count > made:
        raise ValueError(f"{count} of {made} generations {what}")
    share = count / made if made else 0.0
    outcome = Verdict.PASS if share <= limit else Verdict.INCONCLUSIVE
    figure = f"{-(-count * 10_000 // made) / 10_000 if made else 0:.2%}"  # rounded up, as a coverage is rounded down
    sentence = f"{count:,} of {made:,} generations {what}"
    ending = "." if outcome is Verdict.PASS else ": nothing is said of them."
    return RuleResult(name, rule, outcome, figure, f"{limit:.2%}", f"{sentence}{ending}")


def _views(name: str, results: AuditResults, choice: str) -> RuleResult:
    """Views of the generations that were searched: with whole ones alone a copy of a part is not seen."""
    missing = unsearched(results.views or ["whole"], choice)
    figure = (
        f"{len(results.views)} views" if len(results.views) > 1 else "whole images" if results.views else "not stated"
    )
    if not missing:
        sentence = f"Every generation was searched with the views of --views {choice}."
        return RuleResult(name, "views", Verdict.PASS, figure, choice, sentence)
    sentence = f"{len(missing):,} of the views of --views {choice} were not searched: copies of parts would be missed"
    redo = f"audit again with --views {choice}, or allow less by views in the policy"
    return RuleResult(name, "views", Verdict.INCONCLUSIVE, figure, choice, f"{sentence}; {redo}.")


def _view_coverage(name: str, results: AuditResults, floor: float) -> Iterator[RuleResult]:
    """Views are made of the files, which may be gone by then."""
    rule, effort = "min_view_coverage", results.effort
    if effort is UNSET or (len(results.views) > 1 and effort.generation_views is None):
        sentence = f"The report does not state how many of the views could be made: {_AGAIN}."
        yield unmeasured(name, rule, f"{floor:.2%}", sentence)
        return
    parts = {
        "views of the generations": effort.generation_views,
        "views of the held-out images": effort.control_views,
        "tiles and details of the training images": effort.reference_windows,
    }
    for what, coverage in parts.items():
        if coverage is not None:
            yield coverage_rule(name, rule, coverage, floor, what)


def _verified(name: str, results: AuditResults, floor: float) -> RuleResult:
    """Of no candidates all were compared: a clean model has none."""
    rule, coverage = "min_verified_coverage", results.verified
    if coverage is None:
        sentence = (
            "No candidate was compared on pixels: what only they show would be missed; audit again with --match "
            "pixels, or write min_verified_coverage = 0 into the policy."
        )
        return unmeasured(name, rule, f"{floor:.2%}", sentence)
    if coverage.total == 0 == coverage.measured:
        sentence = "There was no candidate to compare on pixels."
        return RuleResult(name, rule, Verdict.PASS, "no candidate", f"{floor:.2%}", sentence)
    return coverage_rule(name, rule, coverage, floor, "candidates (on pixels)")


def misses_rule(name: str, results: AuditMeasures, limit: float) -> RuleResult:
    """A generation that is no finding, and may be a copy all the same, is for a person to look at."""
    rule, misses = "max_miss_probability", results.likeliest_misses
    if misses is UNSET:
        sentence = f"The report does not state how likely copies are that are no findings: {_AGAIN}, with pixels."
        return unmeasured(name, rule, f"{limit:g}", sentence)
    likely = [miss for miss in misses if miss.probability is None or miss.probability > limit]
    greatest = max((miss.probability or 0.0 for miss in misses), default=0.0)
    if not likely:
        sentence = f"No generation that is no finding is a copy with a probability of more than {limit:g}."
        return RuleResult(name, rule, Verdict.PASS, f"{greatest:g}", f"{limit:g}", sentence)
    sentence = (
        f"{len(likely):,} generations that are no findings, or more, may be copies with a probability of more than "
        f"{limit:g}, such as {likely[0].query_id} of {likely[0].reference_id}: look at results.likeliest_misses."
    )
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, f"{greatest:g}", f"{limit:g}", sentence)


def _match_from(name: str, report: Report, results: AuditResults, limit: float) -> RuleResult:
    """What is less similar than this was never looked at: a high one leaves pixels nothing to do."""
    if report.encoder is None or report.threshold is None:
        raise ValueError("the audit names no encoder, or no threshold")
    allowed = limit or own_match_from(report.encoder.name, report.threshold)
    found = None if results.effort is UNSET else results.effort.match_from
    rule, figure = "max_match_from", "not stated" if found is None else f"{found:g}"
    if allowed >= 1 or (found is not None and found <= allowed):
        sentence = f"Candidates were compared on pixels from similarity {figure} on; at most {allowed:g} is asked for."
        return RuleResult(name, rule, Verdict.PASS, figure, f"{allowed:g}", sentence)
    if found is None:
        sentence = f"The report does not state from which similarity on candidates were compared on pixels: {_AGAIN}."
        return unmeasured(name, rule, f"{allowed:g}", sentence)
    sentence = (
        f"Candidates were compared on pixels from similarity {found:g} on, and {allowed:g} is asked for: copies "
        "between the two would be missed."
    )
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, figure, f"{allowed:g}", sentence)
