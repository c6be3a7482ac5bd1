"""Tables of an audit: matches.parquet and scores.parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.results import AuditResult
from memaudit.matching.kinds import Kind
from memaudit.matching.results import Matches
from memaudit.report.tables import overlap_columns, write_table
from memaudit.store import Columns, Store
from memaudit.types import Float32, Float64, Int64


def ratios_of(result: AuditResult) -> NDArray[np.float32]:
    """The ratio to the neighbours of each match, NaN where none was measured."""
    count = len(result.matches.query)
    return result.neighbour_ratio if len(result.neighbour_ratio) == count else none_of(result.matches)


class Targets:
    """The columns of the training images that somebody resembles, by store row."""

    def __init__(self, references: Store, rows: Int64) -> None:
        self._rows = np.unique(rows)
        self.columns = references.columns(self._rows)

    def places(self, rows: Int64) -> Int64:
        """Where each of the given store rows stands in `columns`."""
        return np.searchsorted(self._rows, rows)


def write_matches(out: Path, result: AuditResult, queries: Columns, targets: Targets) -> None:
    """All matches, by id; after them those of kinds that do not count, and the generations that are re-drawn."""
    matches, ratios = result.matches, ratios_of(result)
    counted = np.ones(len(matches.query), bool)
    for others, count in beside(result):
        matches, ratios = matches.followed_by(others), np.r_[ratios, none_of(others)]
        counted = np.r_[counted, np.full(len(others.query), count)]
    known = matches.overlaps.known
    write_table(
        out / "matches.parquet",
        {
            "query_id": queries.image_id[matches.query],
            "reference_id": targets.columns.image_id[targets.places(matches.reference)],
            "similarity": matches.similarity,
            "rank": matches.rank,
            "view": matches.view,
            "kind": matches.kind.astype(str),
            "verified": matches.verified,
            "compared": matches.compared,
            "probability": matches.probability,
            "counted": counted,
            "near_duplicates": matches.near_duplicates,
            "is_prompts_image": result.scores.paired[matches.query] == matches.reference,
            "neighbour_ratio": ratios,
            "simplicity": targets.columns.simplicity[targets.places(matches.reference)],
            "prompt": np.array(result.prompts, dtype=object)[matches.query],
            "caption": targets.columns.caption[targets.places(matches.reference)],
            "picture": result.pictures[matches.query].astype(object),
            **overlap_columns(
                matches.overlaps[known],
                np.flatnonzero(known),
                len(known),
                ("query_box", "reference_box"),
            ),
        },
    )


def beside(result: AuditResult) -> Iterator[tuple[Matches, bool]]:
    """What stands beside the matches that count, and whether it counts: those of other kinds, and what is re-drawn."""
    if result.not_counted is not None:
        yield result.not_counted, False
    if result.redrawn is not None:
        yield result.redrawn.findings, Kind.REDRAWN in result.kinds


def write_scores(out: Path, result: AuditResult, queries: Columns, references: Store) -> None:
    """One row for each generation, found or missing: what was measured of it, and what not."""
    scores, missing = result.scores, len(result.missing)
    redrawn, probability = _redrawn(result)
    write_table(
        out / "scores.parquet",
        {
            "query_id": [*queries.image_id, *result.missing],
            "status": [*map(str, scores.status), *["missing"] * missing],
            "prompt": [*result.prompts, *[""] * missing],
            "seed": [*result.seeds, *[""] * missing],
            "best_id": [*_ids(references, scores.best), *[None] * missing],
            "best_similarity": np.r_[scores.best_similarity, np.full(missing, np.nan, np.float32)],
            "matches": np.r_[matches_of(result), np.zeros(missing, np.int64)],
            "regurgitated": np.r_[scores.regurgitated, np.zeros(missing, bool)],
            "paired_id": [*_ids(references, scores.paired), *[None] * missing],
            "paired_similarity": np.r_[scores.paired_similarity, np.full(missing, np.nan, np.float32)],
            "paired_match": np.r_[scores.paired_match, np.zeros(missing, bool)],
            "picture": [*result.pictures.tolist(), *[""] * missing],
            "counted": np.r_[result.counted, np.zeros(missing, bool)],
            "undecided": np.r_[result.undecided, np.zeros(missing, bool)],
            "redrawn": np.r_[redrawn, np.zeros(missing, bool)],
            "redrawn_probability": np.r_[probability, np.full(missing, np.nan, np.float32)],
            "control_p": np.r_[p_of(result), np.full(missing, np.nan)],
            "control_q": np.r_[q_of(result), np.full(missing, np.nan)],
        },
    )


def _redrawn(result: AuditResult) -> tuple[NDArray[np.bool_], Float32]:
    """Which generations are re-drawn, and the likeliest pair's probability, NaN where none was looked at."""
    rows, found = len(result.scores.best), result.redrawn
    probability = np.full(rows, -1, np.float32)
    if found is not None:
        np.maximum.at(probability, found.pairs.query, np.nan_to_num(found.pairs.probability, nan=-1))
    probability[probability < 0] = np.nan
    return np.zeros(rows, bool) if found is None else found.found, probability


def matches_of(result: AuditResult) -> Int64:
    """How many matches each generation has, of which not all may be listed."""
    listed = per_generation(result, result.matches)
    return listed if result.matched is None else np.maximum(listed, result.matched.images)


def per_generation(result: AuditResult, matches: Matches) -> Int64:
    """How many of these each generation has."""
    return np.bincount(matches.query, minlength=len(result.scores.best))


def none_of(matches: Matches) -> Float32:
    """A column of these that was not measured."""
    return np.full(len(matches.query), np.nan, np.float32)


def p_of(result: AuditResult) -> Float64:
    """The p of each generation by its rank among the held-out images, NaN without a control."""
    found = result.control.discoveries if result.control else None
    return np.full(len(result.scores.best), np.nan) if found is None else found.p


def q_of(result: AuditResult) -> Float64:
    """The same, adjusted for the number of generations."""
    found = result.control.discoveries if result.control else None
    return np.full(len(result.scores.best), np.nan) if found is None else found.adjusted


def _ids(store: Store, rows: Int64) -> list[str | None]:
    known = rows >= 0
    ids = np.full(len(rows), None, dtype=object)
    ids[known] = store.columns(rows[known]).image_id
    return list(ids)
