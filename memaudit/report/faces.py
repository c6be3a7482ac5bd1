"""The part of an audit's report that is about faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.faces.names import details_of, parent_of
from memaudit.faces.results import FaceMatches, FacesResult, GroupRate
from memaudit.files import appearing_whole
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.sources import read_image
from memaudit.report.document import FACE_CROPS, make_report, write_report
from memaudit.report.page import histogram, percent_up, write_page
from memaudit.report.pictures import Alter, Pictures
from memaudit.report.tables import write_table
from memaudit.store import Columns, Store
from memaudit.types import Coverage

KIND = "face"
PICTURED = 200
_MARGIN = 0.25
AreCopies = Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_]]
Pair = tuple[str, str]


@dataclass(frozen=True)
class FacePart:
    """What a report needs to tell of faces. crops: write each matched face as a picture of its own.

    are_copies: tells of pairs of training images, by image_id, whether they are near-duplicates of each other.
    """

    result: FacesResult
    generations: Store
    gallery: Store
    crops: bool = False
    are_copies: AreCopies | None = None


def faces_results(result: FacesResult) -> dict[str, Any]:
    """What report.json says of faces, under results.faces."""
    calibration = result.calibration
    return {
        "conclusive": not result.inconclusive,
        "reasons": list(result.inconclusive),
        "headline": faces_headline(result),
        "method": result.method,
        "threshold": calibration.threshold,
        "one_to_one_threshold": result.one_to_one,
        "calibration": result.source,
        "calibration_faces": calibration.faces,
        "calibration_people": calibration.samples,
        "excluded_controls": calibration.excluded,
        "excluded_control_people": calibration.excluded_people,
        "expected_with_excluded": calibration.expected_with_excluded,
        "calibration_above": calibration.above,
        "left_out_of_calibration": calibration.left_out,
        "same_person_threshold": result.same_person,
        "gallery_faces": result.gallery.comparable,
        "gallery": asdict(result.gallery),
        "gallery_coverage": result.gallery_coverage.as_dict(),
        "control_coverage": result.control_coverage.as_dict() if result.control_coverage else None,
        "standing": {name: standing._asdict() for name, standing in result.standing.items()},
        "digests": result.digests,
        "scored_faces": result.matched.coverage.measured,
        "generated": asdict(result.generated),
        "images_without_face": result.generated.without_face,
        "matched": result.matched.as_dict(),
        "expected_false_matches": calibration.expected,
        "expected_low": calibration.low,
        "expected_high": calibration.high,
        "excess_p": result.excess_p,
        "why_no_p": result.why_no_p,
        "same_picture": result.same_picture,
        "new_picture": result.new_picture,
        "coverage": result.matched.coverage.as_dict(),
        "membership": _membership(result),
        "by": [_group(group) for group in result.by],
        "similarities": {
            "generated": histogram(result.nearest, 0.0, 1.0, 40),
            "others": histogram(result.null, 0.0, 1.0, 40),
        },
    }


def _membership(result: FacesResult) -> dict[str, Any] | None:
    found = result.membership
    return None if found is None else {**asdict(found), "roc": [list(point) for point in found.roc]}


def _group(group: GroupRate) -> dict[str, Any]:
    return {"side": group.side, "column": group.column, "group": group.value, **group.rate.as_dict()}


def faces_headline(result: FacesResult) -> str:
    """One sentence, or two."""
    scored, count, expected = result.matched.coverage.measured, result.matched.count, result.calibration.expected
    generated = result.generated
    if not scored and generated.faces:
        found = f"{generated.faces:,} faces in {generated.images:,} generations"
        return f"None of the {found} could be compared ({generated.small:,} are too small)."
    if not scored:
        return f"No face was found in {generated.images:,} generations: none was compared."
    chance = (
        f"similarity {result.calibration.threshold:.3f} or more among {result.gallery.comparable:,} training faces, "
        f"where {_number(expected)} false matches are to be expected"
    )
    if not count:
        bound = percent_up(result.matched.upper)
        return (
            f"None of {scored:,} generated faces matches a training face ({chance}); the true rate is at most {bound}."
        )
    verb = "matches" if count == 1 else "match"
    unknown = count - result.same_picture - result.new_picture
    others = f", {unknown:,} on pictures that could not be compared" if unknown else ""
    return (
        f"{count:,} of {scored:,} generated faces {verb} a training face ({chance}): {result.same_picture:,} on the "
        f"same picture, {result.new_picture:,} on a new one{others}."
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def face_findings(part: FacePart, out: Path, pictures: Pictures) -> list[dict[str, Any]]:
    """One finding for each generation and training image that share a face, by the most similar one; worst first."""
    matches = part.result.matches
    queries, targets = part.generations.columns(matches.query), part.gallery.columns(matches.reference)
    findings: dict[tuple[str, str], dict[str, Any]] = {}
    for place in range(len(matches.query)):
        pair = parent_of(queries.image_id[place]), parent_of(targets.image_id[place])
        if pair in findings:
            findings[pair]["faces"] += 1
            continue
        shown = len(findings) < PICTURED
        finding = _finding(matches, place, queries, targets)
        for side, columns, name in (("query", queries, "face-generation"), ("reference", targets, "face-training")):
            finding[f"{side}_picture"] = pictures.add(f"{name}-{place}", columns.uri[place]) if shown else None
            finding[f"{side}_crop"] = _crop(out, f"{name}-{place}", columns, place) if part.crops else None
        findings[pair] = finding
    return list(findings.values())


def _finding(matches: FaceMatches, place: int, queries: Columns, targets: Columns) -> dict[str, Any]:
    image, same = float(matches.image_similarity[place]), int(matches.same_picture[place])
    sides = [details_of(columns.metadata[place]) for columns in (queries, targets)]
    return {
        "query_id": parent_of(queries.image_id[place]),
        "reference_id": parent_of(targets.image_id[place]),
        "query_face": queries.image_id[place],
        "reference_face": targets.image_id[place],
        "similarity": round(float(matches.similarity[place]), 4),
        "kind": KIND,
        "faces": 1,
        "image_similarity": None if math.isnan(image) else round(image, 4),
        "same_picture": None if same < 0 else bool(same),
        "query_quality": sides[0].quality if sides[0] else None,
        "reference_quality": sides[1].quality if sides[1] else None,
        "paired": False,
        "is_prompts_image": False,
        "matches": int(matches.alike[place]),
        "near_duplicates": int(matches.near_duplicates[place]),
        "prompt": "",
        "caption": targets.caption[place],
    }


def _crop(out: Path, name: str, columns: Columns, place: int) -> str | None:
    """Write the face with a margin; None where the image cannot be read any more."""
    details = details_of(columns.metadata[place])
    try:
        image = decode(read_image(columns.uri[place])).image
    except (OSError, InputError, UnreadableImageError):
        return None
    if details is None:
        return None
    left, top, width, height = details.box
    box = (left - _MARGIN * width, top - _MARGIN * height, left + (1 + _MARGIN) * width, top + (1 + _MARGIN) * height)
    relative = f"{FACE_CROPS}/{name}.jpg"
    with appearing_whole(out / relative) as temporary:
        image.crop(tuple(map(round, box))).save(temporary, "JPEG", quality=90)  # type: ignore[arg-type]
    return relative


def with_matches(part: FacePart, matched: Collection[Pair], findings: Sequence[dict[str, Any]]) -> FacePart:
    """The part, once it is known which pairs (generation, training image) an audit of images matched.

    A face on a matched pair, or on a near-duplicate of the training image that a finding names, is on the same picture,
    whatever the similarity of the whole images: pixels may have confirmed it.
    """
    matches = part.result.matches
    pairs = _pairs(part)
    copies = _copies(part, findings)
    named = {finding["query_id"]: finding["reference_id"] for finding in findings}
    is_same = [pair in matched or (named.get(pair[0], ""), pair[1]) in copies for pair in pairs]
    same = np.where(np.array(is_same, dtype=bool), 1, matches.same_picture)
    return replace(part, result=replace(part.result, matches=matches._replace(same_picture=same)))


def _pairs(part: FacePart) -> list[Pair]:
    """The generation and the training image of each match of faces."""
    matches = part.result.matches
    queries, targets = part.generations.columns(matches.query), part.gallery.columns(matches.reference)
    return list(zip(map(parent_of, queries.image_id), map(parent_of, targets.image_id), strict=True))


def _copies(part: FacePart, findings: Sequence[dict[str, Any]]) -> frozenset[Pair]:
    """Pairs of near-duplicate training images: one that a finding names, and one with a face of that generation."""
    named = {finding["query_id"]: finding["reference_id"] for finding in findings}
    pairs = sorted({(named[query], target) for query, target in _pairs(part) if named.get(query, target) != target})
    if part.are_copies is None or not pairs:
        return frozenset()
    left, right = zip(*pairs, strict=True)
    return frozenset(pair for pair, is_copy in zip(pairs, part.are_copies(left, right), strict=True) if is_copy)


def with_faces(
    findings: Sequence[dict[str, Any]], faces: Sequence[dict[str, Any]], copies: Collection[Pair] = ()
) -> list[dict[str, Any]]:
    """All findings, those of faces last, without those that an image finding is about already.

    That is one of the same generation and the same training image, or a near-duplicate of it (a pair of `copies`): of
    several copies of a picture the two may name different ones. It gets a `face_similarity`.
    """
    merged = [dict(finding) for finding in findings]
    by_query = {finding["query_id"]: finding for finding in merged}
    added = []
    for face in faces:
        image = by_query.get(face["query_id"])
        pair = (image["reference_id"] if image else "", face["reference_id"])
        if image and (pair[0] == pair[1] or pair in copies):
            image["face_similarity"] = max(face["similarity"], image.get("face_similarity", -1.0))
        else:
            added.append(face)
    return merged + added


def audit_with_faces(
    results: dict[str, Any], findings: Sequence[dict[str, Any]], part: FacePart, out: Path, pictures: Pictures
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Results and findings of an audit of images, with those of its faces. Writes face_matches.parquet and pictures."""
    write_face_matches(part, out)
    merged = with_faces(findings, face_findings(part, out, pictures), _copies(part, findings))
    reasons = [*results["reasons"], *part.result.inconclusive]
    headline = f"{results['headline']} {faces_headline(part.result)}"
    if part.result.inconclusive and results["conclusive"]:
        headline = f"Inconclusive: {'; '.join(part.result.inconclusive)}. {headline}"
    about = {"conclusive": not reasons, "reasons": reasons, "headline": headline, "faces": faces_results(part.result)}
    return {**results, **about}, merged


