"""Findings of an audit: as report.json holds them, and as the page shows them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from numpy.typing import NDArray

from memaudit.audit.results import AuditResult
from memaudit.images.addresses import unsigned
from memaudit.images.remote import is_url
from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.results import Matches, Misses
from memaudit.report.audit_tables import Targets, matches_of, none_of, p_of, per_generation, q_of, ratios_of
from memaudit.report.model import Alignment, FurtherMatch, ImageMatch, Miss, file_digest
from memaudit.report.pictures import Pictures
from memaudit.report.tables import rank_of
from memaudit.store import Columns, Store
from memaudit.types import Float32, Int64

NOT_COMPARED = "not compared"
_FURTHER = 20  # matches of a finding that are named beside the one that it lists


def findings_of(
    result: AuditResult, queries: Columns, targets: Targets, pictures: Pictures, pictured: int
) -> list[ImageMatch]:
    """One finding for each regurgitated generation: its most similar training image; worst first.

    The gravest `pictured` get thumbnails.
    """
    more = None if result.matched is None else result.matched.more
    found = Found(result.matches, ratios_of(result), matches_of(result), more)
    order = worst_first(found.matches, found.matches.similarity, queries)
    gravest = set(np.lexsort((np.arange(len(order)), _gravity(found.matches.kind[order])))[:pictured].tolist())
    return [
        finding_of(result, queries, targets, found, int(match), pictures if number in gravest else None)
        for number, match in enumerate(order)
    ]


def not_counted_of(
    result: AuditResult, queries: Columns, targets: Targets, pictures: Pictures, pictured: int
) -> list[ImageMatch]:
    """The same of generations whose matches are all of kinds that do not count."""
    matches = result.not_counted
    if matches is None or not len(matches.query):
        return []
    found = Found(matches, none_of(matches), per_generation(result, matches))
    ordered = enumerate(worst_first(matches, matches.similarity, queries).tolist())
    return [
        finding_of(result, queries, targets, found, match, pictures if number < pictured else None)
        for number, match in ordered
    ]


class Found(NamedTuple):
    """Matches of one kind or another, their ratio to the neighbours, how many each generation has, and whether it may
    have further ones."""

    matches: Matches
    ratio: Float32
    counts: Int64
    more: NDArray[np.bool_] | None = None


def worst_first(matches: Matches, by: Float32, queries: Columns) -> Int64:
    """Positions of the matches of rank 1, by a falling column; ties in the order of the generations' image_ids."""
    first = np.flatnonzero(matches.rank == 1)
    return first[np.lexsort((rank_of(queries.image_id[matches.query[first]]), -by[first]))]


def _gravity(kinds: NDArray[np.object_]) -> Int64:
    """The place of each kind among those of a match, 0 the gravest."""
    places = {str(kind): place for place, kind in enumerate(COPIES)}
    return np.array([places.get(str(kind), len(places)) for kind in kinds], dtype=np.int64)


def finding_of(
    result: AuditResult, queries: Columns, targets: Targets, found: Found, match: int, pictures: Pictures | None
) -> ImageMatch:
    """One of the matches as a finding."""
    (matches, ratio, counts, more), scores = found, result.scores
    query, reference = int(matches.query[match]), int(matches.reference[match])
    target, columns = int(targets.places(matches.reference[match : match + 1])[0]), targets.columns
    uri, ids = columns.uri[target], (queries.image_id[query], columns.image_id[target])
    return ImageMatch(
        query_id=ids[0],
        reference_id=ids[1],
        query_sha256=file_digest(queries.sha256[query]),
        reference_sha256=file_digest(columns.sha256[target]),
        reference_url=unsigned(uri) if is_url(uri) else None,
        similarity=round(float(matches.similarity[match]), 4),
        view=str(matches.view[match]),
        kind=str(matches.kind[match]),
        kinds=_kinds(result, matches, match),
        counted=UNSET if _counts(result, matches, match) else False,
        verified=bool(matches.verified[match]),
        probability=_number(matches.probability[match], 4),
        paired=bool(scores.paired_match[query]),
        is_prompts_image=bool(scores.paired[query] == reference),
        near_duplicates=int(matches.near_duplicates[match]),
        neighbour_ratio=_number(ratio[match], 3),
        simplicity=_number(columns.simplicity[target], 3),
        p=_number(p_of(result)[query]),
        q=_number(q_of(result)[query]),
        prompt=result.prompts[query],
        seed=result.seeds[query],
        caption=columns.caption[target],
        query_picture=pictures.add(f"generation-{query}", queries.uri[query], queries.sha256[query], *ids)
        if pictures
        else None,
        reference_picture=pictures.add(f"training-{reference}", uri, columns.sha256[target], *ids)
        if pictures
        else None,
        matches=int(counts[query]),
        more=True if more is not None and more[query] else UNSET,
        further=_further(matches, match, targets),
        alignment=_alignment(matches.overlaps, match) if pictures else UNSET,
    )


