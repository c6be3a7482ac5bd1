"""The figures of a report that belong on a card, each with its interval and what it is of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET

from memaudit.report.model import (
    AllCopies,
    AuditResults,
    DedupResults,
    Estimate,
    FaceAuditResults,
    FilterResults,
    Rate,
    Report,
    ReweightResults,
)


class Figure(NamedTuple):
    """name: for machines; said: for people; low, high: ends of a two-sided interval of this confidence, None where none
    is stated; found of n, None of what is no count."""

    name: str
    said: str
    value: float
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    found: int | None = None
    n: int | None = None
    note: str = ""


def figures_of(report: Report) -> Iterator[Figure]:
    """None of a run that measured nothing."""
    results = report.results
    if isinstance(results, AuditResults):
        yield from _of_audit(results)
    elif isinstance(results, FaceAuditResults):
        yield from _rate("face-match-rate", "generated faces that match a training face", results.searched)
    elif isinstance(results, DedupResults):
        yield from _of_dedup(results)
    elif isinstance(results, FilterResults):
        yield from _of_filter(results)
    elif isinstance(results, ReweightResults):
        yield from _of_weights(results)


def _of_audit(results: AuditResults) -> Iterator[Figure]:
    if results.by_prompt:
        said = "prompts of which a generation repeats a training image"
        yield from _rate("prompt-regurgitation-rate", said, results.by_prompt.returned)
    yield from _rate("regurgitation-rate", "generations that repeat a training image", results.searched)
    if results.paired:
        yield from _rate("paired-regurgitation-rate", "generations that repeat their prompt's image", results.paired)
    if results.control:
        said = "held-out images that match a training image"
        yield from _rate("control-match-rate", said, results.control.matched)
    redrawn = results.redrawn if results.redrawn is not UNSET else None
    if redrawn and redrawn.searched:
        yield from _rate("redrawn-rate", "generations that are training images drawn anew", redrawn.searched)
    for kind in results.planted.kinds if results.planted else ():
        if kind.found:
            said = f"planted copies that were found: {kind.kind}"
            yield from _rate(f"detection-recall-{kind.kind}", said, kind.found)


def _rate(name: str, said: str, rate: Rate) -> Iterator[Figure]:
    if rate.value is None:
        return
    bounds = rate.stated
    note = f"interval of all copies, by planted ones ({bounds.kind})" if isinstance(bounds, AllCopies) else ""
    yield Figure(name, said, rate.value, bounds.low, bounds.high, bounds.confidence, rate.count, rate.n, note)


def _of_dedup(results: DedupResults) -> Iterator[Figure]:
    recall = results.recall
    yield from _estimate("dedup-recall-by-pair", "near-duplicate pairs that dedup found", recall.by_pair, None)
    said = "images with a near-duplicate of which dedup found one at least"
    yield from _estimate("dedup-recall-by-image", said, recall.by_image, recall.confidence)
    if results.images:
        share = results.dropped / results.images
        yield Figure("share-removed", "images that dedup removed", share, found=results.dropped, n=results.images)


def _estimate(name: str, said: str, of: Estimate, confidence: float | None) -> Iterator[Figure]:
    """Pairs come in families: of theirs no confidence is stated."""
    if of.value is not None:
        note = "" if confidence else "bounds that hold if no large family went unseen, at no stated confidence"
        yield Figure(name, said, of.value, of.low, of.high, confidence, of.found, of.total, note)


def _of_filter(results: FilterResults) -> Iterator[Figure]:
    if measured := results.measured:
        for name, of in (("recall", measured.recall), ("precision", measured.precision)):
            said = f"{name} of the filter {results.name}"
            yield Figure(f"filter-{name}", said, of.value, of.low, of.high, measured.confidence)
    decided = results.decided
    if total := decided.kept + decided.dropped + decided.undecided:
        share = decided.dropped / total
        yield Figure("share-filtered", f"images dropped as {results.name}", share, found=decided.dropped, n=total)


def _of_weights(results: ReweightResults) -> Iterator[Figure]:
    if results.kept:
        said = "images of equal weight that the kept ones count as, by their number"
        yield Figure("effective-share", said, results.effective / results.kept, n=results.kept)
    if results.tested:
        said = "shares of words, values and clusters that weights restore"
        share = results.restored / results.tested
        yield Figure("shares-restored", said, share, found=results.restored, n=results.tested)
