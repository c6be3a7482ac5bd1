"""What a search and its decisions come to: matches, and the closest that are none."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.images.view_names import WHOLE
from memaudit.matching.candidates import place_in_run
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.types import Coverage, Float32, Int64


class Matches(NamedTuple):
    """Training images (reference rows) that generations (query rows) are near-duplicates or copies of; or, by
    themselves, that they are drawn anew from.

    similarity: of the view that is most similar, `view` its name. rank: 1 for a generation's first match; those that
    pixels confirm come before the others, graver kinds first, then by similarity. kind: of `Kind`. verified: pixels
    confirm it; compared: they were looked at; probability: of a copy by them, or of a picture drawn anew, NaN where
    they were not. near_duplicates: how many training images, itself included, reach the threshold with this reference
    (its eidetic count). overlaps: where those lie that pixels confirm.
    """

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]
    rank: Int64
    kind: NDArray[np.object_]
    verified: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    probability: Float32
    near_duplicates: Int64
    overlaps: Overlaps

    def picked(self, which: NDArray[np.bool_]) -> Matches:
        """Some of them, by a mask."""
        return Matches._make(column[which] for column in self)

    def followed_by(self, others: Matches) -> Matches:
        """These, and then the others."""
        columns: Any = zip(self[:-1], others[:-1], strict=True)
        return Matches._make([*map(np.concatenate, columns), self.overlaps.followed_by(others.overlaps)])


class Misses(NamedTuple):
    """The most similar pairs of rows that are no matches, one for each generation, most similar first. compared: their
    pixels were; probability: of a copy by them, NaN where they were not."""

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]
    compared: NDArray[np.bool_]
    probability: Float32


class RedrawnPairs(NamedTuple):
    """Pairs of whole images that were looked at for a picture drawn anew, an entry of each column for each, sorted by
    query. read, probability: see redrawn.py; found: which are re-drawn."""

    query: Int64
    reference: Int64
    similarity: Float32
    read: NDArray[np.bool_]
    probability: Float32
    found: NDArray[np.bool_]

    @property
    def coverage(self) -> Coverage:
        """How many could be looked at."""
        return Coverage(int(self.read.sum()), len(self.read))

    def picked(self, which: NDArray[np.bool_] | Int64) -> RedrawnPairs:
        """Some of them, by a mask or by places."""
        return RedrawnPairs._make(column[which] for column in self)

    def matches(self) -> Matches:
        """Those that are re-drawn, of each query the likeliest first; without their near-duplicates."""
        found = self.picked(self.found)
        found = found.picked(np.lexsort((-found.similarity, -found.probability, found.query)))
        size = len(found.query)
        return Matches(
            found.query,
            found.reference,
            found.similarity,
            np.full(size, WHOLE, object),
            place_in_run(found.query) + 1,
            np.full(size, Kind.REDRAWN, object),
            np.zeros(size, bool),
            np.ones(size, bool),
            found.probability,
            np.zeros(size, np.int64),
            Overlaps.unknown(size),
        )

    def undecided(self) -> Int64:
        """Rows of the queries of which a pair could not be read, and none is re-drawn: nothing is known of them."""
        return np.setdiff1d(self.query[~self.read], self.query[self.found])


class ReferenceViews(NamedTuple):
    """Which views of the training images were searched, by the digests of their stores; None: not this one. idle: names
    of those that are there and were not searched."""

    whole: str
    tiles: str | None = None
    details: str | None = None
    idle: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str | None]:
        """Digests by name; None for what is there and was not searched."""
        searched = {"whole": self.whole, "tiles": self.tiles, "details": self.details}
        named = {name: digest for name, digest in searched.items() if digest is not None}
        return {**named, **dict.fromkeys(self.idle)}
