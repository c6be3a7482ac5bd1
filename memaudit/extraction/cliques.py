"""The largest set of generations that are all close to each other: an exact maximum clique, by branch and bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEPS = 200_000  # branches looked at before the search gives up; clusters of copies need a few


class Clique(NamedTuple):
    """Positions of the members, sorted. proven: False if the search gave up, and a larger one may exist."""

    members: tuple[int, ...]
    proven: bool


def largest_clique(adjacent: NDArray[np.bool_], least: int, steps: int = STEPS) -> Clique:
    """A clique of greatest size among those of at least `least` members, of a symmetric (n, n) adjacency.

    No members if there is none so large. Positions of too low a degree are pruned first, again and again, then each
    branch is bounded by a greedy colouring (Tomita & Seki 2003). Memory: n^2 bits.
    """
    kept = pruned(adjacent, max(1, least))
    search = _Search([_bits(row) for row in adjacent[np.ix_(kept, kept)]], max(1, least) - 1, steps)
    search.run()
    return Clique(tuple(int(kept[i]) for i in sorted(search.best)), search.steps > 0)


def pruned(adjacent: NDArray[np.bool_], least: int) -> NDArray[np.int64]:
    """Positions that have at least `least` - 1 neighbours among those that are left."""
    links = adjacent & ~np.eye(len(adjacent), dtype=bool)
    kept = np.arange(len(links))
    while len(kept):
        enough = links[np.ix_(kept, kept)].sum(axis=1) >= least - 1
        if enough.all():
            break
        kept = kept[enough]
    return kept


def _bits(row: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(row, bitorder="little").tobytes(), "little")


class _Search:
    """Sets are bits of whole numbers. `best` has more than `floor` members, or none."""

    def __init__(self, neighbours: list[int], floor: int, steps: int) -> None:
        self._neighbours = [bits & ~(1 << i) for i, bits in enumerate(neighbours)]
        self._floor = floor
        self.steps = steps
        self.best: list[int] = []

    def run(self) -> None:
        """Depth first, without recursion: a clique may have a thousand members."""
        stack: list[tuple[list[int], Iterator[tuple[int, int, int]]]] = [
            ([], iter(self._branches((1 << len(self._neighbours)) - 1)))
        ]
        while stack and self.steps > 0:
            members, branches = stack[-1]
            branch = next(branches, None)
            if branch is None or len(members) + branch[1] <= self._floor:  # those after it are bounded by less
                stack.pop()
                continue
            self.steps -= 1
            vertex, _, candidates = branch
            grown, left = [*members, vertex], candidates & self._neighbours[vertex]
            if left:
                stack.append((grown, iter(self._branches(left))))
            elif len(grown) > self._floor:
                self.best, self._floor = grown, len(grown)

    def _branches(self, candidates: int) -> list[tuple[int, int, int]]:
        """Candidates by falling colour: vertex, its colour (no clique with it and those after it is larger), and what
        it may be joined with."""
        coloured, colour, rest = [], 0, candidates
        while rest:
            colour += 1
            free = rest
            while free:
                vertex = (free & -free).bit_length() - 1
                free &= ~(1 << vertex) & ~self._neighbours[vertex]
                rest &= ~(1 << vertex)
                coloured.append((vertex, colour))
        branches, left = [], candidates
        for vertex, bound in reversed(coloured):
            branches.append((vertex, bound, left))
            left &= ~(1 << vertex)
        return branches
