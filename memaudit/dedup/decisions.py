"""What becomes of every image of the store, and the promises that are held before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.components import components
from memaudit.dedup.exact_duplicates import NO_PAIRS
from memaudit.dedup.groups import cover
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.results import KIND_NAMES, Decision, Decisions, Elsewhere, Reason, RowPairs
from memaudit.errors import UsageError
from memaudit.matching.kinds import Kind
from memaudit.similarity import Pairs, exact
from memaudit.similarity.pairs import Positions
from memaudit.store import BLOCK_ROWS, Columns, Store
from memaudit.types import Float32, Int64, Status

GROUP_RULES = ("cover", "components")


class Settled(NamedTuple):
    """For each distinct image its witness (a store row), the similarity to it, the weakest link of the chain, and
    whether the two are a pair below the threshold that was confirmed on pixels, or that only people know; and of which
    kind it is, "" for none."""

    witness: Int64
    similarity: Float32
    chain: Float32
    pixels: NDArray[np.bool_]
    people: NDArray[np.bool_]
    kind: NDArray[np.object_]


def require_group_rule(rule: str) -> None:
    """Raise UsageError for an unknown rule."""
    if rule not in GROUP_RULES:
        raise UsageError(f"unknown --groups {rule!r}: expected one of {', '.join(GROUP_RULES)}")


class Ruling(NamedTuple):
    """By what pairs are judged: the group rule, and the threshold; pairs below it were confirmed on pixels."""

    rule: str
    threshold: float


class AtHand(NamedTuple):
    """A store, and where its embeddings can be read in any order: the folder for a scratch file (None: the system's),
    and one that is there."""

    store: Store
    scratch: Path | None = None
    compared: Matrix | None = None

    def similarities(self, left: Int64, right: Int64) -> Float32:
        return similarities(self.store, left, right, self.scratch, self.compared)


def settle(
    at_hand: AtHand,
    rows: Int64,
    pairs: Pairs,
    rank: Int64,
    apart: Int64,
    ruling: Ruling,
    named: Int64 = NO_PAIRS,
) -> Settled:
    """Settle the distinct images `rows` by the group rule; pairs and apart are positions in them. named (n, 2): those
    of the pairs that nothing but people's word makes one."""
    if ruling.rule == "cover":
        covered = cover(len(rows), pairs, rank, apart)
        below = covered.similarity < np.float32(ruling.threshold)
        people = below & _are_pairs(covered.witness, named[:, 0], named[:, 1])
        return _settled(rows, covered.witness, covered.similarity, covered.similarity, below, people)
    linked = components(len(rows), pairs, rank, apart)
    witness = rows[linked.witness]
    similarity = at_hand.similarities(rows, witness)
    below = (similarity < np.float32(ruling.threshold)) & _are_pairs(linked.witness, pairs.left, pairs.right)
    people = below & _are_pairs(linked.witness, named[:, 0], named[:, 1])
    return _settled(rows, linked.witness, similarity, linked.chain, below, people)


def _settled(
    rows: Int64,
    witness: Int64,
    similarity: Float32,
    chain: Float32,
    below: NDArray[np.bool_],
    people: NDArray[np.bool_],
) -> Settled:
    """witness: positions."""
    return Settled(rows[witness], similarity, chain, below & ~people, people, np.full(len(rows), "", object))


def of_pairs(settled: Settled, rows: Int64, pairs: Pairs, kind: NDArray[np.int8]) -> Settled:
    """With the kind of the pair of each distinct image and its witness. pairs: of positions in `rows`, sorted; kind
    (n,): theirs, as of `RowPairs`."""
    own, witness = np.arange(len(rows)), np.searchsorted(rows, settled.witness)
    found = np.full(len(rows), "", object)
    place, there = pairs.has(np.minimum(own, witness), np.maximum(own, witness))
    found[there] = KIND_NAMES[kind[place[there]]]
    return settled._replace(kind=found)


def _are_pairs(witness: Int64, left: Positions, right: Positions) -> NDArray[np.bool_]:
    """For each position whether it is paired with its witness."""
    found = np.zeros(len(witness), bool)
    for own, other in ((left, right), (right, left)):
        found[own[witness[own] == other]] = True
    return found


def decide(
    columns: Columns, stands_for: Int64, rows: Int64, settled: Settled, found: Elsewhere, threshold: float
) -> Decisions:
    """Spread what was settled for the distinct images `rows` over all: exact duplicates follow who stands for them."""
    witness, similarity, chain, by_pixels, by_people, kind = _spread(stands_for, rows, settled)
    everyone = np.arange(len(stands_for), dtype=np.int64)
    inside = columns.status != Status.UNREADABLE
    inside[found.row] = False
    witness[~inside], similarity[~inside], chain[~inside] = -1, 0, 0
    by_pixels[~inside] = by_people[~inside] = False
    similarity[found.row] = chain[found.row] = found.similarity
    kept = witness == everyone
    decision = np.full(len(everyone), Decision.DROP, dtype=object)  # each word once in memory, and not once a row
    decision[kept] = Decision.KEEP
    decision[columns.status == Status.UNREADABLE] = Decision.UNREADABLE
    reason = np.full(len(everyone), Reason.NEAR, dtype=object)
    reason[similarity < np.float32(threshold)] = Reason.CHAIN
    reason[by_pixels], reason[by_people] = Reason.PIXELS, Reason.PEOPLE
    reason[stands_for != everyone] = Reason.COPY
    reason[kind == Kind.REDRAWN] = Reason.REDRAWN
    kind[inside & (stands_for != everyone) & (witness == stands_for)] = Kind.VERBATIM
    kind[~inside | kept] = ""
    size = np.bincount(witness[inside], minlength=len(everyone))
    reason[kept] = Reason.UNIQUE
    reason[kept & (size > 1)] = Reason.CHOSEN
    reason[kept & (columns.status == Status.BLANK) & (size == 1)] = Reason.BLANK
    reason[columns.status == Status.UNREADABLE] = Reason.UNREADABLE
    reason[found.row] = Reason.ELSEWHERE
    group = np.where(inside, (np.cumsum(kept) - 1)[witness], -1)
    return Decisions(columns.image_id, decision, reason, group, witness, similarity, chain, by_pixels, by_people, kind)


def _spread(stands_for: Int64, rows: Int64, settled: Settled) -> Settled:
    witness = np.arange(len(stands_for), dtype=np.int64)  # of representatives; a blank one keeps itself
    similarity, chain = np.ones(len(stands_for), np.float32), np.ones(len(stands_for), np.float32)
    by_pixels, by_people = np.zeros(len(stands_for), bool), np.zeros(len(stands_for), bool)
    kind = np.full(len(stands_for), "", object)
    witness[rows], similarity[rows], chain[rows], by_pixels[rows], by_people[rows], kind[rows] = settled
    return Settled._make(column[stands_for] for column in (witness, similarity, chain, by_pixels, by_people, kind))


def note_lonely(decisions: Decisions, pairs: RowPairs) -> None:
    """A kept image that is alone in its group may have pairs all the same: its partners went with others."""
    has_pair = np.zeros(len(decisions.reason), bool)
    has_pair[pairs.left] = has_pair[pairs.right] = True
    decisions.reason[has_pair & (decisions.reason == Reason.UNIQUE)] = Reason.ALONE


def require_promises(
    at_hand: AtHand,
    decisions: Decisions,
    stands_for: Int64,
    apart: Int64,
    threshold: float,
    floor: float,
    weakest: float | None = None,
) -> None:
    """Hold the promises of the group rule against the embeddings themselves, before anything is written.

    Every witness is kept; it is at or above the threshold, or at the `floor` and confirmed on pixels, or one that
    people named, or it is re-drawn, or a chain of such pairs leads to it, none below `weakest` (None: floor); no group
    holds a pair that was ruled out. An exact duplicate is held to the image that stands for it: the same file may have
    got an embedding that differs in the last bits, in another batch of the encoder.
    """
    dropped = np.flatnonzero((decisions.decision == Decision.DROP) & (decisions.witness >= 0))
    _require(decisions.decision[decisions.witness[dropped]] == Decision.KEEP, "a witness is not kept")
    chained = dropped[decisions.reason[dropped] != Reason.REDRAWN]
    _require(decisions.chain[chained] >= np.float32(floor if weakest is None else weakest), "a chain falls too low")
    is_near = np.zeros(len(stands_for), bool)
    is_near[stands_for[dropped]] = True
    near = np.flatnonzero(is_near)
    near = near[(decisions.decision[near] == Decision.DROP) & (decisions.reason[near] != Reason.CHAIN)]
    found = at_hand.similarities(near, decisions.witness[near])
    least = np.where(decisions.pixels[near], np.float32(floor), np.float32(threshold))
    least[decisions.people[near] | (decisions.reason[near] == Reason.REDRAWN)] = -2
    _require(found >= least, "a witness lies below the threshold")
    groups = decisions.group[apart]
    _require((groups[:, 0] != groups[:, 1]) | (groups[:, 0] < 0), "a group holds a pair that was ruled out")


def _require(held: NDArray[np.bool_], broken: str) -> None:
    """An assertion that python -O does not take out: the promise is the product."""
    if not held.all():
        raise AssertionError(broken)


def similarities(
    store: Store, left: Int64, right: Int64, scratch: Path | None = None, compared: Matrix | None = None
) -> Float32:
    """Exact similarity of paired rows, (n,) float32; by blocks.

    Of many rows the embeddings are copied to a scratch file in `scratch` first: a store is read by chunks, and rows in
    any order would read all of it for each block. compared: such a file that may be there.
    """
    if len(left) <= BLOCK_ROWS:
        return exact(store.embeddings(left), store.embeddings(right))
    if compared is None or not compared.has(left) or not compared.has(right):
        compared = Matrix(scratch, store, np.union1d(left, right))
    matrix = compared
    rows, result = matrix.rows, np.empty(len(left), np.float32)
    for low in range(0, len(left), BLOCK_ROWS):
        part = slice(low, low + BLOCK_ROWS)
        sides = (matrix.take(np.searchsorted(rows, ends[part])) for ends in (left, right))
        result[part] = exact(*sides)
    return result
