"""The cover rule: whom to keep, so that everyone dropped has a kept witness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.exact_duplicates import NO_PAIRS
from memaudit.similarity import Pairs
from memaudit.similarity.pairs import Positions
from memaudit.types import Float32, Int64

Mask = NDArray[np.bool_]
_FAR = np.iinfo(np.int64).max
_AT_ONCE = 2**20  # pairs


class Cover(NamedTuple):
    """witness (n,) int64: the kept position each position is covered by (itself when kept); similarity (n,) float32."""

    witness: Int64
    similarity: Float32


def cover(size: int, pairs: Pairs, rank: Int64, apart: Int64 = NO_PAIRS) -> Cover:
    """Keep greedily by rising `rank`; drop whoever is paired with somebody kept.

    Each dropped position is paired *directly* with a kept one, its witness: the most similar, ties by rank. No chains:
    A ~ B ~ C never drops C for the sake of a dropped B. The kept are pairwise below the threshold, save who could
    only join a group with somebody that it is ruled out with: `apart` (n, 2), which `pairs` does not hold.
    The result depends on pairs and ranks alone, not on their order. Memory: 4 bytes a pair, and a block.
    """
    kept = _kept_by_rank(size, pairs, rank)
    fixed = _hold_apart(pairs, kept, rank, apart)
    result = _witnesses(pairs, kept, rank)
    for position, (witness, similarity) in fixed.items():
        result.witness[position], result.similarity[position] = witness, similarity
    return result


def _kept_by_rank(size: int, pairs: Pairs, rank: Int64) -> Mask:
    """Each pair is looked at from its lower rank only: should the other side be kept, this one is dropped already."""
    place = rank.argsort(kind="stable").argsort(kind="stable").astype(np.int32)
    starts, later = _partners(size, place, pairs)
    by_place = np.ones(size, bool)
    ends = starts.tolist()
    for position in np.flatnonzero(np.diff(starts)).tolist():
        if by_place[position]:
            by_place[later[ends[position] : ends[position + 1]]] = False
    return np.asarray(by_place[place])


def _partners(size: int, place: NDArray[np.int32], pairs: Pairs) -> tuple[Int64, NDArray[np.int32]]:
    """Where the partners of each place begin (size + 1,), and the partners (pairs,): those of a higher place."""

    def ends() -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        for low in range(0, len(pairs.left), _AT_ONCE):
            left, right = (place[side[low : low + _AT_ONCE]] for side in (pairs.left, pairs.right))
            yield np.minimum(left, right), np.maximum(left, right)

    starts = np.zeros(size + 1, np.int64)
    for first, _ in ends():
        np.add.at(starts[1:], first, 1)  # a bincount takes as long, and as much memory, as there are images
    np.cumsum(starts, out=starts)
    free, later = starts[:-1].copy(), np.empty(len(pairs.left), np.int32)
    for first, second in ends():
        order = np.argsort(first)
        first = first[order]
        begins = np.flatnonzero(np.diff(first, prepend=-1))
        counts = np.diff(begins, append=len(first))
        later[np.repeat(free[first[begins]] - begins, counts) + np.arange(len(first))] = second[order]
        free[first[begins]] += counts
    return starts, later


def _witnesses(pairs: Pairs, kept: Mask, rank: Int64) -> Cover:
    witness = np.arange(len(kept), dtype=np.int64)
    similarity = np.ones(len(kept), np.float32)
    similarity[~kept] = -np.inf
    for dropped, _, score in _useful(pairs, kept):
        np.maximum.at(similarity, dropped, score)
    best = np.full(len(kept), _FAR)
    for dropped, keeper, score in _useful(pairs, kept):
        top = score == similarity[dropped]
        np.minimum.at(best, dropped[top], rank[keeper[top]])
    found = np.flatnonzero(best != _FAR)
    by_rank = rank.argsort(kind="stable")
    witness[found] = by_rank[np.searchsorted(rank[by_rank], best[found])]
    return Cover(witness, similarity)


def _useful(pairs: Pairs, kept: Mask) -> Iterator[tuple[Positions, Positions, Float32]]:
    """(dropped, kept, similarity) of the pairs of one dropped and one kept, in blocks."""
    for low in range(0, len(pairs.left), _AT_ONCE):
        left, right, similarity = pairs.where(slice(low, low + _AT_ONCE))
        for dropped, keeper in ((left, right), (right, left)):
            chosen = np.flatnonzero(~kept[dropped] & kept[keeper])
            yield dropped[chosen], keeper[chosen], similarity[chosen]


def _hold_apart(pairs: Pairs, kept: Mask, rank: Int64, apart: Int64) -> dict[int, tuple[int, float]]:
    """Choose a witness for each dropped position that is ruled out with another, by rising rank; keep who finds none.

    A group never gets two that are ruled out with each other. `kept` is changed in place.
    """
    enemies: dict[int, set[int]] = {}
    for left, right in apart.tolist():
        enemies.setdefault(left, set()).add(right)
        enemies.setdefault(right, set()).add(left)
    involved = np.array(sorted(enemies, key=lambda position: rank[position]), dtype=np.int64)
    choices = _choices(pairs, kept, rank, involved)
    members: dict[int, set[int]] = {int(position): {int(position)} for position in involved[kept[involved]]}
    fixed = {}
    for position in involved[~kept[involved]].tolist():
        for similarity, witness in choices[position]:
            group = members.setdefault(witness, {witness})
            if group.isdisjoint(enemies[position]):
                group.add(position)
                fixed[position] = (witness, similarity)
                break
        else:
            kept[position] = True
    return fixed


def _choices(pairs: Pairs, kept: Mask, rank: Int64, involved: Int64) -> dict[int, list[tuple[float, int]]]:
    """(similarity, witness) that each involved dropped position may choose from, best first."""
    wanted = np.zeros(len(kept), bool)
    wanted[involved] = True
    choices: dict[int, list[tuple[float, int]]] = {position: [] for position in involved.tolist()}
    for dropped, keeper, score in _useful(pairs, kept):
        mine = wanted[dropped]
        for position, witness, similarity in zip(dropped[mine], keeper[mine], score[mine], strict=True):
            choices[int(position)].append((float(similarity), int(witness)))
    for found in choices.values():
        found.sort(key=lambda choice: (-choice[0], rank[choice[1]]))
    return choices
