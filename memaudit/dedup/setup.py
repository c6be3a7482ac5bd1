"""What a dedup run is about: the images of a store, and how they are compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.against import require_comparable
from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.exact_duplicates import NO_PAIRS, distinct_rows, representatives
from memaudit.dedup.ignored import RuledOut, ruled_out_positions, ruled_out_rows
from memaudit.dedup.keep import keep_rank, why_blind
from memaudit.dedup.options import DedupOptions, plan_comparison, require_possible
from memaudit.dedup.pixels import rule_of
from memaudit.dedup.reviewed import ReviewedRows, together_positions
from memaudit.dedup.stand_ins import StandIns, stand_ins
from memaudit.errors import InputError, UsageError
from memaudit.matching.calibrated import cut_of
from memaudit.matching.kept import KeptFeatures, whole_features_of
from memaudit.matching.kinds import Kind
from memaudit.matching.plan import NOT_LOOKED_FOR, MatchPlan, RedrawnPlan, plan_matching, plan_redrawn
from memaudit.similarity.exact import require_threshold
from memaudit.store import Columns, Store
from memaudit.store.columns import joined
from memaudit.types import Coverage, Int64, Status

HELD = ("image_id", "width", "height", "status", "simplicity")


class Images(NamedTuple):
    """All images of a store. columns: no more than every image is judged by, `HELD`; with_file: which say where their
    file is; rank: their order of preference; apart, together (n, 2): rows that were ruled out with each other, and that
    people named as copies; stands_for: for each row the one of its exact duplicates that is compared for all; in_doubt:
    see `StandIns`; blind: see `why_blind`."""

    columns: Columns
    with_file: NDArray[np.bool_]
    rank: Int64
    apart: Int64
    together: Int64
    stands_for: Int64
    in_doubt: NDArray[np.bool_]
    blind: str | None

    @property
    def coverage(self) -> Coverage:
        status = self.columns.status
        return Coverage(int((status != Status.UNREADABLE).sum()), len(status))


class Setup(NamedTuple):
    """rows: those that are compared, of exact duplicates one; plan: how pixels decide; redrawn: how pictures drawn anew
    are told, where they are to be; kept: what of the images need not be read for either, None: nothing."""

    store: Store
    options: DedupOptions
    threshold: float
    images: Images
    rows: Int64
    plan: MatchPlan
    redrawn: RedrawnPlan = NOT_LOOKED_FOR
    kept: KeptFeatures | None = None

    def apart(self, rows: Int64) -> Int64:
        """Pairs of positions in these rows that were ruled out, (n, 2)."""
        return ruled_out_positions(self.images.apart, self.images.stands_for, rows)

    def together(self, rows: Int64) -> Int64:
        """Pairs of positions in these rows that people named, (n, 2)."""
        return together_positions(self.images.together, self.apart(rows), self.images.stands_for, rows)

    def rule(self, rows: Int64) -> CandidateRule | None:
        """Which pairs of these rows are candidates for the pixels; None where those are not compared."""
        return rule_of(self.plan.floor, self.images.columns, rows, self.apart(rows)) if self.plan.on_pixels else None


def set_up(
    store: Store,
    options: DedupOptions,
    against: Store | None,
    ruled_out: RuledOut | None,
    reviewed: ReviewedRows | None = None,
) -> Setup:
    """Raises, now and not after hours, UsageError for what cannot be, InputError for a store without images,
    InconclusiveError for another one that is of another encoder, and for kept features that are damaged."""
    threshold = store.encoder.threshold if options.threshold is None else options.threshold
    require_threshold(threshold)
    require_possible(options)
    if options.calibrated is not None:
        options.calibrated.require_fits(store.encoder)
    if against is not None:
        require_comparable(store, against)
    images = _images_of(store, options, ruled_out, reviewed)
    rows = _distinct(store, images)
    plan_comparison(len(rows), options)
    files = bool(images.with_file[rows].any())
    match, cut = (options.match, options.match_from), cut_of(options.calibrated)
    plan = plan_matching(*match, store.encoder.name, threshold, len(rows), files=files, cut=cut)
    kept = whole_features_of(store) if plan.on_pixels else None
    return Setup(store, options, threshold, images, rows, plan, _redrawn(plan, store.encoder.name, options), kept)


def _redrawn(plan: MatchPlan, encoder: str, options: DedupOptions) -> RedrawnPlan:
    """Raises UsageError where they are to be looked for, and cannot be."""
    if Kind.REDRAWN not in options.kinds:
        return NOT_LOOKED_FOR
    found = plan_redrawn(plan, encoder)
    if found.floor is None:
        raise UsageError(f"--kinds re-drawn: they cannot be told here: {found.why_not}")
    return found


def _images_of(
    store: Store, options: DedupOptions, ruled_out: RuledOut | None, reviewed: ReviewedRows | None
) -> Images:
    columns, with_file = _held_of(store)
    rank = keep_rank(columns, options.keep, store)
    apart = ruled_out_rows(ruled_out, columns) if ruled_out else NO_PAIRS
    together = reviewed.together if reviewed else NO_PAIRS
    if reviewed is not None and len(reviewed.apart):
        apart = np.concatenate([apart, reviewed.apart])
    blind = why_blind(options.keep, options.match, store, files=bool(with_file.any()))
    found = StandIns(representatives(store, rank, apart), np.zeros(len(rank), bool))
    if blind == "":
        found = stand_ins(store, with_file, rank, found.stands_for)
    return Images(columns, with_file, rank, apart, together, *found, blind)


def _held_of(store: Store) -> tuple[Columns, NDArray[np.bool_]]:
    """The columns that are held, and which images say where their file is."""
    parts, with_file = [], [np.empty(0, bool)]
    for part in store.iter_columns(only=(*HELD, "uri")):
        with_file.append(part.uri != "")
        parts.append(part._replace(uri=np.empty(0, object)))
    return joined(parts), np.concatenate(with_file)


def _distinct(store: Store, images: Images) -> Int64:
    """The rows to compare: of exact duplicates the one that stands for them."""
    rows = distinct_rows(store, images.stands_for)
    if not len(rows):
        raise InputError(f"store {store.folder} has nothing to compare: all of its images are blank or unreadable")
    return rows
