"""Files of an audit: matches.parquet, scores.parquet, thumbnails, report.html, report.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memaudit.records import AuditResult, Control, Status
from memaudit.report.document import make_report, write_report
from memaudit.report.faces import FacePart, audit_with_faces
from memaudit.report.page import histogram, interval, percent, percent_up, write_page
from memaudit.report.pictures import Alter, Pictures
from memaudit.report.tables import rank_of, write_table
from memaudit.store import Columns, Store

PICTURED = 500
KIND = "near-duplicate"  # by similarity of embeddings alone; nothing finer is claimed without looking at pixels
DUPLICATE_BANDS = ((1, 1), (2, 4), (5, 9), (10, None))


def write_audit(
    result: AuditResult,
    generations: Store,
    references: Store,
    out: Path,
    faces: FacePart | None = None,
    alter: Alter | None = None,
) -> dict[str, Any]:
    """Write every file of an audit into `out` and return the report. report.json comes last.

    faces: what comparing faces gave, if that was asked for. alter: what each picture goes through before it is shown.
    """
    queries = generations.all_columns()
    matched = np.unique(result.matches.reference)
    targets = dict(zip(matched.tolist(), range(len(matched)), strict=True))
    target_columns = references.columns(matched)
    _write_matches(out, result, queries, target_columns, targets)
    _write_scores(out, result, queries, references)
    pictures = Pictures(out, alter)
    findings = _findings(result, queries, target_columns, targets, pictures)
    results = _results(result, findings)
    if faces is not None:
        results, findings = audit_with_faces(results, findings, faces, out, pictures)
    report = make_report(
        "audit",
        inputs={**result.digests, **(faces.result.digests if faces else {})},
        encoder=result.encoder,
        threshold=result.threshold,
        coverage=result.searched.coverage,
        results=results,
        findings=findings,
    )
    write_page(out / "report.html", "audit.html", report=report, pictured=PICTURED)
    write_report(out / "report.json", report)
    return report


def _write_matches(out: Path, result: AuditResult, queries: Columns, targets: Columns, place: dict[int, int]) -> None:
    matches = result.matches
    reference = np.array([place[row] for row in matches.reference.tolist()], dtype=np.int64)
    write_table(
        out / "matches.parquet",
        {
            "query_id": queries.image_id[matches.query],
            "reference_id": targets.image_id[reference],
            "similarity": matches.similarity,
            "rank": matches.rank,
            "view": np.full(len(matches.query), "whole", dtype=object),
            "kind": np.full(len(matches.query), KIND, dtype=object),
            "verified": np.zeros(len(matches.query), dtype=bool),
            "near_duplicates": matches.near_duplicates,
            "is_prompts_image": result.scores.paired[matches.query] == matches.reference,
        },
    )


def _write_scores(out: Path, result: AuditResult, queries: Columns, references: Store) -> None:
    """One row for each generation, found or missing: what was measured of it, and what not."""
    scores, missing = result.scores, len(result.missing)
    write_table(
        out / "scores.parquet",
        {
            "query_id": [*queries.image_id, *result.missing],
            "status": [*map(str, scores.status), *["missing"] * missing],
            "prompt": [*result.prompts, *[""] * missing],
            "best_id": [*_ids(references, scores.best), *[None] * missing],
            "best_similarity": np.r_[scores.best_similarity, np.full(missing, np.nan, np.float32)],
            "matches": np.r_[scores.above, np.zeros(missing, np.int64)],
            "paired_id": [*_ids(references, scores.paired), *[None] * missing],
            "paired_similarity": np.r_[scores.paired_similarity, np.full(missing, np.nan, np.float32)],
        },
    )


def _ids(store: Store, rows: np.ndarray) -> list[str | None]:
    known = rows >= 0
    ids = np.full(len(rows), None, dtype=object)
    ids[known] = store.columns(rows[known]).image_id
    return list(ids)


def _findings(
    result: AuditResult, queries: Columns, targets: Columns, place: dict[int, int], pictures: Pictures
) -> list[dict[str, Any]]:
    """One finding for each regurgitated generation: its most similar training image; worst first."""
    matches = result.matches
    first = np.flatnonzero(matches.rank == 1)
    first = first[np.lexsort((rank_of(queries.image_id[matches.query[first]]), -matches.similarity[first]))]
    findings = []
    for number, index in enumerate(first):
        query, reference = int(matches.query[index]), int(matches.reference[index])
        target = place[reference]
        shown = number < PICTURED
        findings.append(
            {
                "query_id": queries.image_id[query],
                "reference_id": targets.image_id[target],
                "similarity": round(float(matches.similarity[index]), 4),
                "kind": KIND,
                "paired": bool(result.scores.paired_similarity[query] >= np.float32(result.threshold)),
                "is_prompts_image": bool(result.scores.paired[query] == reference),
                "matches": int(result.scores.above[query]),
                "near_duplicates": int(matches.near_duplicates[index]),
                "prompt": result.prompts[query],
                "caption": targets.caption[target],
                "query_picture": pictures.add(f"generation-{query}", queries.uri[query]) if shown else None,
                "reference_picture": pictures.add(f"training-{reference}", targets.uri[target]) if shown else None,
            }
        )
    return findings


def _results(result: AuditResult, findings: list[dict[str, Any]]) -> dict[str, Any]:
    conclusive = not result.inconclusive
    control = _control(result.control) if result.control else None
    return {
        "conclusive": conclusive,
        "reasons": list(result.inconclusive),
        "headline": _headline(result),
        "method": result.method,
        "references": result.references.as_dict(),
        "searched": result.searched.as_dict(),
        "paired": result.paired.as_dict() if result.paired else None,
        "control": control,
        "missing": len(result.missing),
        "duplicates": result.duplicates,
        "distinct_prompts": len(set(result.scores.paired[result.scores.paired >= 0].tolist()))
        if result.paired
        else None,
        "blank": int((result.scores.status == Status.BLANK).sum()),
        "by_near_duplicates": _by_near_duplicates(findings),
        "similarities": {
            "generations": histogram(result.scores.best_similarity, 0.0, 1.0, 40),
            "control": histogram(result.control.best_similarity, 0.0, 1.0, 40) if result.control else None,
        },
        "verification": "by similarity of embeddings alone; no pixel comparison was made",
    }


def _control(control: Control) -> dict[str, Any]:
    return {
        "matched": control.matched.as_dict(),
        "usable": control.matched.coverage.measured - control.excluded_controls,
        "excluded_controls": control.excluded_controls,
        "excluded_references": control.excluded_references,
        "nearer_training": control.nearer_training,
        "nearer_control": control.nearer_control,
        "relabelling_p": control.relabelling_p,
        "greater_rate_p": control.greater_rate_p,
        "why_no_p": control.why_no_p,
    }


def _headline(result: AuditResult) -> str:
    rate = result.searched
    if result.inconclusive:
        found = f" Found all the same: {rate.count:,} near-duplicates." if rate.count else ""
        return f"Inconclusive: {'; '.join(result.inconclusive)}.{found}"
    if rate.count == 0:
        return (
            f"None of {rate.coverage.measured:,} generations is a near-duplicate of a training image "
            f"(similarity {result.threshold:g} or more); with {rate.confidence:.0%} confidence the true rate is "
            f"at most {percent_up(rate.upper)}."
        )
    return (
        f"{rate.count:,} of {rate.coverage.measured:,} generations are near-duplicates of training images "
        f"(similarity {result.threshold:g} or more): {percent(rate.value)}, {rate.confidence:.0%} interval "
        f"{interval(rate.as_dict())}."
    )


def _by_near_duplicates(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings by how often the training image stands in the training set."""
    counts = [finding["near_duplicates"] for finding in findings]
    return [
        {"low": low, "high": high, "findings": sum(low <= n and (high is None or n <= high) for n in counts)}
        for low, high in DUPLICATE_BANDS
    ]
