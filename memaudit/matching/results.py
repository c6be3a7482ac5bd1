"""What a search and its decisions come to: matches, and the closest that are none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.overlap import Overlaps
from memaudit.types import Float32, Int64


class Matches(NamedTuple):
    """Training images (reference rows) that generations (query rows) are near-duplicates or copies of.

    similarity: of the view that is most similar, `view` its name. rank: 1 for a generation's first match; those that
    pixels confirm come before the others, graver kinds first, then by similarity. kind: of `Kind`. verified: pixels
    confirm it; compared: they were looked at; probability: of a copy by them, NaN where they were not. near_duplicates:
    how many training images, itself included, reach the threshold with this reference (its eidetic count). overlaps:
    where those lie that pixels confirm.
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


class Misses(NamedTuple):
    """The most similar pairs of rows that are no matches, one for each generation, most similar first. compared: their
    pixels were; probability: of a copy by them, NaN where they were not."""

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]
    compared: NDArray[np.bool_]
    probability: Float32


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
