"""Files of an audit: matches.parquet, scores.parquet, thumbnails, report.html, report.json."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path

import numpy as np
from msgspec import UNSET, convert
from msgspec.structs import replace

from memaudit.audit import results as measured
from memaudit.audit.results import AuditResult, Covariates, OfAllCopies
from memaudit.matching.results import Matches
from memaudit.report.audit_findings import card, findings_of, likeliest_misses_of, misses_of, page_data
from memaudit.report.audit_headline import headline_of
from memaudit.report.audit_tables import Targets, write_matches, write_scores
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.faces import FacePart, audit_with_faces
from memaudit.report.model import (
    AuditFinding,
    AuditResults,
    AuditSimilarities,
    ByPrompt,
    Control,
    Discoveries,
    Effort,
    Extrapolated,
    FaceMatch,
    FindingsBand,
    ImageMatch,
    Metrics,
    Model,
    Planted,
    PlantedKind,
    ReferenceViews,
    Report,
    Seeds,
    WeightedRate,
    Why,
    WhyBand,
    all_copies_of,
    calibration_of,
    coverage_of,
    rate_of,
)
from memaudit.report.outcomes import outcomes_of
from memaudit.report.page import histogram, write_page
from memaudit.report.pictures import Alter, Pictures
from memaudit.report.reviewed import reviews_input, with_reviews
from memaudit.reviews import Merged
from memaudit.store import Columns, Store

PICTURED = 1000  # findings with thumbnails
_PARTS = {"tiles": "memaudit embed --tiles", "details": "memaudit embed --fine-tiles"}  # of training images
STATIC = 100  # findings in the page for a browser that runs no script
DUPLICATE_BANDS = ((1, 1), (2, 4), (5, 9), (10, None))


def write_audit(
    result: AuditResult,
    generations: Store,
    references: Store,
    out: Path,
    faces: FacePart | None = None,
    alter: Alter | None = None,
    reviews: Merged | None = None,
) -> Report:
    """Write every file of an audit into `out` and return the report. report.json comes last. reviews: what people said
    of findings before.

    faces: what comparing faces gave, if that was asked for. alter: what each picture goes through before it is shown.
    """
    queries = generations.all_columns()
    targets = Targets(references, result.matches.reference)
    write_matches(out, result, queries, targets)
    write_scores(out, result, queries, references)
    pictures = Pictures(out, alter)
    matches = findings_of(result, queries, targets, pictures, PICTURED)
    findings: list[AuditFinding] = [*matches]
    results = replace(
        _results(result, matches, queries),
        misses=misses_of(result, queries, references, pictures),
        likeliest_misses=likeliest_misses_of(result, queries, references),
    )
    if faces is not None:
        results, findings = audit_with_faces(results, matches, faces, out, pictures)
    more = {**(faces.audit.result.digests if faces else {}), **_calibration(result), **reviews_input(reviews)}
    report = make_report(
        "audit",
        inputs={**result.digests, **more},
        encoder=result.encoder,
        threshold=result.threshold,
        coverage=result.searched.coverage,
        results=results,
        findings=with_reviews(findings, reviews),
        bound=bound_to(out, (*result.stores, *((faces.audit.gallery, faces.audit.generations) if faces else ()))),
    )
    write_audit_page(out / "report.html", report)
    write_report(out / "report.json", report)
    return report


def write_audit_page(path: Path, report: Report) -> None:
    """The page of a report of images. Its only script is named by its digest: a browser runs no other."""
    script = resources.files("memaudit.report").joinpath("templates/audit.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    findings = [finding for finding in report.findings if isinstance(finding, ImageMatch)]
    write_page(
        path,
        "audit.html",
        report=report,
        pictured=PICTURED,
        images=len(findings),
        faces=[finding for finding in report.findings if isinstance(finding, FaceMatch)],
        cards=[card(finding) for finding in findings[:STATIC]],
        searched_in=searched_in(report),
        data=page_data(findings),
        script=script,
        script_digest=digest,
    )


def _calibration(result: AuditResult) -> dict[str, str]:
    return {"calibration": result.calibrated.digest} if result.calibrated else {}


def _results(result: AuditResult, findings: list[ImageMatch], queries: Columns) -> AuditResults:
    paired, of_all = result.scores.paired[result.scores.paired >= 0], result.all_copies or OfAllCopies()
    return AuditResults(
        conclusive=not result.inconclusive,
        reasons=list(result.inconclusive),
        headline=headline_of(result),
        method=result.method,
        references=coverage_of(result.references),
        searched=rate_of(result.searched, of_all.searched),
        by_prompt=_by_prompt(result.by_prompt, of_all) if result.by_prompt else None,
        paired=rate_of(result.paired, of_all.paired) if result.paired else None,
        control=_control(result.control) if result.control else None,
        missing=len(result.missing),
        duplicates=result.duplicates,
        distinct_found=len(np.unique(result.pictures[result.counted & result.scores.regurgitated])),
        distinct_returned=len(np.unique(result.matches.reference[result.matches.rank == 1])),
        distinct_prompts=len(set(paired.tolist())) if result.paired else None,
        made=result.made.total,
        blank=result.made.blank,
        unpaired=UNSET if result.made.unpaired is None else result.made.unpaired,
        parts=result.made.parts,
        hidden=result.made.hidden,
        unread=result.made.unread,
        by_near_duplicates=_by_near_duplicates(findings),
        why=_why(result.why) if result.why else None,
        metrics=convert(result.metrics, Metrics | None, from_attributes=True),
        similarities=AuditSimilarities(
            generations=histogram(result.scores.best_similarity, 0.0, 1.0, 40),
            control=histogram(result.control.best_similarity, 0.0, 1.0, 40) if result.control else None,
        ),
        outcomes=outcomes_of(result, queries),
        verification=_verification(result),
        verified=coverage_of(result.compared) if result.compared else None,
        unconfirmed=int((~result.matches.verified[result.matches.rank == 1]).sum()),
        kinds=_kinds(result.matches),
        views=list(result.views),
        reference_views=convert(views.as_dict(), ReferenceViews) if (views := result.reference_views) else UNSET,
        effort=_effort(result.effort),
        planted=_planted(result.planted) if result.planted else UNSET,
        grown=result.grown or UNSET,
        not_read=list(result.not_read),
        calibration=calibration_of(result.calibrated),
        model=Model(name=result.model.name, digest=result.model.digest) if result.model else UNSET,
    )


def searched_in(report: Report) -> str:
    """A sentence on which views of the training images an audit searched."""
    return _searched_in(report) + _within_files(report) + _not_read(report) + _by_calibration(report)


def _by_calibration(report: Report) -> str:
    settled = report.results.calibration if isinstance(report.results, AuditResults) else None
    return f" {settled.sentence}" if settled else ""


def _not_read(report: Report) -> str:
    lines = report.results.not_read if isinstance(report.results, AuditResults) else []
    return "".join(f" {line[:1].upper()}{line[1:]}." for line in lines)


def _within_files(report: Report) -> str:
    parts = report.results.parts if isinstance(report.results, AuditResults) else UNSET
    if not parts:
        return ""
    return f" {parts:,} pictures within files (frames, sheets) were searched too; a file counts as one draw: split it."


def _searched_in(report: Report) -> str:
    results = report.results if isinstance(report.results, AuditResults) else None
    views = results.reference_views if results else UNSET
    if results is None or views is UNSET:
        return "It is not known which views of the training images were searched."
    parts = {"tiles": views.tiles, "details": views.details}
    searched = [f"their {name}" for name, digest in parts.items() if digest]
    lacking = [f"no {name} ({_PARTS[name]})" for name, digest in parts.items() if digest is UNSET]
    idle = [name for name, digest in parts.items() if digest is None]
    return (
        f"Searched in: {', '.join(['whole training images', *searched])}"
        + (f"; the store has {' and '.join(lacking)} of them" if lacking else "")
        + (f"; their {' and '.join(idle)} were not used: without pixels they decide nothing" if idle else "")
        + "."
        + (f" Not searched in: {results.grown}." if results.grown else "")
    )


def _verification(result: AuditResult) -> str:
    alone = "" if len(result.views) > 1 else "; whole generations alone were searched, not parts of them"
    if result.compared is None:
        return f"by similarity of embeddings alone; no pixel comparison was made ({result.no_pixels}){alone}"
    return (
        f"at the threshold by similarity, below it where pixels confirm it; {result.compared.measured:,} of "
        f"{result.compared.total:,} candidates could be compared on pixels{alone}"
    )


def _kinds(matches: Matches) -> dict[str, int]:
    """How many generations have a match of each kind, as their first; and how many of these pixels confirm."""
    first = matches.rank == 1
    names, counts = np.unique(matches.kind[first].astype(str), return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _control(control: measured.Control) -> Control:
    return Control(
        matched=rate_of(control.matched),
        usable=control.matched.coverage.measured - control.excluded_controls,
        duplicates=control.duplicates,
        parts=control.parts,
        excluded_controls=control.excluded_controls,
        excluded_references=control.excluded_references,
        nearer_training=control.nearer_training,
        nearer_control=control.nearer_control,
        families=control.families,
        groups=control.groups,
        relabelling_p=control.relabelling_p,
        least_relabelling_p=control.least_p,
        greater_rate_p=control.greater_rate_p,
        why_no_p=control.why_no_p,
        discoveries=convert(control.discoveries, Discoveries | None, from_attributes=True),
    )


def _planted(planted: measured.Planted) -> Planted:
    return Planted(
        asked=planted.asked,
        images=planted.images,
        unreadable=planted.unreadable,
        kinds=[PlantedKind(kind=kind, found=rate_of(found) if found else None) for kind, found in planted.kinds],
        why_none=planted.why_none,
    )


def _effort(effort: measured.Effort) -> Effort:
    views = (effort.generation_views, effort.control_views, effort.reference_windows)
    generations, control, windows = (coverage_of(each) if each else None for each in views)
    return Effort(
        match_from=effort.match_from, generation_views=generations, control_views=control, reference_windows=windows
    )


def _why(why: Covariates) -> Why:
    bands = [
        WhyBand(
            feature=band.feature,
            low=band.low,
            high=band.high,
            came_back=rate_of(band.came_back),
            training=rate_of(band.training) if band.training else None,
        )
        for band in why.bands
    ]
    return Why(paired=why.paired, bands=bands, without_simplicity=why.without)


def _by_prompt(prompts: measured.ByPrompt, of_all: OfAllCopies) -> ByPrompt:
    weighted = convert(prompts.weighted, WeightedRate | None, from_attributes=True)
    return ByPrompt(
        returned=rate_of(prompts.returned, of_all.returned),
        seeds=[Seeds(seeds=seeds, prompts=count) for seeds, count in prompts.seeds],
        strategies=list(prompts.strategies),
        weighted=replace(weighted, all_copies=all_copies_of(of_all.weighted)) if weighted else None,
        extrapolated=convert(prompts.extrapolated, Extrapolated | None, from_attributes=True),
    )


def _by_near_duplicates(findings: list[ImageMatch]) -> list[FindingsBand]:
    """Findings by how often the training image stands in the training set."""
    counts = [finding.near_duplicates for finding in findings]
    return [
        FindingsBand(low=low, high=high, findings=sum(low <= n and (high is None or n <= high) for n in counts))
        for low, high in DUPLICATE_BANDS
    ]
