"""Tables and lists of a dedup run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.results import KIND_NAMES, Cleanness, Decision, DedupResult, Reason
from memaudit.report.tables import Ids, as_text, overlap_columns, rank_of, write_lines, write_table
from memaudit.store import Store
from memaudit.types import Float32, Int64


def write_tables(result: DedupResult, out: Path, against: Store | None) -> None:
    """Write pairs, groups, decisions and skew as Parquet, and the lists of what to keep and drop."""
    ids, decisions, pairs = result.decisions.image_id, result.decisions, result.pairs
    text = as_text(ids)
    by_pixels = pairs.on_pixels(result.threshold)
    write_table(
        out / "pairs.parquet",
        {
            "left_id": Ids(text, pairs.left),
            "right_id": Ids(text, pairs.right),
            "similarity": pairs.similarity,
            "exact": pairs.exact,
            "pixels": by_pixels,
            "people": pairs.people,
            "kind": Ids(as_text(KIND_NAMES), pairs.kind % len(KIND_NAMES)),
            "probability": _probability(result, by_pixels),
            **overlap_columns(result.overlaps, np.flatnonzero(by_pixels), len(by_pixels), ("left_box", "right_box")),
        },
    )
    _write_groups(result, text, out)
    _write_decisions(result, text, out, against)
    write_table(out / "skew.parquet", result.removal.skew._asdict())
    write_lines(out / "keep.txt", ids[decisions.decision == Decision.KEEP])
    write_lines(out / "drop.txt", ids[decisions.decision == Decision.DROP])


def _probability(result: DedupResult, by_pixels: NDArray[np.bool_]) -> Float32:
    """A column of all pairs: NaN for those that pixels were not asked about."""
    column = np.full(len(by_pixels), np.nan, np.float32)
    column[by_pixels] = result.probability
    if result.redrawn is not None:
        column[result.pairs.redrawn] = result.redrawn.probability
    return column


def weakest_of_groups(result: DedupResult, column: Float32) -> Float32:
    """The lowest value of a column of the decisions in each group, (groups,); 1 for a single image."""
    group = result.decisions.group
    weakest = np.ones(int(group.max(initial=-1)) + 1, np.float32)
    np.minimum.at(weakest, group[group >= 0], column[group >= 0])
    return weakest


def group_sizes(result: DedupResult) -> Int64:
    """Number of images of each group, single ones included."""
    group = result.decisions.group
    return np.asarray(np.bincount(group[group >= 0]), dtype=np.int64)


def _write_groups(result: DedupResult, ids: Any, out: Path) -> None:
    decisions = result.decisions
    sizes = group_sizes(result)
    grouped = np.flatnonzero(decisions.group >= 0)
    grouped = grouped[sizes[decisions.group[grouped]] > 1]
    grouped = grouped[np.lexsort((rank_of(decisions.image_id[grouped]), decisions.group[grouped]))]
    number = decisions.group[grouped]
    write_table(
        out / "groups.parquet",
        {
            "group": number,
            "image_id": Ids(ids, grouped),
            "similarity": decisions.similarity[grouped],
            "chain_similarity": decisions.chain[grouped],
            "group_smallest_similarity": weakest_of_groups(result, decisions.similarity)[number],
            "group_chain_similarity": weakest_of_groups(result, decisions.chain)[number],
        },
    )


def _write_decisions(result: DedupResult, text: Any, out: Path, against: Store | None) -> None:
    decisions = result.decisions
    ids = decisions.image_id
    dropped = decisions.decision == Decision.DROP
    witness = np.full(len(ids), None, dtype=object)
    inside = dropped & (decisions.reason != Reason.ELSEWHERE)
    witness[inside] = ids[decisions.witness[inside]]
    if result.against is not None and against is not None:
        witness[result.against.found.row] = against.columns(result.against.found.other).image_id
    write_table(
        out / "decisions.parquet",
        {
            "image_id": Ids(text, np.arange(len(ids))),
            "decision": decisions.decision,
            "group": decisions.group,
            "witness_id": witness,
            "witness_similarity": np.where(dropped, decisions.similarity, np.nan),
            "reason": decisions.reason,
            "kind": decisions.kind,
            "pixels": decisions.pixels & dropped,
            "people": decisions.people & dropped,
            **_cleanness(result.cleanness),
        },
    )


def _cleanness(cleanness: Cleanness | None) -> dict[str, NDArray[Any]]:
    """Columns that say why one is kept rather than another, where the keep rule looks for that."""
    return {} if cleanness is None else {"keep_score": cleanness.score, "behind": cleanness.behind}
