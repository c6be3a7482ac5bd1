"""Training images drawn anew, in a report: figures of their own, a sentence, and findings with the nearest held-out
image beside them."""

from __future__ import annotations

from msgspec import structs

from memaudit.audit import results as measured
from memaudit.audit.results import AuditResult, NearestHeldOut
from memaudit.matching.kinds import Kind
from memaudit.report.audit_findings import Found, finding_of, worst_first
from memaudit.report.audit_tables import Targets, none_of, per_generation
from memaudit.report.by_prompt import by_prompt_of
from memaudit.report.model import HeldOutImage, ImageMatch, Redrawn, RedrawnControl, coverage_of, rate_of
from memaudit.report.page import p_value, percent, percent_up
from memaudit.report.pictures import Pictures
from memaudit.store import Columns


def redrawn_of(result: AuditResult) -> Redrawn:
    """The figures. Where none was looked for it says so, and why: that is not none found."""
    found = result.redrawn
    if found is None:
        why = result.no_redrawn
        return Redrawn(measured=False, why_not=why, headline=f"{_NAME}: not measured ({why}).")
    control = found.control
    beside = "" if Kind.REDRAWN in result.kinds else " They do not count (--kinds)."
    return Redrawn(
        measured=True,
        headline=_headline(found) + beside,
        searched=rate_of(found.searched),
        by_prompt=by_prompt_of(found.by_prompt) if found.by_prompt else None,
        control=None
        if control is None
        else RedrawnControl(
            matched=rate_of(control.matched), greater_rate_p=control.greater_rate_p, why_no_p=control.why_no_p
        ),
        compared=coverage_of(found.compared),
        floor=found.floor,
        cut=found.cut,
        source=found.source,
        recall=found.recall,
    )


_NAME = str(Kind.REDRAWN).capitalize()


def _headline(found: measured.Redrawn) -> str:
    rate, what = found.searched, "generations"
    if found.by_prompt is not None:
        rate, what = found.by_prompt.returned, "prompts"
    if not rate.coverage.measured:
        return f"{_NAME}: not measured (no generation could be looked at)."
    count = f"{rate.count:,}" if rate.count else "none"
    did = "gave a training image drawn anew" if what == "prompts" else "are training images drawn anew"
    bound = f"with {rate.confidence:.0%} confidence at most {percent_up(rate.upper)}"
    share = f"{percent(rate.value)}, {bound}" if rate.count else bound
    return (
        f"{_NAME}: {count} of {rate.coverage.measured:,} {what} {did}, which are no copies: {share}; {_chance(found)}."
    )


def _chance(found: measured.Redrawn) -> str:
    """What held-out images say; without any a count says nothing of the model."""
    control = found.control
    if control is None or not control.matched.coverage.measured:
        return "how many are so by chance is unknown: no held-out images were given"
    rate = control.matched
    said = f"of {rate.coverage.measured:,} held-out images {rate.count or 'none'}"
    said += " are called so by chance" if rate.count != 1 else " is called so by chance"
    if control.greater_rate_p is None:
        return f"{said} ({control.why_no_p})"
    return said + (f" (p = {p_value(control.greater_rate_p)})" if found.searched.count else "")


def redrawn_findings_of(
    result: AuditResult, queries: Columns, targets: Targets, pictures: Pictures, pictured: int
) -> list[ImageMatch]:
    """One finding for each generation that is re-drawn: its likeliest training image; worst first.

    The first `pictured` get thumbnails.
    """
    if result.redrawn is None:
        return []
    matches, nearest = result.redrawn.findings, result.redrawn.nearest
    found = Found(matches, none_of(matches), per_generation(result, matches))
    shown = [
        (int(match), pictures if number < pictured else None)
        for number, match in enumerate(worst_first(matches, matches.probability, queries))
    ]
    findings = [finding_of(result, queries, targets, found, match, each) for match, each in shown]
    if nearest is None:
        return findings
    place = {query: i for i, query in enumerate(nearest.query.tolist())}
    beside = (place.get(int(matches.query[match])) for match, _ in shown)
    return [
        finding if i is None else structs.replace(finding, nearest_held_out=_held_out(nearest, i, each))
        for finding, i, (_, each) in zip(findings, beside, shown, strict=True)
    ]


def _held_out(nearest: NearestHeldOut, i: int, pictures: Pictures | None) -> HeldOutImage:
    name, uri, sha256 = nearest.image_id[i], nearest.uri[i], nearest.sha256[i]
    picture = pictures.add(f"held-out-{nearest.row[i]}", uri, sha256, name) if pictures else None
    return HeldOutImage(image_id=name, similarity=round(float(nearest.similarity[i]), 4), picture=picture)
