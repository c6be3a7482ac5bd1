"""What becomes of each image, by the pairs that were found and by what pixels say of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.cleanest import cleanness, doubtful, judge, unjudged
from memaudit.dedup.decisions import AtHand, Ruling, decide, note_lonely, of_pairs, require_promises, settle
from memaudit.dedup.described import InStore
from memaudit.dedup.ignored import without
from memaudit.dedup.pixels import Confirmed, Limits, confirm
from memaudit.dedup.redrawn import clear_redrawn
from memaudit.dedup.results import (
    Cleanness,
    Decisions,
    Elsewhere,
    PixelChecks,
    RedrawnCleared,
    RowPairs,
    TrueCopies,
)
from memaudit.dedup.reviewed import are_among, with_named
from memaudit.dedup.search import Searched
from memaudit.dedup.setup import Setup
from memaudit.dedup.true_copies import true_copies
from memaudit.matching.kinds import ALL, COPIES, Kind
from memaudit.matching.overlap import Overlaps
from memaudit.similarity import Pairs
from memaudit.similarity.pairs import room_for
from memaudit.store import Columns
from memaudit.types import Float32, Int64, Progress, Status

_REDRAWN = ALL.index(Kind.REDRAWN)


class Outcome(NamedTuple):
    """What becomes of each image, pairs as rows of the store, how many were ruled out, how many reviews alone name,
    what pixels said, and where. refused (n, 2), with their similarities: the most similar pairs that pixels refuse.
    doubts: see `doubtful`."""

    decisions: Decisions
    pairs: RowPairs
    ruled_out: int
    named: int
    confirmed: Confirmed | None
    cleanness: Cleanness | None
    refused: tuple[Int64, Float32]
    redrawn: RedrawnCleared | None = None
    doubts: str = ""

    @property
    def pixels(self) -> PixelChecks | None:
        return self.confirmed.checks if self.confirmed else None

    @property
    def overlaps(self) -> Overlaps:
        return self.confirmed.overlaps if self.confirmed else Overlaps.unknown()

    @property
    def probability(self) -> Float32:
        return self.confirmed.probability if self.confirmed else np.empty(0, np.float32)

    def copies(self, setup: Setup) -> TrueCopies | None:
        """What share of true copies such a run finds. None by a cut of one's own, or where not all kinds of copies
        count: no benchmark has measured that."""
        if setup.plan.cut is not None or not set(COPIES) <= set(setup.options.kinds):
            return None
        encoder, threshold = setup.store.encoder.name, setup.threshold
        if self.confirmed is None:
            return true_copies(encoder, threshold, threshold, np.empty(0, np.float32), np.empty(0, bool))
        return true_copies(encoder, threshold, self.confirmed.checks.floor, *self.confirmed[-2:])


def decide_all(
    setup: Setup,
    rows: Int64,
    searched: Searched,
    elsewhere: Elsewhere,
    rule: CandidateRule | None,
    limits: Limits,
    progress: Progress,
) -> Outcome:
    """Settle everyone by the pairs that nobody ruled out, and hold the result to its promises."""
    store, images, threshold = setup.store, setup.images, setup.threshold
    apart = setup.apart(rows)
    found, at_hand = searched.found, AtHand(store, limits.scratch, searched.matrix)
    pairs, near = without(found.pairs, apart), np.float32(threshold)
    ruled_out = int((found.pairs.similarity >= near).sum() - (pairs.similarity >= near).sum())
    confirmed = None
    if rule is not None:
        left = found._replace(pairs=pairs)
        described = InStore(store, images.columns.image_id)
        confirmed = confirm(left, described, rows, threshold, rule, limits, progress)
        pairs = confirmed.pairs
    pairs, named = with_named(store, rows, pairs, setup.together(rows))
    judged = unjudged(images.rank[rows], images.blind or "")
    if images.blind == "":
        described = InStore(store, images.columns.image_id, rows)
        in_doubt = images.in_doubt[rows]
        judged = judge(described, pairs, images.rank[rows], progress, setup.options.executor, in_doubt)
    ruling = Ruling(setup.options.groups, threshold)
    settled = settle(at_hand, rows, pairs, judged.rank, apart, ruling, named)
    settled = of_pairs(settled, rows, pairs, kind := _kinds(pairs, confirmed, named, threshold))
    redrawn = None
    if setup.redrawn.floor is not None:
        settled, drawn, redrawn = clear_redrawn(setup, rows, settled, images.rank[rows], progress)
        pairs, kind = _with_redrawn(pairs, kind, drawn)
    decisions = decide(images.columns, images.stands_for, rows, settled, elsewhere, threshold)
    floor = rule.floor if rule else threshold
    copies = pairs.similarity[kind != _REDRAWN]
    weakest = min(floor, float(copies.min(initial=1))) if len(named) else None
    require_promises(at_hand, decisions, images.stands_for, images.apart, threshold, floor, weakest)
    row_pairs = _row_pairs(pairs, kind, rows, images.stands_for, images.columns, elsewhere, named)
    note_lonely(decisions, row_pairs)
    clean = None if images.blind is None else cleanness(judged, rows, decisions)
    refused = _refused(confirmed, rows)
    doubts = doubtful(judged, setup.options.max_unreadable)
    return Outcome(decisions, row_pairs, ruled_out, len(named), confirmed, clean, refused, redrawn, doubts)


def _kinds(pairs: Pairs, confirmed: Confirmed | None, named: Int64, threshold: float) -> NDArray[np.int8]:
    """Of pairs, some of them named by people: at the threshold near-duplicates, below it what pixels say."""
    kind = np.full(len(pairs.left), ALL.index(Kind.NEAR), np.int8)
    people = are_among(pairs, named)
    kind[people] = -1
    if confirmed is not None:
        below = np.flatnonzero(~people & (pairs.similarity < np.float32(threshold)))
        kind[below] = confirmed.kind  # `COPIES` come first among `ALL`
    return kind


def _with_redrawn(pairs: Pairs, kind: NDArray[np.int8], drawn: Pairs) -> tuple[Pairs, NDArray[np.int8]]:
    joined = Pairs.joined([pairs, drawn])
    order = np.lexsort((joined.right, joined.left))
    return joined.where(order), np.r_[kind, np.full(len(drawn.left), _REDRAWN, np.int8)][order]


def _refused(confirmed: Confirmed | None, rows: Int64) -> tuple[Int64, Float32]:
    if confirmed is None:
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    pairs = confirmed.refused
    return np.stack([rows[pairs.left], rows[pairs.right]], axis=1), pairs.similarity


def _row_pairs(
    pairs: Pairs,
    kind: NDArray[np.int8],
    rows: Int64,
    stands_for: Int64,
    columns: Columns,
    found: Elsewhere,
    named: Int64,
) -> RowPairs:
    """Near pairs of representatives, which are sorted, and each exact duplicate with its representative, among them."""
    is_copy = (stands_for != np.arange(len(stands_for))) & (columns.status != Status.UNREADABLE)
    is_copy[found.row] = False
    place = room_for(len(rows), len(stands_for))
    place[:] = rows
    near = Pairs(place[pairs.left], place[pairs.right], pairs.similarity)
    copies = np.flatnonzero(is_copy)
    people = are_among(pairs, named)
    if not len(copies):
        return RowPairs(*near, np.zeros(len(people), bool), people, kind)
    ends = np.sort(np.stack([copies, stands_for[copies]]), axis=0)
    left, right = ends[:, np.lexsort(ends[::-1])]
    where = near.place_of(left, right)
    return RowPairs(
        np.insert(near.left, where, left),
        np.insert(near.right, where, right),
        np.insert(near.similarity, where, 1),
        np.insert(np.zeros(len(near.left), bool), where, True),
        np.insert(people, where, False),
        np.insert(kind, where, ALL.index(Kind.VERBATIM)),
    )
