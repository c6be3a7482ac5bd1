"""The rules for where reports come from: which kinds there are, of which training set, encoder and day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from memaudit.gate.policy import GatePolicy
from memaudit.gate.subjects import FACES, about_faces, calibration_of, looked_at_faces, training_set_of
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report.model import Encoder, FilterResults, Report, Results
from memaudit.types import EncoderSpec

ALL_REPORTS = "all reports"
Named = tuple[str, Report]
"""A report with the name that results call it by."""

_UNCALIBRATED = ("filter", "reweight")
_CLOCKS_APART = timedelta(minutes=10)  # of two machines; more is no slip


def conclusive(name: str, results: Results) -> RuleResult:
    """Whether the run itself says that it measured what it set out to."""
    reasons = "; ".join(results.reasons)
    done = results.conclusive
    outcome = Verdict.PASS if done else Verdict.INCONCLUSIVE
    sentence = (
        "The run measured what it set out to measure." if done else f"The run calls itself inconclusive: {reasons}."
    )
    return RuleResult(name, "conclusive", outcome, "yes" if done else "no", "yes", sentence)


def judge_provenance(name: str, report: Report, policy: GatePolicy, now: datetime) -> Iterator[RuleResult]:
    """Age, encoder and training set of one report, as far as the policy pins them."""
    if policy.max_age_days is not None:
        yield _age(name, report.created, policy.max_age_days, now)
    if policy.encoders is not None:
        for identity in identities_of(report):
            yield _pinned(name, "encoders", identity, policy.encoders, "encoder")
    if policy.training_sets is not None:
        yield _pinned(name, "training_sets", training_set_of(report), policy.training_sets, "training set")
    yield from _calibrated(name, report, policy.calibrations)


def _calibrated(name: str, report: Report, named: Sequence[str] | None) -> Iterator[RuleResult]:
    """A cut above the model's own finds less: nobody need have asked for that but who names the calibration. Audits of
    faces alone calibrate themselves, and filters and weights take nothing for a copy."""
    calibration = calibration_of(report)
    if about_faces(report) or report.kind in _UNCALIBRATED:
        return
    if named is not None:
        yield _pinned(name, "calibrations", calibration.digest if calibration else None, named, "calibration")
    elif calibration is not None and calibration.cut is not None and calibration.cut > calibration.own_cut:
        sentence = (
            f"The run took for copies what has a probability of {calibration.cut:g} or more; the model's own cut is "
            f"{calibration.own_cut:g}, and weaker copies would not have been found. If that is meant, name the "
            f"calibration {calibration.digest} in calibrations of the policy."
        )
        figure, limit = f"{calibration.cut:g}", f"{calibration.own_cut:g}"
        yield RuleResult(name, "calibrations", Verdict.INCONCLUSIVE, figure, limit, sentence)


def identities_of(report: Report) -> list[str | None]:
    """Those of all encoders: a filter may have several. Of a run that did not get that far None."""
    encoders = report.results.encoders if isinstance(report.results, FilterResults) else [report.encoder]
    return [_identity(encoder) for encoder in encoders]


def identity_of(report: Report) -> str | None:
    """The encoder's identity; None where the run did not get that far."""
    return _identity(report.encoder)


def _identity(encoder: Encoder | None) -> str | None:
    if encoder is None:
        return None
    spec = EncoderSpec(
        encoder.name, encoder.weights_sha256, encoder.preprocessing, encoder.dim, encoder.threshold, encoder.source
    )
    return spec.identity


def _age(name: str, created: str, limit: int, now: datetime) -> RuleResult:
    moment = _moment(created)
    if moment is None:
        return unmeasured(name, "max_age_days", f"{limit:,} days", "The report does not say when it was made.")
    age = now - moment
    days = f"{age / timedelta(days=1):,.1f} days"
    outcome, sentence = Verdict.PASS, f"The report is {days} old; {limit:,} are allowed."
    if age > timedelta(days=min(limit, 10**6)):
        outcome = Verdict.INCONCLUSIVE
    elif age < -_CLOCKS_APART:
        outcome, sentence = Verdict.INCONCLUSIVE, "The report is dated in the future: one of the clocks is wrong."
    return RuleResult(name, "max_age_days", outcome, days, f"{limit:,} days", sentence)


def _moment(created: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(created)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _pinned(name: str, rule: str, found: str | None, pinned: Sequence[str], what: str) -> RuleResult:
    outcome = Verdict.PASS if found in pinned else Verdict.INCONCLUSIVE
    sentence = f"The {what} is one that the policy names."
    if outcome is not Verdict.PASS:
        sentence = f"The {what} is none of the {len(pinned):,} that the policy names: it is {found or 'not known'}."
    return RuleResult(name, rule, outcome, (found or "none")[:60], f"{len(pinned):,} named", sentence)


def required(kind: str, reports: Sequence[Named]) -> RuleResult:
    """Whether a report of this kind was given at all. An audit of faces alone is no audit of images."""
    count = sum(kind in _kinds_of(report) for _, report in reports)
    outcome = Verdict.PASS if count else Verdict.INCONCLUSIVE
    called = "memaudit audit with faces" if kind == FACES else f"memaudit {kind}"
    sentence = f"Reports of {called} given: {count:,}."
    if not count:
        sentence = f"No report of {called} was given, and the policy requires one."
    return RuleResult(ALL_REPORTS, "require", outcome, f"{count:,}", kind, sentence)


def _kinds_of(report: Report) -> set[str]:
    """What a report stands for: an audit of images may have looked at faces as well."""
    kinds = set() if about_faces(report) else {report.kind}
    return kinds | {FACES} if looked_at_faces(report) else kinds


def same_training_set(reports: Sequence[Named]) -> RuleResult | None:
    """Whether a dedup run looked at the training set of each audit; None where there is nothing to compare."""
    audits = list(_training_sets(reports, "audit"))
    stores = {digest for _, digest in _training_sets(reports, "dedup")}
    if not audits or not stores:
        return None
    strangers = [name for name, digest in audits if digest is None or digest not in stores]
    outcome = Verdict.INCONCLUSIVE if strangers else Verdict.PASS
    sentence = "Every audit ran against a training set that a dedup run looked at."
    if strangers:
        sentence = f"No dedup report is about the training set of {', '.join(strangers)}."
    same = len(audits) - len(strangers)
    return RuleResult(ALL_REPORTS, "same_training_set", outcome, f"{same:,}", f"{len(audits):,}", sentence)


def _training_sets(reports: Sequence[Named], kind: str) -> Iterator[tuple[str, str | None]]:
    """Name and digest of the training set of each report of a kind; a run that could not begin has none to compare."""
    for name, report in reports:
        begun = bool(report.inputs) or report.results.conclusive
        if report.kind == kind and not about_faces(report) and begun:
            yield name, training_set_of(report)
