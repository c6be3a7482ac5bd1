"""Pairs that may be copies: what their similarity is of, each pair once, the most similar of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.images.view_names import WHOLE
from memaudit.types import Float32, Int64


class Basis(IntEnum):
    """What a similarity is of: of both images as a whole, or of a part of one of them."""

    WHOLE = 0
    VIEW = 1  # a turn or a tile of the query
    TILE = 2  # of the reference
    DETAIL = 3  # of the reference; decides nothing, see `Candidates.decides`


class Candidates(NamedTuple):
    """Pairs of rows (query, reference): int64 each. A search's are each there once, sorted by query, then by falling
    similarity.

    similarity: of the view of the query, or the window of the reference, that is most similar; basis (int8, of
    `Basis`): what that is; window: its name, "whole" for none.
    """

    query: Int64
    reference: Int64
    similarity: Float32
    basis: NDArray[np.int8]
    window: NDArray[np.object_]

    @classmethod
    def whole(cls, query: Int64, reference: Int64, similarity: Float32) -> Candidates:
        """Pairs of whole images."""
        basis, window = np.full(len(query), Basis.WHOLE, np.int8), np.full(len(query), WHOLE, object)
        return cls(query, reference, similarity, basis, window)

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """All of these, one after the other."""
        none = np.empty(0, np.int64)
        columns: Any = zip(cls.whole(none, none, np.empty(0, np.float32)), *parts, strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def picked(self, which: NDArray[np.bool_] | Int64) -> Candidates:
        """Some of them, by a mask or by places."""
        return Candidates._make(column[which] for column in self)

    def at_least(self, floor: float) -> Candidates:
        """Those of this similarity or more."""
        return self.picked(self.similarity >= np.float32(floor))

    @property
    def decides(self) -> NDArray[np.bool_]:
        """Of which the similarity, at the threshold, makes a match. Details are too small for that: a line, a corner
        and a gradient are the same everywhere, and are for pixels to tell."""
        return np.asarray(self.basis != Basis.DETAIL)

    @property
    def views(self) -> NDArray[np.object_]:
        """What reports call the view of each: the window's name, after "reference" where it is the reference's."""
        of_reference = np.isin(self.basis, (Basis.TILE, Basis.DETAIL))
        return np.asarray(np.where(of_reference, "reference " + self.window, self.window), dtype=object)

    def once(self) -> Candidates:
        """Each pair once, by what is most similar of it; in order."""
        order = np.lexsort((self.basis != Basis.WHOLE, self.reference, -self.similarity, self.query))
        _, first = np.unique(_numbers(self, self)[0][order], return_index=True)
        return self.picked(order[np.sort(first)])

    def closest(self, most: int) -> Candidates:
        """Each pair once, and of each query the `most` most similar pictures: references of equal similarity hold one,
        which would crowd out all others if it stands there many times. Of each at most `most` references."""
        once = self.once()
        picture: Int64 = np.cumsum(once._other_pictures(), dtype=np.int64)
        rank = picture - picture[np.searchsorted(once.query, once.query)]
        return once.picked((rank < most) & (place_in_run(picture) < most))

    def pictures(self) -> Candidates:
        """Of each query every picture once."""
        once = self.once()
        return once.picked(once._other_pictures())

    def _other_pictures(self) -> NDArray[np.bool_]:
        """Where, in order, another picture follows."""
        others = (self.query[1:] != self.query[:-1]) | (self.similarity[1:] != self.similarity[:-1])
        return np.concatenate([np.ones(min(1, len(self.query)), bool), others])

    def closest_of_pair(self, most: int) -> Candidates:
        """Of each pair the `most` most similar entries; sorted by pair, then by falling similarity."""
        ordered = self.picked(np.lexsort((-self.similarity, self.reference, self.query)))
        return ordered.picked(place_in_run(_numbers(ordered, ordered)[0]) < most)

    def places_in(self, others: Candidates) -> Int64:
        """Where each of these pairs stands among `others`, if it is there at all, else -1."""
        own, other = _numbers(self, others)
        if not len(other):
            return np.full(len(own), -1, np.int64)
        order = np.argsort(other)
        place = order[np.minimum(np.searchsorted(other, own, sorter=order), len(other) - 1)]
        return np.where(other[place] == own, place, -1)


def _numbers(pairs: Candidates, others: Candidates) -> tuple[Int64, Int64]:
    """A number for each pair of rows, equal for equal pairs; rising with the query, then the reference."""
    size = 1 + max(int(part.reference.max(initial=0)) for part in (pairs, others))
    return pairs.query * size + pairs.reference, others.query * size + others.reference


def place_in_run(values: Int64) -> Int64:
    """Where each of these sorted values stands among those equal to it."""
    return np.arange(len(values)) - np.searchsorted(values, values)


def closest_of_either(left: Int64, right: Int64, similarity: Float32, most: int) -> NDArray[np.bool_]:
    """Which pairs of one set are among the `most` most similar ones of either image; ties go by the partner."""
    ends, partners = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.lexsort((partners, np.tile(-similarity, 2), ends))
    chosen = np.zeros(len(left), bool)
    chosen[order[place_in_run(ends[order]) < most] % max(1, len(left))] = True
    return chosen