def write_face_matches(part: FacePart, out: Path) -> None:
    """face_matches.parquet: one row for each generated face at or above the threshold."""
    matches = part.result.matches
    queries, targets = part.generations.columns(matches.query), part.gallery.columns(matches.reference)
    write_table(
        out / "face_matches.parquet",
        {
            "query_face": queries.image_id,
            "query_id": np.array([parent_of(i) for i in queries.image_id], dtype=object),
            "reference_face": targets.image_id,
            "reference_id": np.array([parent_of(i) for i in targets.image_id], dtype=object),
            "similarity": matches.similarity,
            "image_similarity": matches.image_similarity,
            "same_picture": np.array(
                [{1: "yes", 0: "no"}.get(s, "unknown") for s in matches.same_picture.tolist()], object
            ),
            "matches": matches.alike,
            "near_duplicates": matches.near_duplicates,
        },
    )


def write_face_audit(part: FacePart, out: Path, alter: Alter | None = None) -> dict[str, Any]:
    """Write every file of an audit of two stores of faces, which knows no images; return the report."""
    result = part.result
    write_face_matches(part, out)
    findings = face_findings(part, out, Pictures(out, alter))
    faces = faces_results(result)
    conclusive = not result.inconclusive
    results = {
        "about": "faces",
        "conclusive": conclusive,
        "reasons": list(result.inconclusive),
        "headline": inconclusive_headline(result) if not conclusive else faces["headline"],
        "method": result.method,
        "references": result.gallery_coverage.as_dict(),
        "searched": result.matched.as_dict(),
        "paired": None,
        "control": None,
        "verification": "by similarity of faces alone",
        "faces": faces,
    }
    report = make_report(
        "audit",
        inputs=result.digests,
        encoder=part.gallery.encoder,
        threshold=result.calibration.threshold,
        coverage=_images(result),
        results=results,
        findings=findings,
    )
    write_page(out / "report.html", "faces.html", report=report, pictured=PICTURED)
    write_report(out / "report.json", report)
    return report


def _images(result: FacesResult) -> Coverage:
    """Of the generations, those that could be looked at."""
    return Coverage(result.generated.images - result.generated.unreadable, result.generated.images)


def inconclusive_headline(result: FacesResult) -> str:
    return f"Inconclusive: {'; '.join(result.inconclusive)}. {faces_headline(result)}"
