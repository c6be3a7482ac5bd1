"""Pairs as a search collects them: all at the threshold, and of those below what pixels may be asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.candidates import closest_of_either
from memaudit.similarity import Pairs
from memaudit.similarity.pairs import Positions, room_for
from memaudit.types import Float32, Int64

SORTED_AT_ONCE = 2**21  # pairs, of all, and in a part of them
_WAITING = 4096  # smaller parts, before they become one
_STRIDE = 512  # of the keys of a part: by those that are met ranges of all are chosen
PRUNE_AT = 1_000_000  # pairs below the threshold that are added, or held, before those nobody asks about go


@dataclass(frozen=True)
class CandidateRule:
    """Which pairs below the threshold are candidates: from `floor` on, the `most` most similar ones of either image.

    place (n,): each position's place by image_id, in which order ties go. apart (m, 2): positions that were ruled out
    with each other; such pairs are no candidates, and take nobody's place.
    """

    floor: float
    most: int
    place: Int64
    apart: Int64

    def chosen(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Which of these pairs below the threshold, none of them ruled out, are among the most similar of an image."""
        left, right = self.ends(pairs)
        return closest_of_either(left, right, pairs.similarity, self.most)

    def ends(self, pairs: Pairs) -> tuple[Int64, Int64]:
        """Both images by their places, the lower one first."""
        left, right = np.sort([self.place[pairs.left], self.place[pairs.right]], axis=0)
        return left, right

    def keys(self, size: int) -> Int64:
        """The ruled-out pairs as `Collected` keeps pairs."""
        return _keys(self.apart[:, 0], self.apart[:, 1], size)


@dataclass
class _Parts:
    """Pairs so far, 12 bytes each: the parts are distinct, each is sorted, and none is empty. The first `whole` have
    SORTED_AT_ONCE pairs or more; the others wait to become one: a search comes with as many parts as it has jobs."""

    keys: list[Int64] = field(default_factory=list)
    similarity: list[Float32] = field(default_factory=list)
    count: int = 0
    whole: int = 0
    waiting: int = 0  # pairs

    def add(self, keys: Int64, similarity: Float32) -> None:
        order = np.argsort(keys)  # no key occurs twice
        self._take(keys[order], similarity[order])

    def extend(self, other: _Parts) -> None:
        for keys, similarity in zip(other.keys, other.similarity, strict=True):
            self._take(keys, similarity)

    def where(self, chosen: NDArray[np.bool_]) -> _Parts:
        """Of one part."""
        (keys,), (similarity,), found = self.keys, self.similarity, _Parts()
        found._take(keys[chosen], similarity[chosen])
        return found

    def _take(self, keys: Int64, similarity: Float32) -> None:
        """A further part, which is sorted."""
        if not len(keys):
            return
        self.count += len(keys)
        is_whole = len(keys) >= SORTED_AT_ONCE
        place = self.whole if is_whole else len(self.keys)
        self.keys.insert(place, keys)
        self.similarity.insert(place, similarity)
        self.whole += is_whole
        self.waiting += 0 if is_whole else len(keys)
        if self.waiting >= SORTED_AT_ONCE or len(self.keys) - self.whole >= _WAITING:
            self._join_waiting()

    def _join_waiting(self) -> None:
        joined, similarity = np.concatenate(self.keys[self.whole :]), np.concatenate(self.similarity[self.whole :])
        order = np.argsort(joined)
        self.keys[self.whole :], self.similarity[self.whole :] = [joined[order]], [similarity[order]]
        if self.waiting >= SORTED_AT_ONCE:
            self.whole, self.waiting = self.whole + 1, 0

    def as_arrays(self) -> tuple[Int64, Float32]:
        keys, similarity = [np.empty(0, np.int64), *self.keys], [np.empty(0, np.float32), *self.similarity]
        return np.concatenate(keys), np.concatenate(similarity)

    def joined(self) -> _Parts:
        """All of them as one part."""
        found = _Parts()
        found.add(*self.as_arrays())
        return found


