"""The part of an audit's report that is about faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import UnsetType, structs

from memaudit.errors import InputError
from memaudit.faces import results as measured
from memaudit.faces.results import FaceAudit, FaceMatches, FacePair, FacesResult
from memaudit.faces.rows import details_of, face_rows, parents
from memaudit.files import whole_file
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.sources import read_image
from memaudit.matching.kinds import FACE
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.model import (
    AuditFinding,
    AuditResults,
    FaceAuditResults,
    FaceCounts,
    FaceMatch,
    Faces,
    FaceSimilarities,
    FaceStanding,
    GroupRate,
    ImageMatch,
    Membership,
    Report,
    coverage_of,
    file_digest,
    rate_of,
)
from memaudit.report.page import histogram, percent_up
from memaudit.report.pages import PLAIN, How, write_report_page
from memaudit.report.pictures import LARGE, Pictures
from memaudit.report.reviewed import reviews_input, with_reviews
from memaudit.report.run_folder import FACE_CROPS
from memaudit.report.tables import write_table
from memaudit.store import Columns, is_same_file
from memaudit.types import Coverage

PICTURED = 200
_MARGIN = 0.25


class FacePart(NamedTuple):
    """What a report tells of faces. crops: write each matched face as a picture of its own."""

    audit: FaceAudit
    crops: bool = False

    @property
    def forgotten(self) -> frozenset[str]:
        """Tombstones of both stores. Whoever is forgotten may be on a picture with somebody who is not."""
        return frozenset(self.audit.gallery.manifest.forgotten) | frozenset(self.audit.generations.manifest.forgotten)


def faces_results(result: FacesResult) -> Faces:
    """What report.json says of faces, under results.faces."""
    calibration = result.calibration
    return Faces(
        conclusive=not result.inconclusive,
        reasons=list(result.inconclusive),
        headline=faces_headline(result),
        method=result.method,
        threshold=calibration.threshold,
        one_to_one_threshold=result.one_to_one,
        calibration=result.source,
        calibration_faces=calibration.faces,
        calibration_people=calibration.samples,
        excluded_controls=calibration.excluded,
        excluded_control_people=calibration.excluded_people,
        expected_with_excluded=calibration.expected_with_excluded,
        calibration_above=calibration.above,
        left_out_of_calibration=calibration.left_out,
        same_person_threshold=result.same_person,
        gallery_faces=result.gallery.comparable,
        gallery=FaceCounts(**asdict(result.gallery)),
        gallery_coverage=coverage_of(result.gallery_coverage),
        control_coverage=coverage_of(result.control_coverage) if result.control_coverage else None,
        standing={name: FaceStanding(**coverage._asdict()) for name, coverage in result.of_images.items()},
        digests=result.digests,
        scored_faces=result.coverage.measured,
        generated=FaceCounts(**asdict(result.generated)),
        images_without_face=result.generated.without_face,
        people=result.matched.coverage.measured,
        matched=rate_of(result.matched),
        people_matched=result.people_matched,
        faces_matched=result.faces_matched,
        training_people=result.training_people,
        expected_false_matches=calibration.expected,
        expected_low=calibration.low,
        expected_high=calibration.high,
        excess_p=result.excess_p,
        why_no_p=result.why_no_p,
        same_picture=result.same_picture,
        new_picture=result.new_picture,
        coverage=coverage_of(result.coverage),
        mix_matched=list(result.mix.matched),
        mix_warning=result.mix.warning,
        membership=_membership(result),
        by=[_group(group) for group in result.by],
        similarities=FaceSimilarities(
            generated=histogram(result.nearest, 0.0, 1.0, 40), others=histogram(result.null, 0.0, 1.0, 40)
        ),
    )


def _membership(result: FacesResult) -> Membership | None:
    found = result.membership
    return None if found is None else Membership(**{**asdict(found), "roc": [list(point) for point in found.roc]})


def _group(group: measured.GroupRate) -> GroupRate:
    rate = rate_of(group.rate)
    return GroupRate(
        side=group.side,
        column=group.column,
        group=group.value,
        count=rate.count,
        n=rate.n,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        upper=rate.upper,
        confidence=rate.confidence,
        coverage=rate.coverage,
        effective=rate.effective,
    )


def faces_headline(result: FacesResult) -> str:
    """One sentence, or two."""
    people, scored, count = result.matched.coverage.measured, result.coverage.measured, result.matched.count
    generated = result.generated
    why = _why_not_compared(generated)
    if not scored and generated.faces:
        found = f"{generated.faces:,} faces in {generated.images:,} generations"
        return f"None of the {found} could be compared ({why})."
    if not scored:
        return f"No face was found in {generated.images:,} generations: none was compared."
    of = _counted(people, "generated person", "generated people")
    if scored > people:
        of += f" ({scored:,} faces, one drawn of each person)"
    chance = (
        f"similarity {result.calibration.threshold:.3f} or more among {result.gallery.comparable:,} training faces, "
        f"where {_expected(result)} false matches are to be expected"
    )
    left_out = generated.small + generated.no_human
    more = f" {_counted(left_out, 'more face', 'more faces')} could not be compared ({why})." if left_out else ""
    if not result.faces_matched:
        bound = f"with {result.matched.confidence:.0%} confidence at most {percent_up(result.matched.upper)}"
        return f"None of {of} matches a training face ({chance}); {bound} of such people do.{more}"
    verb = "matches" if count == 1 else "match"
    unknown = result.faces_matched - result.same_picture - result.new_picture
    others = f", {unknown:,} on pictures that could not be compared" if unknown else ""
    return (
        f"{count:,} of {of} {verb} a training face ({chance}). In all {_all_matched(result)}, "
        f"{result.same_picture:,} on the same picture, {result.new_picture:,} on a new one{others}.{more}"
    )


def _why_not_compared(generated: measured.FaceCounts) -> str:
    drawn = f", {generated.no_human:,} {_are(generated.no_human)} no human's" if generated.no_human else ""
    return f"{generated.small:,} {_are(generated.small)} too small{drawn}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _all_matched(result: FacesResult) -> str:
    faces = _counted(result.faces_matched, "face", "faces")
    people = _counted(result.people_matched, "person", "people")
    training = _counted(result.training_people, "training person", "training people")
    return f"{faces} of {people} {'matches' if result.faces_matched == 1 else 'match'} {training}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _expected(result: FacesResult) -> str:
    """How many false matches; and how many if the controls that were left out are strangers after all."""
    least, most = result.calibration.expected, result.calibration.expected_with_excluded
    return _number(least) if _number(most) == _number(least) else f"{_number(least)} to {_number(most)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def face_findings(part: FacePart, out: Path, pictures: Pictures) -> list[FaceMatch]:
    """One finding for each generation and training image that share a face, by the most similar one; worst first."""
    audit = part.audit
    matches = audit.result.matches
    queries, targets = audit.generations.columns(matches.query), audit.gallery.columns(matches.reference)
    findings = []
    sides = [(columns, [row.file for row in face_rows(columns)]) for columns in (queries, targets)]
    for shown, pair in enumerate(audit.pairs):
        place, shots = pair.match, []
        for (columns, files), side in zip(sides, ("generation", "training"), strict=True):
            name = f"face-{side}-{place}"
            ids = (pair.query_id, pair.reference_id)
            picture = pictures.add(name, columns.uri[place], files[place], *ids) if shown < PICTURED else None
            crop = _crop(out, name, columns, place, files[place]) if part.crops else None
            shots.append(_Shots(picture, crop, file_digest(files[place])))
        person = 1 + int(audit.result.training_person[place])
        findings.append(structs.replace(_finding(pair, matches, queries, targets, shots), training_person=person))
    return findings


class _Shots(NamedTuple):
    """What is shown of one side: the whole picture, and the face alone; and the digest of the picture's file."""

    picture: str | None
    crop: str | None
    sha256: str | UnsetType


