"""Files of an audit: matches.parquet, scores.parquet, thumbnails, report.html, report.json."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import numpy as np
from msgspec import UNSET, convert
from msgspec.structs import replace

from memaudit.audit import results as measured
from memaudit.audit.results import AuditResult, Covariates, OfAllCopies
from memaudit.matching.results import Matches
from memaudit.report.audit_findings import findings_of, likeliest_misses_of, misses_of, not_counted_of
from memaudit.report.audit_headline import headline_of
from memaudit.report.audit_tables import Targets, beside, write_matches, write_scores
from memaudit.report.audit_weaknesses import weaknesses
from memaudit.report.bindings import bound_to
from memaudit.report.by_prompt import by_prompt_of
from memaudit.report.document import make_report, write_report
from memaudit.report.faces import FacePart, audit_with_faces
from memaudit.report.left_out import not_counted
from memaudit.report.model import (
    AuditFinding,
    AuditResults,
    AuditSimilarities,
    Control,
    Discoveries,
    Effort,
    FindingsBand,
    ImageMatch,
    Metrics,
    Model,
    OwnImages,
    Planted,
    PlantedKind,
    ReferenceViews,
    Report,
    Why,
    WhyBand,
    WhyOdds,
    calibration_of,
    coverage_of,
    rate_of,
)
from memaudit.report.outcomes import outcomes_of
from memaudit.report.page import histogram
from memaudit.report.pages import PLAIN, How, write_report_page
from memaudit.report.pictures import LARGE, Pictures
from memaudit.report.redrawn import redrawn_findings_of, redrawn_of
from memaudit.report.reviewed import reviews_input, with_reviews
from memaudit.store import Columns, Store

PICTURED = 1000  # findings with thumbnails
DUPLICATE_BANDS = ((1, 1), (2, 4), (5, 9), (10, None))


def write_audit(
    result: AuditResult,
    generations: Store,
    references: Store,
    out: Path,
    faces: FacePart | None = None,
    how: How = PLAIN,
) -> Report:
    """Write every file of an audit into `out` and return the report. report.json comes last.

    faces: what comparing faces gave, if that was asked for.
    """
    queries = generations.all_columns()
    others = [each.reference for each, _ in beside(result)]
    targets = Targets(references, np.concatenate([result.matches.reference, *others]))
    write_matches(out, result, queries, targets)
    write_scores(out, result, queries, references)
    pictures = Pictures(out, how.alter, LARGE, faces.forgotten if faces else ())
    matches = findings_of(result, queries, targets, pictures, PICTURED)
    redrawn = redrawn_findings_of(result, queries, targets, pictures, PICTURED)
    redrawn += not_counted_of(result, queries, targets, pictures, PICTURED)
    findings: list[AuditFinding] = [*matches, *redrawn]
    results = replace(
        _results(result, matches, queries),
        misses=misses_of(result, queries, references, pictures),
        likeliest_misses=likeliest_misses_of(result, queries, references),
    )
    if faces is not None:
        results, findings = audit_with_faces(results, [*matches, *redrawn], faces, out, pictures)
    more = {**(faces.audit.result.digests if faces else {}), **_calibration(result), **reviews_input(how.reviews)}
    report = make_report(
        "audit",
        inputs={**result.digests, **more},
        encoder=result.encoder,
        threshold=result.threshold,
        coverage=result.searched.coverage,
        results=results,
        findings=with_reviews(findings, how.reviews),
        bound=bound_to(
            out, (*result.stores, *((faces.audit.gallery, faces.audit.generations) if faces else ())), how.about
        ),
    )
    write_report_page(out / "report.html", report, beside=how.beside)
    write_report(out / "report.json", report)
    return report


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
        by_prompt=by_prompt_of(result.by_prompt, of_all) if result.by_prompt else None,
        paired=rate_of(result.paired, of_all.paired) if result.paired else None,
        control=_control(result.control) if result.control else None,
        missing=len(result.missing),
        duplicates=result.duplicates,
        distinct_found=len(np.unique(result.pictures[result.counted & result.scores.regurgitated])),
        distinct_returned=len(np.unique(result.matches.reference[result.matches.rank == 1])),
        distinct_prompts=len(set(paired.tolist())) if result.paired else None,
        undecided=int(result.undecided.sum()),
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
        weaker=weaknesses(result),
        planted=_planted(result.planted) if result.planted else UNSET,
        grown=result.grown or UNSET,
        not_read=list(result.not_read),
        calibration=calibration_of(result.calibrated, result.beyond_labels),
        redrawn=redrawn_of(result),
        counted_kinds=[str(kind) for kind in result.kinds],
        not_counted=not_counted(result),
        model=Model(name=result.model.name, digest=result.model.digest) if result.model else UNSET,
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
        why_no_rate_p=control.why_no_rate_p,
        own_images=_own_images(control.own_images) if control.own_images else None,
        discoveries=convert(control.discoveries, Discoveries | None, from_attributes=True),
    )


def _own_images(own: measured.OwnImages) -> OwnImages:
    return OwnImages(training=rate_of(own.training), held_out=rate_of(own.held_out), p=own.p, joined=own.joined)


def _planted(planted: measured.Planted) -> Planted:
    return Planted(
        asked=planted.asked,
        images=planted.images,
        unreadable=planted.unreadable,
        kinds=[_planted_kind(each) for each in planted.kinds],
        why_none=planted.why_none,
    )


def _planted_kind(each: measured.PlantedKind) -> PlantedKind:
    if each.found is None:
        return PlantedKind(kind=each.kind, found=None)
    return PlantedKind(kind=each.kind, found=rate_of(each.found), matched=dict(each.matched))


def _effort(effort: measured.Effort) -> Effort:
    views = (effort.generation_views, effort.control_views, effort.reference_windows)
    generations, control, windows = (coverage_of(each) if each else None for each in views)
    return Effort(
        match_from=effort.match_from,
        generation_views=generations,
        control_views=control,
        reference_windows=windows,
        nearest_from=effort.nearest_from,
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
    odds = [WhyOdds(**each._asdict() | {"high": each.high if isfinite(each.high) else None}) for each in why.odds]
    return Why(paired=why.paired, bands=bands, without_simplicity=why.without, odds=odds)


def _by_near_duplicates(findings: list[ImageMatch]) -> list[FindingsBand]:
    """Findings by how often the training image stands in the training set."""
    counts = [finding.near_duplicates for finding in findings]
    return [
        FindingsBand(low=low, high=high, findings=sum(low <= n and (high is None or n <= high) for n in counts))
        for low, high in DUPLICATE_BANDS
    ]
