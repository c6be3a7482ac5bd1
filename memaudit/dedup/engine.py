"""The dedup run: exact copies, pairs, recall, keep or drop."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memaudit.dedup.clusters import SEEDS, Plan, choose_clusters
from memaudit.dedup.copies import representatives
from memaudit.dedup.groups import Cover, cover
from memaudit.dedup.pairs import Matrix, find_pairs
from memaudit.dedup.recall import measure_recall, recall_of_exhaustive
from memaudit.errors import InputError, UsageError
from memaudit.records import (
    Coverage,
    Decision,
    Decisions,
    DedupRecall,
    DedupResult,
    Float32,
    Int64,
    Progress,
    Reason,
    RowPairs,
    Status,
    silent,
)
from memaudit.similarity import Pairs, exact
from memaudit.similarity.exact import require_threshold
from memaudit.store import BLOCK_ROWS, Columns, Store

KEEP_RULES = ("largest", "first")


@dataclass(frozen=True)
class DedupOptions:
    """threshold None: the encoder's own. clusters None: chosen by cost, 0: exhaustive."""

    threshold: float | None = None
    clusters: int | None = None
    clusterings: int = 1
    probes: int = 2
    keep: str = "largest"
    recall_sample: int = 1000
    confidence: float = 0.95
    seed: int = 0
    max_unreadable: float = 0.01


def dedup(
    store: Store,
    options: DedupOptions = DedupOptions(),
    *,
    scratch: Path | None = None,
    progress: Progress = silent,
) -> DedupResult:
    """Find the near-duplicates of a store and decide what to keep.

    `scratch` is where a float32 copy of the embeddings goes while the run lasts (default: the system's temporary
    folder). Memory: blocks, some 500 bytes a row for names and decisions, and the pairs found.
    Raises UsageError for impossible options, InputError for a store without images or with NaN.
    """
    threshold = store.encoder.threshold if options.threshold is None else options.threshold
    require_threshold(threshold)
    require_possible(options)
    columns = store.all_columns()
    rank = keep_rank(columns, options.keep)
    stands_for = representatives(store, rank)
    rows = np.intersect1d(store.comparable_rows(), stands_for)
    if not len(rows):
        raise InputError(f"store {store.folder} has no readable image: nothing to compare")
    plan = plan_comparison(len(rows), options)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".dedup-") as folder:
        matrix = Matrix(Path(folder) / "embeddings.npy", store, rows)
        pairs, added = find_pairs(matrix, threshold, plan, options.seed, progress)
        recall = _recall(matrix, pairs, threshold, plan, options, progress)
    covered = cover(len(rows), pairs, rank[rows])
    decisions = _decide(columns, stands_for, rows, covered)
    verify_witnesses(store, decisions, stands_for, threshold)
    coverage = Coverage(int((columns.status != Status.UNREADABLE).sum()), len(store))
    return DedupResult(
        encoder=store.encoder,
        store_digest=store.digest,
        threshold=threshold,
        method=plan.describe(),
        keep_rule=options.keep,
        coverage=coverage,
        decisions=decisions,
        pairs=_row_pairs(pairs, rows, stands_for, columns),
        added=tuple(added),
        recall=recall,
        inconclusive=_shortfalls(store, coverage, options.max_unreadable),
    )


def _shortfalls(store: Store, coverage: Coverage, allowed: float) -> tuple[str, ...]:
    """Why this run does not speak of the whole set."""
    reasons = []
    if store.cut:
        reasons.append(f"archives end early ({store.cut} rows say so): an unknown number of images is missing")
    if coverage.falls_short(allowed):
        reasons.append(f"only {coverage.measured:,} of {coverage.total:,} images could be read")
    return tuple(reasons)


def _recall(
    matrix: Matrix, pairs: Pairs, threshold: float, plan: Plan, options: DedupOptions, progress: Progress
) -> DedupRecall:
    if plan.exhaustive:
        return recall_of_exhaustive(pairs, len(matrix), threshold, options.confidence)
    return measure_recall(
        matrix,
        pairs,
        threshold,
        sample=options.recall_sample,
        confidence=options.confidence,
        seed=options.seed,
        progress=progress,
    )


def require_possible(options: DedupOptions) -> None:
    """Raise UsageError for options that no store could make possible."""
    if options.threshold is not None:
        require_threshold(options.threshold)
    if options.keep not in KEEP_RULES:
        raise UsageError(f"unknown keep rule {options.keep!r}: expected one of {', '.join(KEEP_RULES)}")
    for name, least in (("clusterings", 1), ("probes", 1), ("recall_sample", 1), ("seed", 0)):
        value = getattr(options, name)
        if not least <= value < SEEDS:
            raise UsageError(f"--{name.replace('_', '-')} {value} is out of range: expected at least {least}")
    if not 0 < options.confidence < 1:
        raise UsageError(f"confidence {options.confidence:g} is out of range: expected between 0 and 1")


