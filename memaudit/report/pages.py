"""The page of a report, made of the report alone and the pictures beside it: when a run ends, and anew at the gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from memaudit.report.anchors import anchors_of
from memaudit.report.board import board_of, board_of_faces, model_of, shows_few
from memaudit.report.cards import findings_part
from memaudit.report.detected import hardest_of, kinds_of
from memaudit.report.effort import Mark, how_hard
from memaudit.report.model import (
    About,
    AuditResults,
    DedupResults,
    ExtractionResults,
    FaceAuditResults,
    FilterResults,
    Report,
    ReweightResults,
)
from memaudit.report.page import script_of, write_page
from memaudit.report.page_pictures import PagePictures
from memaudit.report.searched import searched_in
from memaudit.words import plural

SKEWS_SHOWN = 40
PROMPTS_SHOWN = 200
if TYPE_CHECKING:
    from memaudit.report.pictures import Alter
    from memaudit.reviews import Merged

_TITLES = {
    "audit": "Regurgitation audit",
    "dedup": "Near-duplicates of a training set",
    "extraction": "Extraction: prompts that give one picture",
    "filter": "Filter",
    "reweight": "Weights for what a filter left",
}


@dataclass(frozen=True)
class How:
    """What a run is told that does not change what it measures. alter: what each picture goes through before it is
    shown. beside: pictures stay beside the page. about: what was examined, by whom and how. reviews: what people said
    of findings before."""

    alter: Alter | None = None
    beside: bool = False
    about: About | None = None
    reviews: Merged | None = None


PLAIN = How()


@dataclass(frozen=True)
class Judged:
    """What the gate says of a report. reasons: a line for each rule that did not pass, or is over many audits. rules:
    how many were applied. limits: of the policy, that are not the default ones. day: when. decisions: what a person
    decided about a finding, by its place; accepted: how many hold; no_copies: of these, as no copy."""

    verdict: str
    reasons: tuple[str, ...]
    rules: int
    day: str
    decisions: Mapping[int, str] = field(default_factory=dict)
    accepted: int = 0
    no_copies: int = 0
    limits: tuple[str, ...] = ()


def write_report_page(
    path: Path, report: Report, *, folder: Path | None = None, judged: Judged | None = None, beside: bool = False
) -> None:
    """Write the page of a report to `path`. folder: where the run's pictures are; None: beside the page. beside: name
    the pictures there, and put none into the page."""
    pictures = PagePictures(folder or path.parent, beside=beside)
    values = {"report": report, "judged": judged, "pictures": pictures, "when": day_of(report.created)}
    results = report.results
    if isinstance(results, AuditResults | FaceAuditResults):
        template, more = _of_audit(report, pictures, judged)
    elif isinstance(results, DedupResults):
        template, more = "dedup.html", _of_dedup(report, results)
    elif isinstance(results, ExtractionResults):
        template, more = "extraction.html", {"pictured": PROMPTS_SHOWN}
    elif isinstance(results, FilterResults):
        template, more = "filter.html", {"facts": list(_of_filter(report, results))}
    elif isinstance(results, ReweightResults):
        template, more = "reweight.html", {"skews_shown": SKEWS_SHOWN}
    else:
        template, more = "inconclusive.html", {"title": _TITLES[report.kind], "board": board_of(report)}
    named = report.head.about.model if report.head.about else ""
    write_page(path, template, **values, **{"facts": list(facts_of(report)), "model": named, **more})


def _of_audit(report: Report, pictures: PagePictures, judged: Judged | None) -> tuple[str, dict[str, object]]:
    findings = findings_part(report, pictures, judged.decisions if judged else {})
    results = report.results
    more: dict[str, object] = {"findings": findings, "script_digest": findings.script_digest if findings.total else ""}
    more["board"] = board_of(report, judged.accepted, judged.no_copies) if judged else board_of(report)
    if isinstance(results, AuditResults):
        faces = board_of_faces(results.faces, model_of(report)) if results.faces else None
        more |= {"hard": how_hard(results), "searched_in": searched_in(report), "face_board": faces}
        more["anchors"] = anchors_of(report)
        planted = list(kinds_of(results.planted)) if results.planted else []
        more |= {"detected": planted, "hardest": hardest_of(results), "shows_few": shows_few(results)}
        return "audit.html", more
    return "faces.html", {**more, "hard": Mark("Faces alone", weak=False)}


def _of_dedup(report: Report, results: DedupResults) -> dict[str, object]:
    script, digest = script_of("viewer.js", "pairs.js", "dedup.js")
    steps = [[at.threshold, at.pairs, at.images, at.groups] for at in results.by_threshold]
    own = {
        "script": script,
        "script_digest": digest if report.findings or results.refused_shown else "",
        "at_thresholds": steps,
    }
    return {"skews_shown": SKEWS_SHOWN, **own}


def _of_filter(report: Report, results: FilterResults) -> Iterator[tuple[str, str]]:
    learned = results.training
    yield "Class", results.name + (f", by the prompt “{learned.text}”" if learned.text else "")
    presumed = f"; {learned.presumed:,} random images were taken for such" if learned.presumed else ""
    yield "Labels", f"{learned.positive:,} of the class, {learned.negative:,} not{presumed}; {learned.rounds:,} rounds"
    yield "When", day_of(report.created)


def _of_extraction(report: Report) -> Iterator[tuple[str, str]]:
    """No option names a model, a training set or who ran it."""
    if isinstance(report.results, ExtractionResults):
        prompts = report.results.memorised.coverage.total
        yield "Generations", f"{report.coverage.total:,}, of {plural(prompts, 'prompt')}"
    yield "When", day_of(report.created)


def day_of(created: str) -> str:
    """A plain date and time: 27 November 2026, 18:30 UTC."""
    try:
        when = datetime.fromisoformat(created)
    except ValueError:
        return created
    return f"{plain_day(when)}, {when:%H:%M} UTC"


def plain_day(when: date) -> str:
    return f"{when.day} {when:%B %Y}"


def _model(report: Report, named: str) -> str:
    known = report.results.model if isinstance(report.results, AuditResults) else None
    named = named or (known.name if known else "")
    weights = f", weights {known.digest[:12]}…" if known else ""
    return f"{named}{weights}" if named else f"not named{weights} (--model says it)"


def facts_of(report: Report) -> Iterator[tuple[str, str]]:
    """What was examined, by whom, when and how; what nobody named is said to be unnamed."""
    if report.kind == "extraction":
        yield from _of_extraction(report)
        return
    about, results = report.head.about or None, report.results
    if report.kind == "audit":
        yield "Model", _model(report, about.model if about else "")
    known = ""
    if isinstance(results, AuditResults):
        known = f"{results.references.measured:,} images"
    if isinstance(results, DedupResults | ReweightResults):
        known = f"{results.images:,} images"
    name = about.training_set if about else ""
    yield "Training set", ", ".join(filter(None, (name, known))) or "not named"
    if isinstance(results, AuditResults):
        prompts = f", of {results.by_prompt.returned.n:,} prompts" if results.by_prompt else ""
        yield "Generations", f"{results.searched.n:,}{prompts}"
        yield "Held-out images", f"{results.control.matched.n:,}" if results.control else "none"
    yield "When", day_of(report.created)
    yield "Who", (about.who if about else "") or "not named (--who says it)"
    if about and about.command:
        yield "Command", about.command
