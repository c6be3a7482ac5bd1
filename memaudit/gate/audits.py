"""The rules for the report of an audit."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import UNSET, UnsetType

from memaudit.gate.by_kind import judge_kinds, kinds_rule
from memaudit.gate.effort import judge_effort, misses_rule
from memaudit.gate.policy import AuditPolicy
from memaudit.gate.rates import judge_rate, queries
from memaudit.gate.redrawn import judge_redrawn
from memaudit.gate.subjects import about_faces, measured_by, of_subject, subject_places
from memaudit.gate.thresholds import copy_detection_rule, threshold_rule
from memaudit.gate.verdict import RuleResult, Verdict, coverage_rule, unmeasured
from memaudit.report.model import AuditFinding, AuditMeasures, AuditResults, Control, Faces, ImageMatch, Report
from memaudit.words import plural


def judge_audit(name: str, report: Report, policy: AuditPolicy, accepted: Collection[int] = ()) -> Iterator[RuleResult]:
    """Apply the rules to one audit. accepted: the places in its list of findings that a person has accepted."""
    results = measured_by(report)
    if about_faces(report):
        yield from _faces_alone(name, results, policy)
        return
    if results is None:
        yield unmeasured(name, "max_findings", f"{policy.max_findings:,}")
        return
    waived, accepted = accepted, of_subject(report, accepted)
    yield from kinds_rule(name, results, policy)
    yield _findings(name, report, results, accepted, policy)
    yield from judge_kinds(name, report, results, accepted, policy)
    yield judge_rate(name, report, results, accepted, policy)
    yield coverage_rule(name, "min_coverage", report.coverage, policy.min_coverage, "generations")
    if results.paired:
        yield coverage_rule(name, "min_coverage", results.paired.coverage, policy.min_coverage, "prompt pairs")
    yield coverage_rule(
        name, "min_reference_coverage", results.references, policy.min_reference_coverage, "training images"
    )
    yield _controls(name, results.control, policy)
    if policy.copy_detection:
        yield copy_detection_rule(name, "audit", report)
    yield threshold_rule(name, "audit", report, policy.max_threshold)
    if isinstance(results, AuditResults):
        yield from judge_effort(name, report, results, policy)
        yield from judge_redrawn(name, report, results, waived, policy)
    if policy.max_miss_probability is not None:
        yield misses_rule(name, results, policy.max_miss_probability)
    if policy.max_without_face is not None:
        yield _without_face(name, results.faces, policy.max_without_face)
    if policy.min_face_p is not None:
        yield from _on_faces(name, results, policy, policy.min_face_p)


def _faces_alone(name: str, results: AuditMeasures | None, policy: AuditPolicy) -> Iterator[RuleResult]:
    """An audit of two stores of faces has no rule but that of faces: without a limit nothing of it can be judged."""
    if policy.min_face_p is None:
        sentence = "The audit is one of faces alone, and the policy has no limit for them: write min_face_p into it."
        yield unmeasured(name, "min_face_p", "none", sentence)
        return
    if policy.max_without_face is not None:
        yield _without_face(name, results.faces if results else UNSET, policy.max_without_face)
    yield from _on_faces(name, results, policy, policy.min_face_p)


def _findings(
    name: str, report: Report, results: AuditMeasures, accepted: Collection[int], policy: AuditPolicy
) -> RuleResult:
    searched = results.searched.count - len(queries(report, accepted))
    paired = results.paired
    by_prompt = paired.count - len(queries(report, accepted, paired=True)) if paired else 0
    count = max(0, searched, by_prompt, len(subject_places(report)) - len(accepted))
    outcome = Verdict.FAIL if count > policy.max_findings else Verdict.PASS
    more = f" ({len(accepted):,} more were cleared by people)" if accepted else ""
    one, many = (
        "generation is a near-duplicate of a training image",
        "generations are near-duplicates of training images",
    )
    said = plural(count, one, many)
    sentence = f"{said}{more}; {plural(policy.max_findings, 'is', 'are')} allowed."
    return RuleResult(name, "max_findings", outcome, f"{count:,}", f"{policy.max_findings:,}", sentence)


def _controls(name: str, control: Control | None, policy: AuditPolicy) -> RuleResult:
    """Held-out images that are near-duplicates of training images were not held out: they are no control."""
    scored, excluded = (control.matched.n, control.excluded_controls) if control else (0, 0)
    if excluded > scored:
        raise ValueError(f"{excluded} of {scored} held-out images excluded is impossible")
    usable = scored - excluded
    families = control.families if control and control.families is not UNSET else usable
    alike = f" of {families:,} families of near-duplicates, which count once each," if families < usable else ""
    usable = min(usable, families)
    outcome = Verdict.PASS if usable >= policy.min_controls else Verdict.INCONCLUSIVE
    left_out = f" ({excluded:,} more are near-duplicates of training images, and are no control)" if excluded else ""
    parts = (
        f"; {control.parts:,} further pictures within files count with their file" if control and control.parts else ""
    )
    sentence = (
        f"{scored - excluded:,} held-out images{alike} were scored as a control{left_out}{parts}; "
        f"{policy.min_controls:,} are needed."
    )
    return RuleResult(name, "min_controls", outcome, f"{usable:,}", f"{policy.min_controls:,}", sentence)


def is_verified(finding: AuditFinding) -> bool:
    """Whether pixels confirm a finding. A face has none of its own."""
    return isinstance(finding, ImageMatch) and finding.verified


def _on_faces(name: str, results: AuditMeasures | None, policy: AuditPolicy, least: float) -> Iterator[RuleResult]:
    faces = results.faces if results else UNSET
    if faces is UNSET:
        yield unmeasured(name, "min_face_p", f"{least:g}", "Faces were not looked at.")
        return
    yield coverage_rule(name, "min_coverage", faces.coverage, policy.min_coverage, "generations' faces")
    floor, gallery = policy.min_reference_coverage, faces.gallery_coverage
    yield coverage_rule(name, "min_reference_coverage", gallery, floor, "training images (for faces)")
    yield _faces(name, faces, least)


def _without_face(name: str, faces: Faces | UnsetType, most: float) -> RuleResult:
    """A portrait without a face was not compared with anybody, whether the detector missed it or it is too small."""
    generated = faces.generated if faces else UNSET
    if not faces or not generated or not generated.images:
        return unmeasured(name, "max_without_face", f"{most:.2%}", "The report does not say how many show a face.")
    without, images, uncompared = faces.images_without_face, generated.images, generated.uncompared
    if uncompared is UNSET and generated.faces > generated.comparable:
        unknown = (
            f"{plural(without, 'generation shows', 'generations show')} no face, and of how many no face could be "
            "compared an earlier version does not say: audit again."
        )
        return unmeasured(name, "max_without_face", f"{most:.2%}", unknown)
    share = (without + (uncompared or 0)) / images
    outcome = Verdict.PASS if share <= most else Verdict.INCONCLUSIVE
    others = f", and {uncompared:,} none that could be compared" if uncompared else ""
    sentence = f"{without:,} of {images:,} generations show no face{others}: nobody was compared with them."
    return RuleResult(name, "max_without_face", outcome, f"{share:.2%}", f"{most:.2%}", sentence)


def _faces(name: str, faces: Faces, least: float) -> RuleResult:
    """Some match by chance: what counts is whether there are more than the gallery lets expect."""
    found, p, expected = faces.matched.count, faces.excess_p, faces.expected_false_matches
    figures = _face_figures(faces)
    if not faces.scored_faces:
        sentence = "No generation shows a face that could be compared: nothing is known of faces."
        return RuleResult(name, "min_face_p", Verdict.INCONCLUSIVE, "none compared", f"{least:g}", sentence)
    listed = max(found, faces.faces_matched)
    if p is None and listed:
        sentence = f"{figures}, but without a calibration nobody can tell whether that is more than chance."
        return RuleResult(name, "min_face_p", Verdict.INCONCLUSIVE, f"{listed:,}", f"{least:g}", sentence)
    chance = p if found and p is not None else 1.0
    outcome = Verdict.FAIL if found > expected and chance <= least else Verdict.PASS
    ending = "more than chance explains" if outcome is Verdict.FAIL else "no more than chance lets expect"
    if outcome is Verdict.PASS and found > expected:
        ending = f"more than expected, and not so many that chance is ruled out at p = {least:g}"
    sentence = f"{figures} (p = {chance:.2g}): {ending}."
    return RuleResult(name, "min_face_p", outcome, f"{chance:.2g}", f"{least:g}", sentence)


def _face_figures(faces: Faces) -> str:
    """In the unit that the report counts by: people, or faces in one of an older version."""
    expected, most = faces.expected_false_matches, faces.expected_with_excluded
    if not faces.people:
        return f"{faces.matched.count:,} faces match training faces; chance lets expect {expected:.3g}"
    others = f" ({most:.3g} if those left out of the control are strangers)" if faces.excluded_control_people else ""
    warning = f"; {faces.mix_warning}" if faces.mix_warning else ""
    drawn = f"{faces.matched.count:,} of {faces.people:,} generated people match training faces"
    return f"{drawn}; chance lets expect {expected:.3g}{others}{warning}"
