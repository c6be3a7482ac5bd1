"""Files of a dedup run: tables, lists, thumbnails, report.html, report.json."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import UNSET, convert
from msgspec.structs import replace

from memaudit.dedup import results as measured
from memaudit.dedup.results import Comparison, Decision, DedupResult, PixelChecks, Reason, Removal
from memaudit.dedup.thresholds import grouped_at, steps_of
from memaudit.matching.kinds import Kind
from memaudit.report.bindings import bound_to
from memaudit.report.dedup_pictures import (
    by_pixels,
    drawn_anew,
    largest_groups,
    most_similar_elsewhere,
    near_threshold,
    refused,
)
from memaudit.report.dedup_tables import group_sizes, weakest_of_groups, write_tables
from memaudit.report.document import make_report, write_report
from memaudit.report.model import (
    Cells,
    Cleanness,
    DedupReport,
    DedupResults,
    DedupReviews,
    GroupedAt,
    GroupSizes,
    HowCompared,
    OtherSet,
    Pilot,
    Pixels,
    Recall,
    RedrawnCleared,
    RuledOut,
    Skew,
    SkewRow,
    TrueCopies,
    calibration_of,
    coverage_of,
)
from memaudit.report.page import histogram, percent, percent_down
from memaudit.report.pages import PLAIN, How, write_report_page
from memaudit.report.pictures import Pictures
from memaudit.store import FACES, Store
from memaudit.types import CONFIDENCE, Int64
from memaudit.words import plural

SIZE_BANDS = ((2, 2), (3, 4), (5, 9), (10, 19), (20, 99), (100, None))
SKEWS_REPORTED = 200
NOT_MEASURED = "not measured"


def write_dedup(
    result: DedupResult, store: Store, out: Path, against: Store | None = None, how: How = PLAIN
) -> DedupReport:
    """Write every file of a dedup run into `out` and return the report. report.json comes last.

    against: the other store, where the run had one.
    """
    with ThreadPoolExecutor(1) as pool:  # Arrow writes most of a table without holding the interpreter
        tables = pool.submit(write_tables, result, out, against)
        forgotten = (*store.manifest.forgotten, *(against.manifest.forgotten if against else ()))
        pictures = Pictures(out, how.alter, forgotten=forgotten)
        results = _shown(_results(result), result, (store, against), pictures)
        groups = largest_groups(result, store, pictures)
        tables.result()
    report = make_report(
        "dedup",
        inputs=_inputs(result),
        encoder=result.encoder,
        threshold=result.threshold,
        coverage=result.coverage,
        results=results,
        findings=groups,
        bound=bound_to(out, (store, against), how.about),
    )
    write_report_page(out / "report.html", report, beside=how.beside)
    write_report(out / "report.json", report)
    return report


def _shown(
    results: DedupResults, result: DedupResult, stores: tuple[Store, Store | None], pictures: Pictures
) -> DedupResults:
    """With what is shown as pictures, and what it takes a reading of the store to say. stores: this, and the other."""
    store, against = stores
    return replace(
        results,
        near_threshold=near_threshold(result, store, pictures),
        by_pixels_shown=by_pixels(result, store, pictures),
        redrawn_shown=drawn_anew(result, store, pictures),
        refused_shown=refused(result, store, pictures) if result.pixels else UNSET,
        by_threshold=[
            GroupedAt(**at._asdict()) for at in grouped_at(result.pairs, steps_of(result.pairs, result.threshold))
        ],
        against=_against(result, store, against, pictures),
        not_read=[*store.unsearched(store.first_frames_alone()), *_blank(store)],
    )


def _blank(store: Store) -> list[str]:
    """What "every image was compared" does not hold of."""
    count = len(store) - store.coverage.total
    if store.manifest.kind == FACES:
        what = f"{plural(count, 'row')} without a face that can be compared"
    else:
        what = f"{plural(count, 'blank image')}, of one colour or almost,"
    return [f"{what} stay unless their files are equal"] if count else []


def _inputs(result: DedupResult) -> dict[str, str]:
    inputs = {"store": result.store_digest}
    if result.against:
        inputs["against"] = result.against.store_digest
    if result.ignored:
        inputs["ignored"] = result.ignored.digest
    if result.reviews:
        inputs["reviews"] = result.reviews.digest
    if result.calibrated:
        inputs["calibration"] = result.calibrated.digest
    return inputs


def _results(result: DedupResult) -> DedupResults:
    decisions = result.decisions
    all_sizes = group_sizes(result)
    sizes = all_sizes[all_sizes > 1]
    largest = _largest(result, all_sizes)
    return DedupResults(
        conclusive=not result.inconclusive,
        reasons=list(result.inconclusive),
        headline=_headline(result),
        method=result.method,
        comparison=_comparison(result.comparison),
        pilot=convert(result.pilot, Pilot | None, from_attributes=True),
        keep_rule=result.keep_rule,
        cleanness=convert(result.cleanness, Cleanness | None, from_attributes=True),
        group_rule=result.group_rule,
        images=result.coverage.total,
        kept=result.count(Decision.KEEP),
        dropped=result.count(Decision.DROP),
        unreadable=result.count(Decision.UNREADABLE),
        exact_duplicates=int((decisions.reason == Reason.COPY).sum()),
        near_duplicates=int(np.isin(decisions.reason, (Reason.NEAR, Reason.PIXELS, Reason.PEOPLE, Reason.CHAIN)).sum()),
        by_pixels=_by_pixels(result),
        re_drawn=int((decisions.reason == Reason.REDRAWN).sum()),
        in_other_set=int((decisions.reason == Reason.ELSEWHERE).sum()),
        without_witness=_without_witness(result),
        groups=len(sizes),
        largest_group=largest.size,
        largest_group_smallest_similarity=largest.smallest_similarity,
        largest_group_chain_similarity=largest.chain_similarity,
        pairs=len(result.pairs.left),
        near_pairs=int((~result.pairs.exact & (result.pairs.similarity >= np.float32(result.threshold))).sum()),
        pairs_added_by_clustering=list(result.added),
        pixels=convert(result.pixels, Pixels | None, from_attributes=True),
        no_pixels=result.no_pixels,
        ignored=RuledOut(pairs=result.ignored.pairs, found=result.ignored.found) if result.ignored else None,
        reviews=convert(result.reviews, DedupReviews, from_attributes=True) if result.reviews else UNSET,
        recall=convert(result.recall, Recall, from_attributes=True),
        candidate_recall=convert(result.candidate_recall, Recall | None, from_attributes=True),
        copies=TrueCopies(**result.copies._asdict()) if result.copies else None,
        group_sizes=[
            GroupSizes(low=low, high=high, groups=int(((sizes >= low) & (sizes <= (high or np.inf))).sum()))
            for low, high in SIZE_BANDS
        ],
        similarities=histogram(result.pairs.similarity, min(_least(result), 0.99), 1.0, 25),
        skew=_skew(result.removal),
        calibration=calibration_of(result.calibrated),
        counted_kinds=[str(kind) for kind in result.kinds],
        redrawn=_redrawn(result.redrawn) if result.redrawn else UNSET,
    )


def _least(result: DedupResult) -> float:
    """The similarity that every pair reaches."""
    least = result.pixels.floor if result.pixels else result.threshold
    others = result.pairs.people.any() or result.pairs.redrawn.any()
    return min(least, float(result.pairs.similarity.min(initial=1))) if others else least


def _redrawn(found: measured.RedrawnCleared) -> RedrawnCleared:
    return RedrawnCleared(
        images=found.images,
        candidates=found.candidates,
        compared=coverage_of(found.compared),
        pairs=found.pairs,
        dropped=found.dropped,
        floor=found.floor,
        cut=found.cut,
        source=found.source,
        recall=NOT_MEASURED,
    )


def _comparison(comparison: Comparison) -> HowCompared:
    cells = [Cells(**asdict(cells), share=cells.share) for cells in comparison.cells]
    return HowCompared(
        backend=comparison.backend, note=comparison.note, compared=comparison.compared, clusterings=cells
    )


def _by_pixels(result: DedupResult) -> int:
    """Dropped images whose pair with the one that is kept was confirmed on pixels; not their exact duplicates."""
    return int((result.decisions.reason == Reason.PIXELS).sum())


def _without_witness(result: DedupResult) -> int:
    """Dropped images below the threshold with the one that is kept: by components only."""
    decisions = result.decisions
    inside = (decisions.decision == Decision.DROP) & (decisions.witness >= 0)
    seen = decisions.pixels[inside] | decisions.people[inside] | (decisions.kind[inside] == Kind.REDRAWN)
    return int((~seen & (decisions.similarity[inside] < np.float32(result.threshold))).sum())


class _Largest(NamedTuple):
    """Size of the largest group, and its smallest similarities; of equal sizes the first group, as on the page."""

    size: int = 0
    smallest_similarity: float | None = None
    chain_similarity: float | None = None


def _largest(result: DedupResult, sizes: Int64) -> _Largest:
    number = int(np.argmax(sizes)) if len(sizes) else -1
    if number < 0 or sizes[number] < 2:
        return _Largest()
    decisions = result.decisions
    weakest = (weakest_of_groups(result, column)[number] for column in (decisions.similarity, decisions.chain))
    return _Largest(int(sizes[number]), *(round(float(similarity), 4) for similarity in weakest))


def _against(result: DedupResult, store: Store, other: Store | None, pictures: Pictures) -> OtherSet | None:
    if result.against is None or other is None:
        return None
    found = result.against.found
    return OtherSet(
        images=coverage_of(result.against.coverage),
        found=len(found.row),
        same_file=int(found.same_file.sum()),
        similarities=histogram(found.similarity, min(result.threshold, 0.99), 1.0, 25),
        most_similar=most_similar_elsewhere(found, store, other, result.decisions.image_id, pictures),
    )


def _skew(removal: Removal) -> Skew:
    columns = {name: column[:SKEWS_REPORTED].tolist() for name, column in removal.skew._asdict().items()}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Skew(
        before=removal.before,
        after=removal.after,
        confidence=CONFIDENCE,
        values=len(removal.skew.value),
        left_out=removal.left_out,
        note=removal.note,
        rows=[
            SkewRow(**row, share_before=row["before"] / removal.before, share_after=row["after"] / removal.after)
            for row in rows
        ],
    )


def _headline(result: DedupResult) -> str:
    text = _removal(result)
    if result.inconclusive:
        return f"Inconclusive: {'; '.join(result.inconclusive)}. {text}"
    recall = result.recall
    if recall.by_pair.value is None:
        if not recall.sampled:
            return text
        whom = f"{recall.sampled:,} distinct images compared exactly with all others"
        return f"{text} At the threshold of {result.threshold:g}, none of {whom} has another."
    pairs = f"pairs of similarity {result.threshold:g} and more" if result.pixels else "near-duplicate pairs"
    found = f"{percent(recall.by_pair.value)} of the {pairs}"
    if recall.by_image.value is not None and recall.by_image.value < recall.by_pair.value:  # the weaker comes first
        found = f"a near-duplicate of {percent(recall.by_image.value)} of the images that have any, and {found}"
    return f"{text} This run found {found} ({_certainty(result)})."


def _removal(result: DedupResult) -> str:
    total = result.coverage.measured
    elsewhere = int((result.decisions.reason == Reason.ELSEWHERE).sum())
    dropped = result.count(Decision.DROP) - elsewhere
    first = (
        f"{elsewhere:,} of {total:,} images ({percent(elsewhere / total)}) are in the other set. " if elsewhere else ""
    )
    if not dropped:
        seen = _none_seen(result.pixels) if result.pixels else ""
        nothing = f"No duplicates of similarity {result.threshold:g} and more among {total - elsewhere:,} images"
        return f"{first}{nothing}{seen}."
    share = f"{first}{dropped:,} of {total:,} images ({percent(dropped / total)}) can go:"
    if result.group_rule == "cover":
        by_pixels = f" ({_by_pixels(result):,} of them)" if result.pixels else ""
        return f"{share} each has a duplicate that stays, {_duplicate(result)}{by_pixels}{_anew(result)}."
    return (
        f"{share} a chain of duplicates, {_duplicate(result)}, leads from each to one "
        f"that stays; {_without_witness(result):,} of them are less similar to that one{_anew(result)}."
    )


def _anew(result: DedupResult) -> str:
    count = int((result.decisions.reason == Reason.REDRAWN).sum())
    if result.redrawn is None:
        return ""
    return (
        f"; {count:,} of them are none, but drawn anew from one that stays, or copies of such a one (how many there "
        f"are: {NOT_MEASURED})"
    )


def _none_seen(checks: PixelChecks) -> str:
    """That no copy was seen, of no more pairs than were looked at."""
    where = f"from {checks.floor:g} on"
    if checks.checked == checks.candidates:
        return f", and none seen on pixels {where}"
    if checks.checked:
        return f", and none seen on pixels in {checks.checked:,} of {checks.candidates:,} pairs {where}"
    return f"; of {checks.candidates:,} pairs {where} none could be compared on pixels"


def _duplicate(result: DedupResult) -> str:
    likeness = f"of similarity {result.threshold:g} and more"
    others = ["seen on pixels"] * bool(result.pixels) + ["named by people"] * bool(result.pairs.people.any())
    return f"exact, {likeness}, or {' or '.join(others)}" if others else f"exact or {likeness}"


def _certainty(result: DedupResult) -> str:
    recall = result.recall
    if recall.census:
        return "every image was checked against every other"
    whole = f"all of those of at least {percent_down(recall.complete.low)} of the images that have any"
    return f"{whole}, from {recall.sampled:,} images checked against all"
