"""The dedup run: exact copies, pairs, recall, keep or drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.dedup.against import find_elsewhere, require_comparable
from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.cleanest import cleanness, judge, unjudged
from memaudit.dedup.clusters import SEEDS, Plan, choose_clusters
from memaudit.dedup.decisions import Ruling, decide, note_lonely, require_group_rule, require_promises, settle
from memaudit.dedup.effort import seconds_of
from memaudit.dedup.exact_duplicates import NO_PAIRS, representatives
from memaudit.dedup.ignored import RuledOut, ruled_out_positions, ruled_out_rows, without
from memaudit.dedup.keep import CLEANEST, keep_rank, require_rule, why_blind
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import Found, compare
from memaudit.dedup.pixels import Confirmed, Limits, confirm, rule_of, shortfall
from memaudit.dedup.recall import measure_recall, recall_of_exhaustive
from memaudit.dedup.results import (
    Cleanness,
    Comparison,
    Decisions,
    DedupRecall,
    DedupResult,
    Elsewhere,
    Estimate,
    Ignored,
    PixelChecks,
    RowPairs,
    TrueCopies,
)
from memaudit.dedup.room import require_room
from memaudit.dedup.skew import removal_skew
from memaudit.dedup.skew_sums import linked_families
from memaudit.dedup.target_recall import Reached, Target, reach_recall
from memaudit.dedup.true_copies import true_copies
from memaudit.dedup.verdicts import VERDICTS
from memaudit.errors import InputError, UsageError
from memaudit.matching.overlap import Overlaps
from memaudit.matching.plan import MatchPlan, plan_matching, require_match
from memaudit.matching.shortfalls import cut_archives
from memaudit.similarity import Pairs
from memaudit.similarity.backends import require_backend
from memaudit.similarity.exact import require_threshold
from memaudit.store import Columns, Store
from memaudit.types import Coverage, Float32, Int64, Progress, Status, silent, unsaid

METHODS = ("auto", "openai-2022")
_NOWHERE = Elsewhere(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, bool))


@dataclass(frozen=True)
class DedupOptions:
    """threshold None: the encoder's own. method: one of METHODS; another than auto sets clusters, clusterings, probes.
    clusters None: chosen by cost, 0: exhaustive. target_recall: the search goes on until its lower bound is this high.
    backend: who nominates pairs (memaudit.similarity.backends). groups: cover or components. match: whether pairs
    from `match_from` (None: the encoder's floor) to the threshold are decided on pixels: auto, pixels or none. budget:
    seconds that this may take."""

    threshold: float | None = None
    method: str = "auto"
    clusters: int | None = None
    clusterings: int = 1
    probes: int = 2
    target_recall: float | None = None
    backend: str = "auto"
    keep: str = CLEANEST
    groups: str = "cover"
    match: str = "auto"
    match_from: float | None = None
    budget: float | None = None
    recall_sample: int = 1000
    confidence: float = 0.95
    seed: int = 0
    max_unreadable: float = 0.01


@dataclass(frozen=True)
class _Compared:
    """What the comparison of distinct images found; pairs are positions among them. shortfall: why the recall that was
    asked for is not proven. candidate_recall: of the pairs below the threshold too, where those were looked for."""

    plan: Plan
    found: Found
    recall: DedupRecall
    shortfall: str = ""
    candidate_recall: DedupRecall | None = None


class _Images(NamedTuple):
    """All images of a store. rank: their order of preference; apart (n, 2): rows that were ruled out with each other;
    stands_for: for each row the one of its exact duplicates that is compared for all; blind: see `why_blind`."""

    columns: Columns
    rank: Int64
    apart: Int64
    stands_for: Int64
    blind: str | None

    @property
    def coverage(self) -> Coverage:
        status = self.columns.status
        return Coverage(int((status != Status.UNREADABLE).sum()), len(status))

    def rule(self, plan: MatchPlan, rows: Int64) -> CandidateRule | None:
        """Which pairs of these rows are candidates for the pixels; None where those are not compared."""
        if not plan.on_pixels:
            return None
        return rule_of(plan.floor, self.columns, rows, ruled_out_positions(self.apart, self.stands_for, rows))


class _OnPixels(NamedTuple):
    """Which pairs pixels decide, and how long they may."""

    rule: CandidateRule
    limits: Limits


class _Decided(NamedTuple):
    """What becomes of each image, pairs as rows of the store, how many were ruled out, what pixels said, and where."""

    decisions: Decisions
    pairs: RowPairs
    ruled_out: int
    confirmed: Confirmed | None
    cleanness: Cleanness | None

    @property
    def pixels(self) -> PixelChecks | None:
        return self.confirmed.checks if self.confirmed else None

    @property
    def overlaps(self) -> Overlaps:
        return self.confirmed.overlaps if self.confirmed else Overlaps.unknown()

    @property
    def probability(self) -> Float32:
        return self.confirmed.probability if self.confirmed else np.empty(0, np.float32)

    def copies(self, encoder: str, threshold: float) -> TrueCopies | None:
        """What share of true copies such a run finds."""
        if self.confirmed is None:
            return true_copies(encoder, threshold, threshold, np.empty(0, np.float32), np.empty(0, bool))
        return true_copies(encoder, threshold, self.confirmed.checks.floor, *self.confirmed[-2:])


def dedup(
    store: Store,
    options: DedupOptions = DedupOptions(),
    *,
    against: Store | None = None,
    ruled_out: RuledOut | None = None,
    scratch: Path | None = None,
    progress: Progress = silent,
    tell: Callable[[str], None] = unsaid,
) -> DedupResult:
    """Find the near-duplicates of a store and decide what to keep.

    against: another store, whose images are dropped from this one first. ruled_out: pairs that are none. `scratch` is
    where a float32 copy of the embeddings goes while the run lasts (default: the system's temporary folder), and where
    what pixels say of pairs is kept (default: nowhere) until `forget` is called: a killed run goes on with it. tell: is
    given an estimate of what takes long. Memory: blocks, captions, metadata and some 500 bytes for each row, the pairs,
    and what `confirm` takes.
    Raises UsageError for impossible options, InputError for a store without images or with NaN, InconclusiveError for
    stores of different encoders.
    """
    threshold = store.encoder.threshold if options.threshold is None else options.threshold
    require_threshold(threshold)
    require_possible(options)
    if against is not None:
        require_comparable(store, against)
    images = _images_of(store, options, ruled_out)
    rows = _distinct(store, images)
    plan = _plan(store, images, rows, threshold, options)
    other = None
    if against is not None:
        other = find_elsewhere(store, against, images.columns, images.stands_for, threshold, progress)
    found = other.found if other else _NOWHERE
    rows = np.setdiff1d(rows, found.row)
    rule = images.rule(plan, rows)
    compared = _compare(store, rows, threshold, rule, options, scratch, progress)
    ruling = Ruling(options.groups, threshold)
    on_pixels = None
    if rule is not None:
        on_pixels = _OnPixels(rule, Limits(store.digest, scratch, options.budget, options.seed, tell, plan.cut))
    decided = _decide(store, images, rows, compared.found, found, ruling, on_pixels, progress)
    steps = (compared.shortfall, shortfall(decided.pixels, options.max_unreadable))
    families = linked_families(len(store), decided.pairs, found)
    return DedupResult(
        encoder=store.encoder,
        store_digest=store.digest,
        threshold=threshold,
        method=compared.plan.describe(),
        keep_rule=options.keep,
        group_rule=options.groups,
        coverage=images.coverage,
        decisions=decided.decisions,
        pairs=decided.pairs,
        added=tuple(compared.found.added),
        comparison=compared.found.comparison,
        recall=compared.recall,
        removal=removal_skew(images.columns, decided.decisions, families, images.rank),
        against=other,
        ignored=Ignored(ruled_out.digest, len(ruled_out.pairs), decided.ruled_out) if ruled_out else None,
        pixels=decided.pixels,
        no_pixels=plan.why_not,
        candidate_recall=compared.candidate_recall,
        copies=decided.copies(store.encoder.name, threshold),
        seed=options.seed,
        inconclusive=_inconclusive(store, images.coverage, against, options.max_unreadable, steps),
        overlaps=decided.overlaps,
        probability=decided.probability,
        cleanness=decided.cleanness,
    )


def forget(scratch: Path) -> None:
    """Remove what pixels said of pairs: the run that it was kept for is written."""
    (scratch / VERDICTS).unlink(missing_ok=True)


def _images_of(store: Store, options: DedupOptions, ruled_out: RuledOut | None) -> _Images:
    columns = store.all_columns()
    rank = keep_rank(columns, options.keep)
    apart = ruled_out_rows(ruled_out, columns) if ruled_out else NO_PAIRS
    blind = why_blind(options.keep, options.match, store, columns)
    return _Images(columns, rank, apart, representatives(store, rank, apart), blind)


def _distinct(store: Store, images: _Images) -> Int64:
    """The rows to compare: of exact duplicates the one that stands for them."""
    rows = np.intersect1d(store.comparable_rows(), images.stands_for)
    if not len(rows):
        raise InputError(f"store {store.folder} has nothing to compare: all of its images are blank or unreadable")
    return rows


def _plan(store: Store, images: _Images, rows: Int64, threshold: float, options: DedupOptions) -> MatchPlan:
    """How pixels decide. Raises UsageError for a comparison that cannot be: now, and not after hours."""
    plan_comparison(len(rows), options)
    files = bool((images.columns.uri[rows] != "").any())
    return plan_matching(options.match, options.match_from, store.encoder.name, threshold, len(rows), files=files)


def _decide(
    store: Store,
    images: _Images,
    rows: Int64,
    found: Found,
    elsewhere: Elsewhere,
    ruling: Ruling,
    on_pixels: _OnPixels | None,
    progress: Progress,
) -> _Decided:
    """Settle everyone by the pairs that nobody ruled out, and hold the result to its promises."""
    apart = ruled_out_positions(images.apart, images.stands_for, rows)
    pairs, near = without(found.pairs, apart), np.float32(ruling.threshold)
    ruled_out = int((found.pairs.similarity >= near).sum() - (pairs.similarity >= near).sum())
    confirmed = None
    if on_pixels is not None:
        left = found._replace(pairs=pairs)
        confirmed = confirm(left, images.columns, rows, ruling.threshold, *on_pixels, progress)
        pairs = confirmed.pairs
    judged = unjudged(images.rank[rows], images.blind or "")
    if images.blind == "":
        judged = judge(images.columns.at(rows), pairs, images.rank[rows], progress)
    settled = settle(store, rows, pairs, judged.rank, apart, ruling)
    decisions = decide(images.columns, images.stands_for, rows, settled, elsewhere, ruling.threshold)
    least = on_pixels.rule.floor if on_pixels else ruling.threshold
    require_promises(store, decisions, images.stands_for, images.apart, ruling.threshold, least)
    row_pairs = _row_pairs(pairs, rows, images.stands_for, images.columns, elsewhere)
    note_lonely(decisions, row_pairs)
    clean = None if images.blind is None else cleanness(judged, rows, decisions)
    return _Decided(decisions, row_pairs, ruled_out, confirmed, clean)


def _compare(
    store: Store,
    rows: Int64,
    threshold: float,
    rule: CandidateRule | None,
    options: DedupOptions,
    scratch: Path | None,
    progress: Progress,
) -> _Compared:
    """Find the pairs among `rows`, and candidates for the pixels below the threshold, and the recall of finding them.

    The recall of the candidates is stated where all of them are still there to be counted.
    """
    if not len(rows):  # there is nothing to find
        nothing = Estimate(0, 0, None, None, None)
        recall = DedupRecall(0, True, options.confidence, nothing, nothing, ())
        found = Found(Pairs.none(), [0], Comparison("nothing to compare", "", 0, ()))
        return _Compared(Plan(0, 1, options.clusterings), found, recall)
    if options.clusters:  # fewer images may be left than there were when the options were looked at
        options = replace(options, clusters=min(options.clusters, len(rows)))
    plan = plan_comparison(len(rows), options)
    matrix = Matrix(scratch, store, rows)
    require_room(store, matrix, threshold, options.seed)
    reached = _search(matrix, threshold, plan, options, progress, rule)
    below = None
    if rule is not None and not reached.found.left_out:
        below = _recall(matrix, reached.found.pairs, rule.floor, reached.plan, options, progress)
    return _Compared(reached.plan, reached.found, reached.recall, reached.why_not, below)


def _search(
    matrix: Matrix,
    threshold: float,
    plan: Plan,
    options: DedupOptions,
    progress: Progress,
    rule: CandidateRule | None,
) -> Reached:
    if options.target_recall is not None:
        target = Target(options.target_recall, options.recall_sample, options.confidence)
        return reach_recall(matrix, threshold, plan, target, options.seed, progress, rule)
    found = compare(matrix, threshold, plan, options.seed, progress, rule)
    return Reached(found, _recall(matrix, found.pairs, threshold, plan, options, progress), plan)


def _inconclusive(
    store: Store, coverage: Coverage, other: Store | None, allowed: float, steps: tuple[str, ...]
) -> tuple[str, ...]:
    """Why this run does not speak of the whole set, or not against the whole of the other one, or not as surely as
    was asked; `steps`: what each step of the run has to say to that, empty for nothing."""
    reasons = (*_shortfalls(store, coverage, allowed, ""), *filter(None, steps))
    return reasons if other is None else (*reasons, *_shortfalls(other, other.coverage, allowed, "the other set: "))


def _shortfalls(store: Store, coverage: Coverage, allowed: float, prefix: str) -> tuple[str, ...]:
    reasons = [f"{prefix}{reason}" for reason in cut_archives("", store.cut)]
    if coverage.falls_short(allowed):
        reasons.append(f"{prefix}only {coverage.measured:,} of {coverage.total:,} images could be read")
    return tuple(reasons)


def _recall(
    matrix: Matrix, pairs: Pairs, threshold: float, plan: Plan, options: DedupOptions, progress: Progress
) -> DedupRecall:
    if plan.exhaustive:
        near = pairs.where(pairs.similarity >= np.float32(threshold))
        return recall_of_exhaustive(near, len(matrix), threshold, options.confidence)
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
    require_rule(options.keep)
    require_backend(options.backend)
    require_match(options.match, options.match_from)
    if seconds_of(options.budget) and options.match == "none":
        raise UsageError("--match none compares no pixels: leave out --budget")
    _require_method(options)
    if options.target_recall is not None:
        Target(options.target_recall)
    require_group_rule(options.groups)
    for name, least in (("clusterings", 1), ("probes", 1), ("recall_sample", 1), ("seed", 0)):
        value = getattr(options, name)
        if not least <= value < SEEDS:
            raise UsageError(f"--{name.replace('_', '-')} {value} is out of range: expected at least {least}")
    if not 0 < options.confidence < 1:
        raise UsageError(f"confidence {options.confidence:g} is out of range: expected between 0 and 1")


def _require_method(options: DedupOptions) -> None:
    if options.method not in METHODS:
        raise UsageError(f"unknown --method {options.method!r}: expected one of {', '.join(METHODS)}")
    set_by_hand = [
        f"--{name}"
        for name in ("clusters", "clusterings", "probes", "backend", "target_recall")
        if getattr(options, name) != getattr(DedupOptions, name)
    ]
    if options.method != "auto" and set_by_hand:
        named = "--exhaustive" if options.clusters == 0 else ", ".join(set_by_hand).replace("_", "-")
        raise UsageError(f"--method {options.method} settles how images are compared: leave out {named}")


def plan_comparison(rows: int, options: DedupOptions) -> Plan:
    """Settle clusters, probes and clusterings for this many rows. Raises UsageError for what cannot be."""
    if options.method == "openai-2022":
        return Plan.openai_2022(rows)
    clusters = options.clusters
    if clusters is None:
        clusters = choose_clusters(rows, options.probes, options.clusterings)
    if clusters < 0 or clusters > rows:
        raise UsageError(f"--clusters {clusters} is out of range: there are {rows} distinct images to cluster")
    return Plan(clusters, min(options.probes, max(1, clusters)), options.clusterings, backend=options.backend)


def _row_pairs(pairs: Pairs, rows: Int64, stands_for: Int64, columns: Columns, found: Elsewhere) -> RowPairs:
    """Near pairs of representatives, and each exact duplicate with its representative; sorted by row."""
    is_copy = (stands_for != np.arange(len(stands_for))) & (columns.status != Status.UNREADABLE)
    is_copy[found.row] = False
    small = np.int32 if len(stands_for) < 2**31 else np.int64
    copies, place = np.flatnonzero(is_copy).astype(small), rows.astype(small)
    originals = stands_for[copies].astype(small)
    left = np.concatenate([place[pairs.left], np.minimum(copies, originals)])
    right = np.concatenate([place[pairs.right], np.maximum(copies, originals)])
    similarity = np.concatenate([pairs.similarity, np.ones(len(copies), np.float32)])
    is_exact = np.arange(len(left)) >= len(pairs.left)
    order = np.lexsort((right, left))
    return RowPairs(left[order], right[order], similarity[order], is_exact[order])