class Collected:
    """Pairs of `size` positions as they come, put in order once, at the end.

    rule: what is held of the pairs below the threshold (None: there are none). left_out: how many were not. Who
    is among the most similar of all is among those of any part: so what a part leaves out, the whole would too.
    """

    def __init__(self, size: int, threshold: float, rule: CandidateRule | None) -> None:
        self._size, self._threshold, self._rule = size, np.float32(threshold), rule
        self._near, self._below = _Parts(), _Parts()
        self._limit = PRUNE_AT
        self.left_out = 0

    @property
    def near(self) -> int:
        """How many reach the threshold."""
        return self._near.count

    def add(self, pairs: Pairs) -> None:
        """Further pairs, of which none was added before."""
        for low in range(0, len(pairs.left), PRUNE_AT):
            part = pairs.where(np.arange(low, min(low + PRUNE_AT, len(pairs.left))))
            keys, near = _keys(part.left, part.right, self._size), part.similarity >= self._threshold
            self._near.add(keys[near], part.similarity[near])
            if self._rule is not None:
                self._below.add(keys[~near], part.similarity[~near])
                self._prune()

    def merge(self, other: Collected) -> None:
        """The pairs of another one, of which none was added here."""
        self._near.extend(other._near.joined())
        self._below.extend(other._below)
        self.left_out += other.left_out
        self._prune()

    def as_arrays(self) -> tuple[Int64, Float32, Int64, Float32, int]:
        """Keys and similarities of the pairs at the threshold and of those below it, and how many were left out."""
        return (*self._near.as_arrays(), *self._below.as_arrays(), self.left_out)

    @classmethod
    def of_arrays(
        cls,
        size: int,
        threshold: float,
        rule: CandidateRule | None,
        near: Int64,
        near_scores: Float32,
        below: Int64,
        below_scores: Float32,
        left_out: int,
    ) -> Collected:
        """What `as_arrays` gave."""
        found = cls(size, threshold, rule)
        found._near.add(near, near_scores)
        found._below.add(below, below_scores)
        found.left_out = left_out
        return found

    def _prune(self) -> None:
        if self._rule is None or self._below.count <= self._limit:
            return
        below = self._below.joined()
        stays = np.isin(below.keys[0], self._rule.keys(self._size))
        free = np.flatnonzero(~stays)
        left, right = np.divmod(below.keys[0][free], self._size)
        stays[free[self._rule.chosen(Pairs(left, right, below.similarity[0][free]))]] = True
        self._below = below.where(stays)
        self.left_out += below.count - self._below.count
        self._limit = max(PRUNE_AT, 2 * self._below.count)

    def in_order(self) -> Pairs:
        """All pairs held, sorted. Memory: 12 bytes a pair more, and a part of them while it is put in order."""
        total = self._near.count + self._below.count
        left, right = room_for(total, self._size), room_for(total, self._size)
        similarity, filled = np.empty(total, np.float32), 0
        for keys, scores in self._by_range(max(1, total // SORTED_AT_ONCE)):
            order = np.argsort(keys)  # no key occurs twice
            part = slice(filled, filled := filled + len(keys))
            left[part], right[part] = np.divmod(keys[order], self._size)
            similarity[part] = scores[order]
        return Pairs(left, right, similarity)

    def _by_range(self, ranges: int) -> Iterator[tuple[Int64, Float32]]:
        """All pairs held by rising ranges of their keys, of about as many pairs each, in no order within one."""
        keys, scores = self._near.keys + self._below.keys, self._near.similarity + self._below.similarity
        some = np.sort(np.concatenate([np.empty(0, np.int64), *(part[::_STRIDE] for part in keys)]))
        bounds = some[len(some) * np.arange(1, ranges) // ranges]
        ends = [[0, *np.searchsorted(part, bounds).tolist(), len(part)] for part in keys]
        for number in range(ranges):
            slices = [slice(*end[number : number + 2]) for end in ends]
            yield _joined(keys, slices, np.int64), _joined(scores, slices, np.float32)


def _joined(parts: list[NDArray[Any]], slices: list[slice], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *(part[where] for part, where in zip(parts, slices, strict=True))])


def _keys(left: Positions, right: Positions, size: int) -> Int64:
    return np.minimum(left, right).astype(np.int64) * size + np.maximum(left, right)
