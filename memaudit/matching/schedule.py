"""In which order pairs are compared, so that each picture is read about once and few are held."""

from __future__ import annotations

from array import array
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.types import Int64


class Schedule(NamedTuple):
    """pairs (n,): their places, in the order to go by; done (n, 2) bool: after which of these the left picture, or the
    right one, is let go. Whoever keeps to it holds as many pictures as it was made for, and reads `reads` of them."""

    pairs: Int64
    done: NDArray[np.bool_]

    @property
    def reads(self) -> int:
        """How often a picture is read, each anew after it was let go."""
        return int(self.done.sum())

    @classmethod
    def joined(cls, parts: list[Schedule]) -> Schedule:
        """One after the other."""
        none = cls(np.empty(0, np.int64), np.empty((0, 2), bool))
        return cls(*map(np.concatenate, zip(none, *parts, strict=True)))


def schedule(left: Int64, right: Int64, most: int) -> Schedule:
    """Order pairs of pictures, each a number from 0 on, for `most` of them at a time (at least two).

    The next picture is the one that has most open pairs with those that are held, and of such the one that opens
    fewest others; where there is no room, the one with the fewest open pairs goes. Time: that of sorting the pairs.
    Memory: some 250 bytes a pair. The result depends on nothing else.
    """
    work = _Work(left, right, max(2, most))
    for first in work.by_degree():
        while work.open[first]:
            work.take(first)
            while (following := work.following()) is not None:
                work.take(following)
    return Schedule(np.asarray(work.order, np.int64), work.done[: len(work.order)])


class _Work:
    """The pairs as a graph, which of them are open, and which pictures are held."""

    def __init__(self, left: Int64, right: Int64, most: int) -> None:
        self._ends, self._most = np.stack([left, right], axis=1), most
        size = int(self._ends.max(initial=-1)) + 1
        same = left == right
        ends = np.concatenate([left, right[~same]])
        order = np.argsort(ends, kind="stable")
        pair = np.concatenate([np.arange(len(left)), np.flatnonzero(~same)])[order]
        self._pair, self._other = pair, self._ends[pair].sum(axis=1) - ends[order]
        self._start = np.searchsorted(ends[order], np.arange(size + 1))
        self.open: list[int] = np.diff(self._start).tolist()  # pairs of each picture that are not compared yet
        self._closes = [0] * size  # of those, with a picture that is held
        self._compared = bytearray(len(left))
        self._held: dict[int, int] = {}  # the place in `order` of the latest pair of each, -1 for none yet
        # Heaps of what may be taken next, and of what may go: a number for each, of which some are out of date
        self._size, self._most_open = max(1, size), 1 + max(self.open, default=0)
        self._wanted: list[int] = []
        self._spare: list[int] = []
        self.order = array("q")
        self.done = np.zeros((len(left), 2), bool)

    def by_degree(self) -> list[int]:
        """Those of few pairs first: they lie at the rim."""
        found: list[int] = np.argsort(np.array(self.open, np.int64), kind="stable").tolist()
        return found

    def following(self) -> int | None:
        """The picture to be taken next; None where those that are held have no open pair."""
        while self._wanted:
            entry = heappop(self._wanted)
            picture = entry % self._size
            if picture not in self._held and self._closes[picture] and entry == self._entry(picture):
                return picture
        return None

    def take(self, picture: int) -> None:
        """Hold a picture, and compare it with all held ones that it has an open pair with."""
        neighbours = self._neighbours(picture)
        if len(self._held) >= self._most:
            self._make_room({other for other, _ in neighbours})
        self._held[picture] = -1
        for other, pair in neighbours:
            if other in self._held:
                self._compare(picture, other, pair)
            else:
                self._closes[other] += 1
                heappush(self._wanted, self._entry(other))
        if picture in self._held:
            heappush(self._spare, self.open[picture] * self._size + picture)

    def _entry(self, picture: int) -> int:
        """Most pairs with the held ones first, then fewest pairs, then the lowest number."""
        most = self._most_open
        return ((most - self._closes[picture]) * most + self.open[picture]) * self._size + picture

    def _neighbours(self, picture: int) -> list[tuple[int, int]]:
        """Those of its open pairs, and these."""
        part = slice(self._start[picture], self._start[picture + 1])
        pairs = zip(self._other[part].tolist(), self._pair[part].tolist(), strict=True)
        return [(other, pair) for other, pair in pairs if not self._compared[pair]]

    def _compare(self, picture: int, other: int, pair: int) -> None:
        self._compared[pair] = 1
        place = len(self.order)
        self.order.append(pair)
        for end in {picture, other}:
            self._held[end] = place
            self.open[end] -= 1
            if not self.open[end]:
                self._let_go(end)
            elif end != picture:
                heappush(self._spare, self.open[end] * self._size + end)
        if picture != other:
            self._closes[picture] -= 1

    def _make_room(self, needed: set[int]) -> None:
        """Let the picture with the fewest open pairs go; of those that are needed now only where all are."""
        passed = list[int]()
        while True:
            entry = heappop(self._spare)
            opened, picture = divmod(entry, self._size)
            if picture not in self._held or opened != self.open[picture]:
                continue
            if picture not in needed or len(passed) + 1 == self._most:
                break
            passed.append(entry)
        for entry in passed:
            heappush(self._spare, entry)
        self._let_go(picture)
        for other, _ in self._neighbours(picture):  # none of them is held: what two held ones share is compared
            self._closes[other] -= 1
            heappush(self._wanted, self._entry(other))

    def _let_go(self, picture: int) -> None:
        place = self._held.pop(picture)
        if place >= 0:
            self.done[place, int(self._ends[self.order[place], 0] != picture)] = True
