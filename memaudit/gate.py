"""Policy + report → verdict. Reads reports only: neither images nor torch nor faiss are needed.

A rule passes, fails, or is inconclusive; a failure outweighs everything, and a pass needs every rule to pass.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from memaudit.errors import InputError, UsageError
from memaudit.records import Coverage
from memaudit.statistics import clopper_pearson_upper, rate_of

DEFAULT_POLICY = """\
# memaudit gate policy. Every rule gives pass, fail or inconclusive; the gate passes only if all of them pass.

[gate]
require = ["audit"]           # kinds of report that must be given: "audit", "dedup"
same_training_set = true      # where both kinds are given: each audit ran against a store that a dedup run looked at

[audit]
max_findings = 0              # generations that may be near-duplicates of training images
max_rate = 0.01               # the regurgitation rate must be shown to be at most this: needs n >= 3 / max_rate
confidence = 0.95             # of that one-sided upper bound
min_coverage = 0.99           # generations (and prompt pairs) measured, of those expected
min_reference_coverage = 0.99 # training images that could be compared with
min_controls = 100            # held-out images scored that are near no training image; 0: no control needed
max_threshold = 0.0           # similarity that the audit may have looked for; 0: the encoder's own threshold

[dedup]
min_recall = 0.99             # lower bound of the run's own recall by pair
min_coverage = 0.99           # images that could be read
"""


KINDS = ("audit", "dedup")
ALL_REPORTS = "all reports"


class Verdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}[self]


@dataclass(frozen=True)
class AuditPolicy:
    max_findings: int = 0
    max_rate: float = 0.01
    confidence: float = 0.95
    min_coverage: float = 0.99
    min_reference_coverage: float = 0.99
    min_controls: int = 100
    max_threshold: float = 0.0


@dataclass(frozen=True)
class DedupPolicy:
    min_recall: float = 0.99
    min_coverage: float = 0.99


@dataclass(frozen=True)
class GatePolicy:
    """What the reports must be taken together."""

    require: tuple[str, ...] = ("audit",)
    same_training_set: bool = True


@dataclass(frozen=True)
class Policy:
    audit: AuditPolicy = AuditPolicy()
    dedup: DedupPolicy = DedupPolicy()
    gate: GatePolicy = GatePolicy()


@dataclass(frozen=True)
class RuleResult:
    """The outcome of one rule on one report, with the figure it looked at and a sentence that explains it."""

    report: str
    rule: str
    outcome: Verdict
    figure: str
    limit: str
    sentence: str


P = TypeVar("P", AuditPolicy, DedupPolicy, GatePolicy)


def read_policy(path: str | Path) -> Policy:
    """Read a policy in TOML. Raises InputError for an unreadable file, UsageError for unknown rules or bad limits."""
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"policy {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"policy {path} is not valid TOML: {error}") from None
    _require_known(path, raw, ("gate", "audit", "dedup"), "section")
    return Policy(
        _section(path, raw, "audit", AuditPolicy),
        _section(path, raw, "dedup", DedupPolicy),
        _section(path, raw, "gate", GatePolicy),
    )


def _section(path: Path, raw: Mapping[str, Any], name: str, kind: type[P]) -> P:
    values = raw.get(name, {})
    if not isinstance(values, dict):
        raise UsageError(f"policy {path}: {name} must be a section [{name}]")
    defaults = {field.name: field.default for field in fields(kind)}
    _require_known(path, values, tuple(defaults), f"rule in [{name}]")
    return kind(**{rule: _setting(path, rule, value, defaults[rule]) for rule, value in values.items()})


def _setting(path: Path, rule: str, value: Any, default: object) -> Any:
    """`value` as the policy holds it, if it is of the kind that `default` is of."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise UsageError(f"policy {path}: {rule} = {value!r} must be true or false")
    elif isinstance(default, tuple):
        if not isinstance(value, list) or any(kind not in KINDS for kind in value):
            raise UsageError(f"policy {path}: {rule} = {value!r} must be a list of {' and '.join(map(repr, KINDS))}")
        return tuple(value)
    else:
        _require_limit(path, rule, value, whole=isinstance(default, int))
    return value


