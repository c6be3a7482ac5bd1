"""The findings of an audit, a sheet each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import UNSET

from memaudit.errors import InputError
from memaudit.matching.kinds import FACE
from memaudit.matching.model import copy_model
from memaudit.report.cards import Card, card, shows_faces
from memaudit.report.model import AuditFinding, AuditResults, ImageMatch, Report
from memaudit.reviewing.queue import Keys, Lies, Member, Queue, Roles, Sheet, doubt_of, keys_of
from memaudit.reviewing.stores import Images, store_of, thumbnail_of
from memaudit.reviews import Pair, Verdict, pair_of
from memaudit.types import Int64

ROLES = Roles("generation", "training image")
AS_SHOWN = "People were looked for: pictures are shown as the run itself shows them."


def findings_queue(report: Report, folder: Path, no_copies: Keys | None = None) -> Queue:
    """folder: of the report. no_copies: pairs of which somebody says so, beside those of which the report has it: what
    else these generations match comes after all findings. Where faces were looked for only what the run itself shows is
    shown, blurred until somebody asks. Raises InputError for a report without findings."""
    findings = report.matches
    if not findings:
        raise InputError("the report has no findings: there is nothing to review")
    ordered = [findings[place] for place in _by_doubt(report, findings).tolist()]
    listed = len(ordered)
    called = np.array([_was_called_no_copy(each) for each in ordered])
    if no_copies is not None:
        called |= np.isin(keys_of((_pair(each), each.kind == FACE) for each in ordered), no_copies)
    ordered += [other for place in np.flatnonzero(called).tolist() for other in _others(ordered[place])]
    veiled = shows_faces(report) or any(each.kind == FACE for each in ordered)
    sides, notes = _sides(report, folder, ordered, veiled=veiled)

    def sheet(at: int) -> Sheet:
        return _sheet(ordered[at], sides, folder, further=at >= listed)

    keys = keys_of((_pair(each), each.kind == FACE) for each in ordered)
    return Queue("Findings of an audit", ROLES, sheet, keys, np.arange(len(ordered) + 1), veiled, notes)


def _was_called_no_copy(finding: AuditFinding) -> bool:
    """By somebody, before the audit (`--reviews`)."""
    said = finding.review.said if finding.review is not UNSET else []
    return any(each.verdict == Verdict.NO_COPY for each in said)


def _others(finding: AuditFinding) -> Iterator[ImageMatch]:
    """What else the generation of a finding matches, of other files, each as a finding of its own."""
    seen = {finding.reference_sha256}
    for each in finding.further or [] if isinstance(finding, ImageMatch) else []:
        if each.reference_sha256 and each.reference_sha256 not in seen:
            seen.add(each.reference_sha256)
            yield ImageMatch(
                query_id=finding.query_id,
                query_sha256=finding.query_sha256,
                query_picture=finding.query_picture,
                reference_id=each.reference_id,
                reference_sha256=each.reference_sha256,
                similarity=each.similarity,
                kind=each.kind,
                verified=each.verified,
                paired=False,
                near_duplicates=0,
            )


def cut_of(report: Report) -> float:
    """The probability from which a pair is a copy."""
    settled = getattr(report.results, "calibration", None)
    if settled is None:
        return float(copy_model().cut)
    return float(settled.own_cut if settled.cut is None else settled.cut)


def _by_doubt(report: Report, findings: list[AuditFinding]) -> Int64:
    images = [each if isinstance(each, ImageMatch) else None for each in findings]
    probability = [each.probability if each and each.probability is not None else np.nan for each in images]
    similarity = np.array([each.similarity for each in findings])
    doubt = doubt_of(similarity, np.array(probability), report.threshold or 0.0, cut_of(report))
    return np.argsort(doubt, kind="stable").astype(np.int64)


def _sides(
    report: Report, folder: Path, findings: list[AuditFinding], *, veiled: bool
) -> tuple[tuple[Images, Images], tuple[str, ...]]:
    """Generations and training images, and why the files of either are not shown."""
    if veiled or not isinstance(report.results, AuditResults):
        return (Images(None, ()), Images(None, ())), (AS_SHOWN,)
    found, notes = [], []
    for role, ids in (
        ("generations", [each.query_id for each in findings]),
        ("references", [each.reference_id for each in findings]),
    ):
        store, why = store_of(report, folder, role)
        found.append(Images(store, ids))
        notes += [f"Of the {role} only thumbnails are shown: {why}."] if why else []
        notes += [lost] if (lost := found[-1].lost) else []
    return (found[0], found[1]), tuple(notes)


def _sheet(finding: AuditFinding, sides: tuple[Images, Images], folder: Path, *, further: bool) -> Sheet:
    told = card(finding)
    query, reference = (thumbnail_of(folder, path) for path in (told.query_picture, told.reference_picture))
    image = finding if isinstance(finding, ImageMatch) else None
    lies = image.alignment if image and image.alignment is not UNSET else None
    member = Member(
        sides[0].shown(finding.query_id, finding.query_sha256 or "", query),
        finding.similarity,
        image.probability if image else None,
        tuple(told.tags),
        "" if further else _facts(told),
        Lies(lies.matrix, lies.query_box, lies.reference_box) if lies else None,
        told.face,
    )
    anchor = sides[1].shown(finding.reference_id, finding.reference_sha256 or "", reference, finding.caption)
    return Sheet(f"what else {finding.query_id} matches" if further else "", anchor, (member,))


def _facts(told: Card) -> str:
    return " ".join(filter(None, (told.prompt, told.facts, told.decided)))


def _pair(finding: AuditFinding) -> Pair | None:
    if not finding.query_sha256 or not finding.reference_sha256:
        return None
    return pair_of(finding.query_sha256, finding.reference_sha256)