def _finding(
    pair: FacePair, matches: FaceMatches, queries: Columns, targets: Columns, shots: Sequence[_Shots]
) -> FaceMatch:
    place = pair.match
    image, same = float(matches.image_similarity[place]), int(matches.same_picture[place])
    sides = [details_of(columns.metadata[place]) for columns in (queries, targets)]
    return FaceMatch(
        query_id=pair.query_id,
        reference_id=pair.reference_id,
        query_face=queries.image_id[place],
        reference_face=targets.image_id[place],
        similarity=round(float(matches.similarity[place]), 4),
        kind=FACE,
        faces=pair.faces,
        image_similarity=None if math.isnan(image) else round(image, 4),
        same_picture=None if same < 0 else bool(same),
        query_quality=sides[0].quality if sides[0] else None,
        reference_quality=sides[1].quality if sides[1] else None,
        paired=False,
        is_prompts_image=False,
        matches=int(matches.alike[place]),
        near_duplicates=int(matches.near_duplicates[place]),
        prompt="",
        caption=targets.caption[place],
        query_picture=shots[0].picture,
        query_crop=shots[0].crop,
        reference_picture=shots[1].picture,
        reference_crop=shots[1].crop,
        query_sha256=shots[0].sha256,
        reference_sha256=shots[1].sha256,
    )