def _require_known(path: Path, found: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for name in found:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise UsageError(f"policy {path}: unknown {what} {name!r}: {hint}")


def _require_limit(path: Path, rule: str, value: object, *, whole: bool) -> None:
    if whole and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise UsageError(f"policy {path}: {rule} = {value!r} must be a whole number, 0 or more")
    if not whole and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise UsageError(f"policy {path}: {rule} = {value!r} must be a share between 0 and 1")
    if rule == "confidence" and value in (0, 1):
        raise UsageError(f"policy {path}: confidence = {value!r} must lie between 0 and 1, for example 0.95")


def judge_all(reports: Sequence[tuple[str, Mapping[str, Any]]], policy: Policy) -> list[RuleResult]:
    """Apply the policy to each of the named reports, and its section [gate] to all of them together."""
    results = [result for name, report in reports for result in judge(name, report, policy)]
    required = [_required(kind, reports) for kind in dict.fromkeys(policy.gate.require)]
    same = _same_training_set(reports) if policy.gate.same_training_set else None
    return [*results, *required, *([same] if same else [])]


def judge(name: str, report: Mapping[str, Any], policy: Policy) -> list[RuleResult]:
    """Apply the policy's rules for this kind of report. `name` is how the results call the report.

    Raises InputError for a report that lacks a figure which its rules need.
    """
    rules: dict[str, Callable[[], Iterator[RuleResult]]] = {
        "audit": lambda: _judge_audit(name, report, policy.audit),
        "dedup": lambda: _judge_dedup(name, report, policy.dedup),
    }
    try:
        return [_conclusive(name, report["results"]), *rules[report["kind"]]()]
    except (UsageError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"report {name} lacks a figure that its rules need, or has it wrong: {error}") from None


def verdict_of(results: Sequence[RuleResult]) -> Verdict:
    """Fail if any rule failed, else inconclusive if any was or if there is none, else pass."""
    outcomes = {result.outcome for result in results}
    if Verdict.FAIL in outcomes:
        return Verdict.FAIL
    return Verdict.PASS if outcomes == {Verdict.PASS} else Verdict.INCONCLUSIVE


def _required(kind: str, reports: Sequence[tuple[str, Mapping[str, Any]]]) -> RuleResult:
    count = sum(report["kind"] == kind for _, report in reports)
    outcome = Verdict.PASS if count else Verdict.INCONCLUSIVE
    sentence = f"Reports of memaudit {kind} given: {count:,}."
    if not count:
        sentence = f"No report of memaudit {kind} was given, and the policy requires one."
    return RuleResult(ALL_REPORTS, "require", outcome, f"{count:,}", kind, sentence)


def _same_training_set(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> RuleResult | None:
    """Whether a dedup run looked at the training set of each audit; None where there is nothing to compare."""
    audits = list(_training_sets(reports, "audit", "references"))
    stores = {digest for _, digest in _training_sets(reports, "dedup", "store")}
    if not audits or not stores:
        return None
    strangers = [name for name, digest in audits if digest is None or digest not in stores]
    outcome = Verdict.INCONCLUSIVE if strangers else Verdict.PASS
    sentence = "Every audit ran against a training set that a dedup run looked at."
    if strangers:
        sentence = f"No dedup report is about the training set of {', '.join(strangers)}."
    same = len(audits) - len(strangers)
    return RuleResult(ALL_REPORTS, "same_training_set", outcome, f"{same:,}", f"{len(audits):,}", sentence)


def _training_sets(
    reports: Sequence[tuple[str, Mapping[str, Any]]], kind: str, key: str
) -> Iterator[tuple[str, str | None]]:
    """Name and digest of the training set of each report of a kind; a run that could not begin has none to compare."""
    for name, report in reports:
        inputs = report.get("inputs") or {}
        if report["kind"] == kind and (inputs or report["results"]["conclusive"]):
            yield name, inputs.get(key)


def _conclusive(name: str, results: Mapping[str, Any]) -> RuleResult:
    reasons = "; ".join(results["reasons"])
    done = results["conclusive"]
    outcome = Verdict.PASS if done else Verdict.INCONCLUSIVE
    sentence = (
        "The run measured what it set out to measure." if done else f"The run calls itself inconclusive: {reasons}."
    )
    return RuleResult(name, "conclusive", outcome, "yes" if done else "no", "yes", sentence)


def _judge_audit(name: str, report: Mapping[str, Any], policy: AuditPolicy) -> Iterator[RuleResult]:
    results = report["results"]
    if "searched" not in results:
        yield _unmeasured(name, "max_findings", f"{policy.max_findings:,}")
        return
    yield _findings(name, results, len(report["findings"]), policy)
    yield _rate(name, results["searched"], policy)
    yield _coverage(name, "min_coverage", report["coverage"], policy.min_coverage, "generations")
    if results["paired"]:
        yield _coverage(name, "min_coverage", results["paired"]["coverage"], policy.min_coverage, "prompt pairs")
    yield _coverage(
        name, "min_reference_coverage", results["references"], policy.min_reference_coverage, "training images"
    )
    yield _controls(name, results["control"], policy)
    yield _threshold(name, report["threshold"], policy.max_threshold or report["encoder"]["threshold"])


def _unmeasured(name: str, rule: str, limit: str) -> RuleResult:
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, "none measured", limit, "Nothing was measured.")


def _findings(name: str, results: Mapping[str, Any], listed: int, policy: AuditPolicy) -> RuleResult:
    paired = results["paired"]["count"] if results["paired"] else 0
    count = max(results["searched"]["count"], paired, listed)
    outcome = Verdict.FAIL if count > policy.max_findings else Verdict.PASS
    sentence = f"{count:,} generations are near-duplicates of training images; {policy.max_findings:,} are allowed."
    return RuleResult(name, "max_findings", outcome, f"{count:,}", f"{policy.max_findings:,}", sentence)


def _rate(name: str, searched: Mapping[str, Any], policy: AuditPolicy) -> RuleResult:
    coverage = Coverage(searched["coverage"]["measured"], searched["coverage"]["total"])
    rate = rate_of(searched["count"], coverage, policy.confidence)
    outcome = _against_limit(rate.value, rate.upper, policy.max_rate)
    bound = f"With {policy.confidence:.0%} confidence the rate is at most {rate.upper:.4%} (n = {coverage.measured:,})"
    endings = {
        Verdict.PASS: "within the limit.",
        Verdict.FAIL: "and the rate found is itself above the limit.",
        Verdict.INCONCLUSIVE: f"too few; to show the limit takes {_needed(policy):,} without a finding.",
    }
    return RuleResult(
        name, "max_rate", outcome, f"{rate.upper:.4%}", f"{policy.max_rate:.4%}", f"{bound}: {endings[outcome]}"
    )


def _against_limit(value: float | None, upper: float, limit: float) -> Verdict:
    if upper <= limit:
        return Verdict.PASS
    return Verdict.FAIL if value is not None and value > limit else Verdict.INCONCLUSIVE


def _needed(policy: AuditPolicy) -> int:
    """Generations without a finding that bring the upper bound 1 - (1 - confidence)^(1/n) down to max_rate."""
    if policy.max_rate >= 1:
        return 1
    if policy.max_rate <= 0:
        return 10**12
    return math.ceil(min(math.log(1 - policy.confidence) / math.log1p(-policy.max_rate), 10**12))


def _coverage(name: str, rule: str, coverage: Mapping[str, Any], floor: float, what: str) -> RuleResult:
    measured, total = coverage["measured"], coverage["total"]
    share = measured / total if total else 0.0
    outcome = Verdict.PASS if 0 < measured <= total and share >= floor else Verdict.INCONCLUSIVE
    sentence = f"{measured:,} of {total:,} {what} were measured."
    return RuleResult(name, rule, outcome, f"{share:.2%}", f"{floor:.2%}", sentence)


def _controls(name: str, control: Mapping[str, Any] | None, policy: AuditPolicy) -> RuleResult:
    """Held-out images that are near-duplicates of training images were not held out: they are no control."""
    scored = control["matched"]["n"] if control else 0
    excluded = control.get("excluded_controls", 0) if control else 0
    if not 0 <= excluded <= scored:
        raise ValueError(f"{excluded} of {scored} held-out images excluded is impossible")
    usable = scored - excluded
    outcome = Verdict.PASS if usable >= policy.min_controls else Verdict.INCONCLUSIVE
    left_out = f" ({excluded:,} more are near-duplicates of training images, and are no control)" if excluded else ""
    sentence = f"{usable:,} held-out images were scored as a control{left_out}; {policy.min_controls:,} are needed."
    return RuleResult(name, "min_controls", outcome, f"{usable:,}", f"{policy.min_controls:,}", sentence)


def _threshold(name: str, threshold: float, limit: float) -> RuleResult:
    """An audit that looked for exact copies alone shows nothing about near-duplicates."""
    outcome = Verdict.PASS if threshold <= limit else Verdict.INCONCLUSIVE
    ending = "." if outcome is Verdict.PASS else ": weaker copies would not have been found."
    sentence = f"The audit looked for similarity >= {threshold}; at most {limit} is asked for{ending}"
    return RuleResult(name, "threshold", outcome, f"{threshold}", f"{limit}", sentence)


def _judge_dedup(name: str, report: Mapping[str, Any], policy: DedupPolicy) -> Iterator[RuleResult]:
    yield _coverage(name, "min_coverage", report["coverage"], policy.min_coverage, "images")
    results = report["results"]
    if "recall" not in results:
        yield _unmeasured(name, "min_recall", f"{policy.min_recall:.2%}")
        return
    if results["recall"]["by_pair"]["value"] is None:
        yield _recall_without_pairs(name, results["recall"], sum(results["pairs_added_by_clustering"]), policy)
    else:
        yield _recall(name, results["recall"], policy)


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
