"""Files of an extraction: cliques.parquet, thumbnails, report.html, report.json."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memaudit.extraction.results import Extraction, PromptCluster
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.model import ExtractionResults, PromptGroup, Report, rate_of
from memaudit.report.page import interval, percent, percent_up
from memaudit.report.pages import PROMPTS_SHOWN, write_report_page
from memaudit.report.pictures import Pictures
from memaudit.report.tables import write_table
from memaudit.words import plural

STRIP = 6  # pictures of each


def write_extraction(result: Extraction, out: Path) -> Report:
    """Write every file of an extraction into `out` and return the report. report.json comes last."""
    _write_cliques(result, out)
    pictures = Pictures(out)
    findings = [
        _finding(number, cluster, pictures if number < PROMPTS_SHOWN else None)
        for number, cluster in enumerate(result.clusters)
    ]
    report = make_report(
        "extraction",
        inputs={"generations": result.digest},
        encoder=None,
        threshold=None,
        coverage=result.coverage,
        results=ExtractionResults(
            conclusive=not result.inconclusive,
            reasons=list(result.inconclusive),
            headline=_headline(result),
            distance=result.threshold,
            clique=result.clique,
            memorised=rate_of(result.memorised),
            redrawn=None if result.redrawn is None else rate_of(result.redrawn),
            no_redrawn=result.no_redrawn,
            blank=result.blank,
            not_read=list(result.not_read),
        ),
        findings=findings,
        bound=bound_to(out),
    )
    write_report_page(out / "report.html", report)
    write_report(out / "report.json", report)
    return report


def _write_cliques(result: Extraction, out: Path) -> None:
    """One row for each generation of a clique."""
    sizes = [len(cluster.members) for cluster in result.clusters]
    write_table(
        out / "cliques.parquet",
        {
            "rank": np.repeat(np.arange(1, len(sizes) + 1), sizes),
            "prompt": np.repeat(np.array([cluster.prompt for cluster in result.clusters], dtype=object), sizes),
            "query_id": [member for cluster in result.clusters for member in cluster.members],
            "kind": np.repeat(np.array([str(c.kind) for c in result.clusters], dtype=object), sizes),
            "probability": np.repeat(np.array([c.probability for c in result.clusters], dtype=np.float64), sizes),
            "mean_distance": np.repeat(np.array([c.mean_distance for c in result.clusters], dtype=np.float64), sizes),
        },
    )


def _finding(number: int, cluster: PromptCluster, pictures: Pictures | None) -> PromptGroup:
    shown = list(zip(cluster.uris, cluster.sha256, strict=True))[:STRIP]
    return PromptGroup(
        prompt=cluster.prompt,
        generations=cluster.generations,
        compared=cluster.compared,
        members=len(cluster.members),
        files=cluster.files,
        mean_distance=round(cluster.mean_distance or 0.0, 5),
        largest_distance=round(cluster.largest_distance or 0.0, 5),
        proven=cluster.proven,
        pictures=[pictures.add(f"prompt-{number}-{place}", *image) for place, image in enumerate(shown)]
        if pictures
        else [],
        kind=cluster.kind,
        probability=None if cluster.probability is None else round(cluster.probability, 4),
        boxes=[None if box is None else list(box) for box in cluster.boxes[:STRIP]],
    )


def _headline(result: Extraction) -> str:
    rate = result.memorised
    if result.inconclusive:
        found = (
            f" Found all the same: {plural(rate.count, 'prompt')} that {_give(rate.count)} one picture."
            if rate.count
            else ""
        )
        return f"Inconclusive: {'; '.join(result.inconclusive)}.{found}{_beside(result)}"
    kinds = "" if result.no_parts else ", or one template, or share a part"
    about = f"at least {result.clique} generations that are verbatim the same{kinds}"
    if not rate.count:
        return (
            f"None of {plural(rate.coverage.measured, 'prompt')} gives one picture again and again ({about}); with "
            f"{rate.confidence:.0%} confidence at most {percent_up(rate.upper)} of such prompts do.{_beside(result)}"
        )
    return (
        f"{rate.count:,} of {plural(rate.coverage.measured, 'prompt')} {_give(rate.count)} one picture again and again "
        f"({about}): {percent(rate.value)}, {rate.confidence:.0%} interval {interval(rate)}.{_beside(result)}"
    )


def _beside(result: Extraction) -> str:
    """What was not looked for, and what is drawn anew: beside the others, and never one of them."""
    if result.no_parts:
        return f" Templates, parts and pictures drawn anew: not measured ({result.no_parts})."
    if result.redrawn is None:
        return f" Re-drawn: not measured ({result.no_redrawn})."
    count = result.redrawn.count
    return f" Beside them {count:,} {_give(count)} one picture drawn anew." if count else ""


def _give(count: int) -> str:
    return "gives" if count == 1 else "give"