def _crop(out: Path, name: str, columns: Columns, place: int, sha256: str) -> str | None:
    """Write the face with a margin; None where the image cannot be read any more, or is another one."""
    details = details_of(columns.metadata[place])
    try:
        data = read_image(columns.uri[place])
        if details is None or not is_same_file(data, sha256):
            return None
        image = decode(data).image
    except (OSError, InputError, UnreadableImageError):
        return None
    left, top, width, height = details.box
    box = (left - _MARGIN * width, top - _MARGIN * height, left + (1 + _MARGIN) * width, top + (1 + _MARGIN) * height)
    relative = f"{FACE_CROPS}/{name}.jpg"
    with whole_file(out / relative) as file:
        image.crop(tuple(map(round, box))).save(file, "JPEG", quality=90)  # type: ignore[arg-type]
    return relative


def with_faces(
    findings: Sequence[ImageMatch], pairs: Sequence[FacePair], faces: Sequence[FaceMatch]
) -> list[AuditFinding]:
    """All findings, those of faces (one of each pair) last, without those that an image finding tells of already: it
    gets a `face_similarity`."""
    both = list(zip(pairs, faces, strict=True))
    told: dict[str, float] = {}
    for pair, face in both:
        if pair.told:
            told[pair.query_id] = max(face.similarity, told.get(pair.query_id, -1.0))
    merged = [
        structs.replace(each, face_similarity=told[each.query_id]) if each.query_id in told else each
        for each in findings
    ]
    return [*merged, *(face for pair, face in both if not pair.told)]


def audit_with_faces(
    results: AuditResults, findings: Sequence[ImageMatch], part: FacePart, out: Path, pictures: Pictures
) -> tuple[AuditResults, list[AuditFinding]]:
    """Results and findings of an audit of images, with those of its faces. Writes face_matches.parquet and pictures."""
    write_face_matches(part.audit, out)
    audit = part.audit
    merged = with_faces(findings, audit.pairs, face_findings(part, out, pictures))
    reasons = [*results.reasons, *audit.result.inconclusive]
    headline = f"{results.headline} {faces_headline(audit.result)}"
    if audit.result.inconclusive and results.conclusive:
        headline = f"Inconclusive: {'; '.join(audit.result.inconclusive)}. {headline}"
    faces = faces_results(audit.result)
    both = structs.replace(results, conclusive=not reasons, reasons=reasons, headline=headline, faces=faces)
    return both, merged


def write_face_matches(audit: FaceAudit, out: Path) -> None:
    """face_matches.parquet: one row for each generated face at or above the threshold."""
    matches = audit.result.matches
    queries, targets = audit.generations.columns(matches.query), audit.gallery.columns(matches.reference)
    write_table(
        out / "face_matches.parquet",
        {
            "query_face": queries.image_id,
            "query_id": np.array(parents(queries), dtype=object),
            "reference_face": targets.image_id,
            "reference_id": np.array(parents(targets), dtype=object),
            "similarity": matches.similarity,
            "image_similarity": matches.image_similarity,
            "same_picture": np.array(
                [{1: "yes", 0: "no"}.get(s, "unknown") for s in matches.same_picture.tolist()], object
            ),
            "matches": matches.alike,
            "near_duplicates": matches.near_duplicates,
        },
    )


def write_face_audit(part: FacePart, out: Path, how: How = PLAIN) -> Report:
    """Write every file of an audit of two stores of faces, which knows no images; return the report."""
    result = part.audit.result
    write_face_matches(part.audit, out)
    findings = with_reviews(face_findings(part, out, Pictures(out, how.alter, LARGE, part.forgotten)), how.reviews)
    faces = faces_results(result)
    conclusive = not result.inconclusive
    results = FaceAuditResults(
        about="faces",
        conclusive=conclusive,
        reasons=list(result.inconclusive),
        headline=inconclusive_headline(result) if not conclusive else faces.headline,
        method=result.method,
        references=coverage_of(result.gallery_coverage),
        searched=rate_of(result.matched),
        paired=None,
        control=None,
        verification="by similarity of faces alone",
        faces=faces,
    )
    report = make_report(
        "audit",
        inputs={**result.digests, **reviews_input(how.reviews)},
        encoder=part.audit.gallery.encoder,
        threshold=result.calibration.threshold,
        coverage=_images(result),
        results=results,
        findings=findings,
        bound=bound_to(out, (part.audit.gallery, part.audit.generations), how.about),
    )
    write_report_page(out / "report.html", report, beside=how.beside)
    write_report(out / "report.json", report)
    return report


def _images(result: FacesResult) -> Coverage:
    """Of the generations, those that could be looked at."""
    return Coverage(result.generated.images - result.generated.unreadable, result.generated.images)


def inconclusive_headline(result: FacesResult) -> str:
    return f"Inconclusive: {'; '.join(result.inconclusive)}. {faces_headline(result)}"
