"""The dedup run: exact copies, pairs, recall, keep or drop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from memaudit.dedup.against import find_elsewhere
from memaudit.dedup.ignored import RuledOut
from memaudit.dedup.options import DEFAULTS, DedupOptions
from memaudit.dedup.outcome import Outcome, decide_all
from memaudit.dedup.pixels import Limits, shortfall
from memaudit.dedup.redrawn import redrawn_shortfall
from memaudit.dedup.results import Against, DedupResult, Elsewhere, Ignored, Reviews
from memaudit.dedup.reviewed import Reviewed, ReviewedRows, rows_of
from memaudit.dedup.search import Searched, search
from memaudit.dedup.setup import Setup, set_up
from memaudit.dedup.skew import removal_skew
from memaudit.dedup.skew_sums import linked_families
from memaudit.dedup.texts import Texts
from memaudit.dedup.verdicts import VERDICTS
from memaudit.matching.kept import features_of
from memaudit.matching.shortfalls import cut_archives, lost_images
from memaudit.store import Store
from memaudit.types import Coverage, Progress, silent, unsaid

_NOWHERE = Elsewhere(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, bool))


def dedup(
    store: Store,
    options: DedupOptions = DEFAULTS,
    *,
    against: Store | None = None,
    ruled_out: RuledOut | None = None,
    reviewed: Reviewed | None = None,
    scratch: Path | None = None,
    progress: Progress = silent,
    tell: Callable[[str], None] = unsaid,
) -> DedupResult:
    """Find the near-duplicates of a store and decide what to keep.

    against: another store, whose images are dropped from this one first. ruled_out: pairs that are none. reviewed: what
    people decided on pairs. `scratch` is where a copy of the embeddings goes while the run lasts (default: the
    system's temporary folder), and where what pixels say of pairs is kept (default: nowhere) until `forget` is called:
    a killed run goes on with it. tell: is given an estimate of what takes long. Memory: blocks, some 300 bytes for each
    row, whatever its caption, some 30 for each pair, and what `confirm` takes. Raises UsageError for impossible
    options, InputError for a store without images or with NaN, InconclusiveError for stores of different encoders.
    """
    named = rows_of(reviewed, store) if reviewed else None
    setup = set_up(store, options, against, ruled_out, named)
    columns, stands_for = setup.images.columns, setup.images.stands_for
    other = None
    if against is not None:
        compared = columns, stands_for, setup.threshold, progress, options.executor
        other = find_elsewhere(store, against, *compared)
    found = other.found if other else _NOWHERE
    rows = np.setdiff1d(setup.rows, found.row, assume_unique=True)
    rule = setup.rule(rows)
    searched = search(setup, rows, rule, scratch, progress)
    kept = features_of(store) if rule else None
    told = options.budget, options.seed, tell, setup.plan.cut, kept, options.kinds, options.executor
    limits = Limits(store.digest, scratch, *told)
    outcome = decide_all(setup, rows, searched, found, rule, limits, progress)
    searched = searched.settled()
    ignored = Ignored(ruled_out.digest, len(ruled_out.pairs), outcome.ruled_out) if ruled_out else None
    reviews = _reviews(reviewed, named, outcome) if reviewed and named else None
    unseen = redrawn_shortfall(outcome.redrawn, options.max_unreadable)
    unread = shortfall(outcome.pixels, options.max_unreadable)
    lost = lost_images(store) if unseen or (unread and outcome.pixels and outcome.pixels.unread) else []
    steps = (searched.shortfall, unread, unseen, outcome.doubts, *lost)
    inconclusive = _inconclusive(store, setup.images.coverage, against, options.max_unreadable, steps)
    result = _result(setup, other, ignored, searched, outcome, inconclusive, scratch)
    return replace(result, reviews=reviews)


def _reviews(reviewed: Reviewed, rows: ReviewedRows, outcome: Outcome) -> Reviews:
    apart, together = len(reviewed.apart), len(reviewed.together)
    return Reviews(reviewed.digest, apart, outcome.ruled_out, together, outcome.named, reviewed.left, rows.unknown)


def forget(scratch: Path) -> None:
    """Remove what pixels said of pairs: the run that it was kept for is written."""
    (scratch / VERDICTS).unlink(missing_ok=True)


def _result(
    setup: Setup,
    other: Against | None,
    ignored: Ignored | None,
    searched: Searched,
    outcome: Outcome,
    inconclusive: tuple[str, ...],
    scratch: Path | None,
) -> DedupResult:
    store, images, options = setup.store, setup.images, setup.options
    texts = partial(Texts, store, scratch)
    families = linked_families(len(store), outcome.pairs, other.found if other else _NOWHERE)
    return DedupResult(
        encoder=store.encoder,
        store_digest=store.digest,
        threshold=setup.threshold,
        method=searched.plan.describe(),
        keep_rule=options.keep,
        group_rule=options.groups,
        coverage=images.coverage,
        decisions=outcome.decisions,
        pairs=outcome.pairs,
        added=tuple(searched.found.added),
        comparison=searched.found.comparison,
        recall=searched.recall,
        removal=removal_skew(images.columns, outcome.decisions, families, images.rank, texts),
        against=other,
        ignored=ignored,
        pixels=outcome.pixels,
        no_pixels=setup.plan.why_not,
        candidate_recall=searched.candidate_recall,
        copies=outcome.copies(setup),
        seed=options.seed,
        inconclusive=inconclusive,
        overlaps=outcome.overlaps,
        probability=outcome.probability,
        cleanness=outcome.cleanness,
        refused=outcome.refused,
        calibrated=options.calibrated,
        kinds=options.kinds,
        redrawn=outcome.redrawn,
        pilot=searched.pilot,
    )


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