def _further(matches: Matches, match: int, targets: Targets) -> list[FurtherMatch] | UnsetType:
    """What stands behind the first match of a generation: whoever says that it is no copy must look at these too."""
    after = matches.query[match + 1 : match + 1 + _FURTHER]
    end = match + 1 + int(np.argmin(np.r_[after == matches.query[match], False]))
    columns = targets.columns
    rows = [int(targets.places(matches.reference[place : place + 1])[0]) for place in range(match + 1, end)]
    further = [
        FurtherMatch(
            reference_id=columns.image_id[row],
            reference_sha256=file_digest(columns.sha256[row]),
            similarity=round(float(matches.similarity[place]), 4),
            kind=str(matches.kind[place]),
            verified=bool(matches.verified[place]),
        )
        for place, row in enumerate(rows, match + 1)
    ]
    return further or UNSET


def _kinds(result: AuditResult, matches: Matches, match: int) -> list[str] | UnsetType:
    """Where there are several, and this match was looked at."""
    kinds = result.kinds_of.get(int(matches.query[match]), ())
    told = matches.compared[match] or matches.verified[match]
    return list(kinds) if told and len(kinds) > 1 else UNSET


def _counts(result: AuditResult, matches: Matches, match: int) -> bool:
    """Whether a match of these, of a generation that has its kind alone, is one that counts."""
    return matches is not result.not_counted and (matches.kind[match] != Kind.REDRAWN or Kind.REDRAWN in result.kinds)


def _alignment(overlaps: Overlaps, match: int) -> Alignment | UnsetType:
    """Not stated where pixels were not compared, or do not show where the two lie."""
    if np.isnan(overlaps.matrix[match, 0, 0]):
        return UNSET
    columns = (overlaps.matrix[match].ravel(), overlaps.query_box[match], overlaps.reference_box[match])
    matrix, *boxes = ([round(value, 4) for value in column.tolist()] for column in columns)
    return Alignment(matrix=matrix, query_box=boxes[0], reference_box=boxes[1])


def misses_of(result: AuditResult, queries: Columns, references: Store, pictures: Pictures) -> list[Miss]:
    """The closest pairs that are no findings: whoever doubts the decision looks at these. What pixels were not compared
    of is not called different."""
    misses = result.misses
    if misses is None or not len(misses.query):
        return []
    targets = references.columns(misses.reference)
    return [
        replace(
            miss,
            query_picture=pictures.add(f"generation-{query}", queries.uri[query], queries.sha256[query], *ids),
            reference_picture=pictures.add(f"training-{misses.reference[i]}", targets.uri[i], targets.sha256[i], *ids),
        )
        for i, (query, miss) in enumerate(
            zip(misses.query.tolist(), without_pictures(misses, queries, targets), strict=True)
        )
        for ids in [(miss.query_id, miss.reference_id)]
    ]


def without_pictures(misses: Misses, queries: Columns, targets: Columns) -> list[Miss]:
    """A line for each. targets: the training images, one for each."""
    return [
        Miss(
            query_id=queries.image_id[query],
            reference_id=targets.image_id[i],
            query_sha256=file_digest(queries.sha256[query]),
            reference_sha256=file_digest(targets.sha256[i]),
            similarity=round(float(misses.similarity[i]), 4),
            view=str(misses.view[i]),
            kind=str(Kind.SIMILAR) if misses.compared[i] else NOT_COMPARED,
            probability=_number(misses.probability[i], 4),
        )
        for i, query in enumerate(misses.query.tolist())
    ]


def likeliest_misses_of(result: AuditResult, queries: Columns, references: Store) -> list[Miss] | UnsetType:
    """Those that are copies most likely; not stated where pixels were not compared."""
    misses = result.likeliest_misses
    return UNSET if misses is None else without_pictures(misses, queries, references.columns(misses.reference))


def _number(value: float, digits: int = 6) -> float | None:
    """A plain number for JSON; None for one that was not measured."""
    return None if math.isnan(value) else round(float(value), digits)
