"""Findings of an audit: as report.json holds them, and as the page shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import numpy as np
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from memaudit.audit.results import AuditResult
from memaudit.images.addresses import unsigned
from memaudit.images.remote import is_url
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.results import Misses
from memaudit.report.audit_tables import Targets, matches_of, p_of, q_of, ratios_of
from memaudit.report.model import Alignment, ImageMatch, Miss, file_digest
from memaudit.report.pictures import Pictures
from memaudit.report.tables import rank_of
from memaudit.store import Columns, Store
from memaudit.types import Int64

NOT_COMPARED = "not compared"
OWN, NEAR_OWN, OTHER = "the prompt's own image", "near-duplicate of the prompt's", "not the prompt's image"


class Card(NamedTuple):
    """What the page shows of a finding, in the words that it shows, and what it sorts and filters by."""

    similarity: float
    kind: str
    view: str
    relation: str
    near_duplicates: int
    ratio: float | None
    q: float | None
    query_id: str
    reference_id: str
    prompt: str
    caption: str
    tags: list[str]
    facts: str
    query_picture: str | None
    reference_picture: str | None


class PageData(TypedDict):
    """All cards as rows, for the page's script."""

    fields: tuple[str, ...]
    rows: list[Card]


def findings_of(
    result: AuditResult, queries: Columns, targets: Targets, pictures: Pictures, pictured: int
) -> list[ImageMatch]:
    """One finding for each regurgitated generation: its most similar training image; worst first.

    The first `pictured` get thumbnails.
    """
    order = _worst_first(result, queries)
    places, counts = targets.places(result.matches.reference), matches_of(result)
    return [
        _finding(
            result,
            queries,
            targets.columns,
            int(match),
            int(places[match]),
            int(counts[result.matches.query[match]]),
            pictures if number < pictured else None,
        )
        for number, match in enumerate(order)
    ]


def _worst_first(result: AuditResult, queries: Columns) -> Int64:
    """Positions of the matches of rank 1; ties in the order of the generations' image_ids."""
    matches = result.matches
    first = np.flatnonzero(matches.rank == 1)
    return first[np.lexsort((rank_of(queries.image_id[matches.query[first]]), -matches.similarity[first]))]


def _finding(
    result: AuditResult,
    queries: Columns,
    targets: Columns,
    match: int,
    target: int,
    count: int,
    pictures: Pictures | None,
) -> ImageMatch:
    matches, scores = result.matches, result.scores
    query, reference = int(matches.query[match]), int(matches.reference[match])
    uri = targets.uri[target]
    return ImageMatch(
        query_id=queries.image_id[query],
        reference_id=targets.image_id[target],
        query_sha256=file_digest(queries.sha256[query]),
        reference_sha256=file_digest(targets.sha256[target]),
        reference_url=unsigned(uri) if is_url(uri) else None,
        similarity=round(float(matches.similarity[match]), 4),
        view=str(matches.view[match]),
        kind=str(matches.kind[match]),
        verified=bool(matches.verified[match]),
        probability=_number(matches.probability[match], 4),
        paired=bool(scores.paired_match[query]),
        is_prompts_image=bool(scores.paired[query] == reference),
        near_duplicates=int(matches.near_duplicates[match]),
        neighbour_ratio=_number(ratios_of(result)[match], 3),
        simplicity=_number(targets.simplicity[target], 3),
        p=_number(p_of(result)[query]),
        q=_number(q_of(result)[query]),
        prompt=result.prompts[query],
        seed=result.seeds[query],
        caption=targets.caption[target],
        query_picture=pictures.add(f"generation-{query}", queries.uri[query], queries.sha256[query])
        if pictures
        else None,
        reference_picture=pictures.add(f"training-{reference}", uri, targets.sha256[target]) if pictures else None,
        matches=count,
        alignment=_alignment(matches.overlaps, match) if pictures else UNSET,
    )


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
            query_picture=pictures.add(f"generation-{query}", queries.uri[query], queries.sha256[query]),
            reference_picture=pictures.add(f"training-{misses.reference[i]}", targets.uri[i], targets.sha256[i]),
        )
        for i, (query, miss) in enumerate(
            zip(misses.query.tolist(), without_pictures(misses, queries, targets), strict=True)
        )
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


def card(finding: ImageMatch) -> Card:
    relation = OWN if finding.is_prompts_image else NEAR_OWN if finding.paired else OTHER
    relation = relation if finding.prompt or finding.is_prompts_image or finding.paired else ""
    tags = [finding.kind + ("" if finding.verified else ", by embeddings")]
    tags += [f"view: {finding.view}"] if finding.view != "whole" else []
    tags += [relation] if relation else []
    return Card(
        similarity=finding.similarity,
        kind=finding.kind,
        view=finding.view,
        relation=relation,
        near_duplicates=finding.near_duplicates,
        ratio=finding.neighbour_ratio,
        q=finding.q,
        query_id=finding.query_id,
        reference_id=finding.reference_id,
        prompt=_asked(finding),
        caption=finding.caption,
        tags=tags,
        facts=_facts(finding),
        query_picture=finding.query_picture,
        reference_picture=finding.reference_picture,
    )


def _asked(finding: ImageMatch) -> str:
    seed = f", seed {finding.seed}" if finding.seed else ""
    return f"Prompt “{finding.prompt}”{seed}." if finding.prompt else ""


def _facts(finding: ImageMatch) -> str:
    count, ratio, q = finding.near_duplicates, finding.neighbour_ratio, finding.q
    parts = ["no near-duplicate in the training set" if count <= 1 else f"{count:,} near-duplicates, itself included"]
    if ratio is not None:
        parts.append(f"ratio to neighbours {ratio:.2f}")
    if q is not None:
        parts.append(f"q {q:.2g}")
    if finding.reference_url:
        parts.append(finding.reference_url)
    return " · ".join(parts)


def page_data(findings: Sequence[ImageMatch]) -> PageData:
    return {"fields": Card._fields, "rows": [card(finding) for finding in findings]}