def plan_comparison(rows: int, options: DedupOptions) -> Plan:
    """Settle clusters, probes and clusterings for this many rows. Raises UsageError for what cannot be."""
    clusters = options.clusters
    if clusters is None:
        clusters = choose_clusters(rows, options.probes, options.clusterings)
    if clusters < 0 or clusters > rows:
        raise UsageError(f"--clusters {clusters} is out of range: there are {rows} distinct images to cluster")
    return Plan(clusters, min(options.probes, max(1, clusters)), options.clusterings)


def keep_rank(columns: Columns, rule: str) -> Int64:
    """The place of each row in the order of preference (0: kept first); a total order, independent of row order.

    largest: most pixels first, ties by image_id. first: by image_id.
    """
    area = columns.width * columns.height if rule == "largest" else np.zeros_like(columns.width)
    # As objects: an array of fixed-width text gives every id the room of the longest.
    by_id = np.argsort(columns.image_id, kind="stable")
    order = by_id[np.argsort(-area[by_id], kind="stable")]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _decide(columns: Columns, stands_for: Int64, rows: Int64, covered: Cover) -> Decisions:
    everyone = np.arange(len(stands_for), dtype=np.int64)
    witness_of = everyone.copy()  # of representatives; a blank one keeps itself
    witness_of[rows] = rows[covered.witness]
    similarity_of = np.ones(len(everyone), np.float32)
    similarity_of[rows] = covered.similarity
    witness, similarity = witness_of[stands_for], similarity_of[stands_for]
    readable = columns.status != Status.UNREADABLE
    witness[~readable], similarity[~readable] = -1, 0
    kept = witness == everyone
    reason = np.full(len(everyone), Reason.NEAR, dtype=object)
    reason[stands_for != everyone] = Reason.COPY
    group_size = np.bincount(witness[readable], minlength=len(everyone))
    reason[kept] = np.where(group_size[kept] > 1, Reason.CHOSEN, Reason.UNIQUE)
    reason[kept & (columns.status == Status.BLANK) & (group_size == 1)] = Reason.BLANK
    reason[~readable] = Reason.UNREADABLE
    decision = np.where(kept, Decision.KEEP, Decision.DROP).astype(object)
    decision[~readable] = Decision.UNREADABLE
    number = np.cumsum(kept) - 1
    group = np.where(readable, number[witness], -1)
    return Decisions(columns.image_id, decision, reason, group, witness, similarity)


def verify_witnesses(store: Store, decisions: Decisions, stands_for: Int64, threshold: float) -> None:
    """Hold the promise of the cover rule against the store itself, before anything is written.

    An exact duplicate is held to the image that stands for it: the same file may have got an embedding that differs
    in the last bits, in another batch of the encoder.
    """
    dropped = np.flatnonzero(decisions.decision == Decision.DROP)
    assert (decisions.decision[decisions.witness[dropped]] == Decision.KEEP).all(), "a witness is not kept"
    near = np.unique(stands_for[dropped])
    near = near[decisions.decision[near] == Decision.DROP]
    for low in range(0, len(near), BLOCK_ROWS):
        part = near[low : low + BLOCK_ROWS]
        similarity = _similarity(store, part, decisions.witness[part])
        assert (similarity >= np.float32(threshold)).all(), "a witness lies below the threshold"


def _similarity(store: Store, left: Int64, right: Int64) -> Float32:
    return exact(store.embeddings(left), store.embeddings(right))


def _row_pairs(pairs: Pairs, rows: Int64, stands_for: Int64, columns: Columns) -> RowPairs:
    """Near pairs of representatives, and each exact duplicate with its representative; sorted by row."""
    copies = np.flatnonzero((stands_for != np.arange(len(stands_for))) & (columns.status != Status.UNREADABLE))
    originals = stands_for[copies]
    left = np.concatenate([rows[pairs.left], np.minimum(copies, originals)])
    right = np.concatenate([rows[pairs.right], np.maximum(copies, originals)])
    similarity = np.concatenate([pairs.similarity, np.ones(len(copies), np.float32)])
    is_exact = np.arange(len(left)) >= len(pairs.left)
    order = np.lexsort((right, left))
    return RowPairs(left[order], right[order], similarity[order], is_exact[order])
