"""Where two images show the same: how one lies on the other, and the box of their common part in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.pictures import Picture, composed, inverted
from memaudit.types import Float64, Int64


class Overlap(NamedTuple):
    """matrix (2, 3): takes a place in the query to that in the reference, both in shares of the longer side of the
    image, from its upper left corner. query_box, reference_box (4,): x0, y0, x1, y1 of the common part in either image,
    in shares of its width and height, 0 to 1; of a common part that is turned, the upright rectangle around it."""

    matrix: Float64
    query_box: Float64
    reference_box: Float64


@dataclass(frozen=True)
class Overlaps:
    """Columns of `Overlap`: matrix (n, 2, 3), query_box and reference_box (n, 4), all float64. NaN where none is known:
    pixels were not compared, or do not show a copy. To be used like an array of n."""

    matrix: Float64
    query_box: Float64
    reference_box: Float64

    @classmethod
    def unknown(cls, pairs: int = 0) -> Overlaps:
        """Columns to be filled."""
        return cls(*(np.full((pairs, *shape), np.nan) for shape in ((2, 3), (4,), (4,))))

    @classmethod
    def of(cls, found: Sequence[Overlap | None]) -> Overlaps:
        """The columns of these."""
        columns = cls.unknown(len(found))
        for i, overlap in enumerate(found):
            if overlap is not None:
                columns.matrix[i], columns.query_box[i], columns.reference_box[i] = overlap
        return columns

    def __len__(self) -> int:
        return len(self.matrix)

    def __getitem__(self, which: NDArray[np.bool_] | Int64) -> Overlaps:
        return Overlaps(self.matrix[which], self.query_box[which], self.reference_box[which])

    def __setitem__(self, which: NDArray[np.bool_] | Int64, overlaps: Overlaps) -> None:
        self.matrix[which] = overlaps.matrix
        self.query_box[which] = overlaps.query_box
        self.reference_box[which] = overlaps.reference_box

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.matrix[:, 0, 0]))

    def followed_by(self, others: Overlaps) -> Overlaps:
        """These, and then the others."""
        columns = zip(vars(self).values(), vars(others).values(), strict=True)
        return Overlaps(*(np.concatenate(both) for both in columns))

    def swapped(self, which: NDArray[np.bool_]) -> Overlaps:
        """With query and reference exchanged where `which` says so."""
        matrix, own, other = self.matrix.copy(), self.query_box.copy(), self.reference_box.copy()
        linear = np.linalg.inv(matrix[which][:, :, :2])
        matrix[which] = np.concatenate([linear, -linear @ matrix[which][:, :, 2:]], axis=2)
        own[which], other[which] = self.reference_box[which], self.query_box[which]
        return Overlaps(matrix, own, other)


def overlap_of(query: Picture, reference: Picture, matrix: Float64) -> Overlap:
    """Where the images of two pictures show the same, if the query lies on the reference by `matrix`, which takes its
    places there. Pictures of a part speak for their image: only what they show can be common."""
    common = _clipped(_corners(query) @ matrix[:, :2].T + matrix[:, 2], reference.size)
    back = inverted(matrix)
    return Overlap(
        composed(composed(reference.place, matrix), inverted(query.place)),
        _box(query, common @ back[:, :2].T + back[:, 2]),
        _box(reference, common),
    )


def _corners(picture: Picture) -> Float64:
    return np.asarray(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * picture.size)


def _clipped(polygon: Float64, size: tuple[float, float]) -> Float64:
    """What of a convex polygon (n, 2) lies in the rectangle from the origin (Sutherland & Hodgman 1974)."""
    for axis, limit, sign in ((0, 0.0, 1), (1, 0.0, 1), (0, size[0], -1), (1, size[1], -1)):
        depth = sign * (polygon[:, axis] - limit)  # how far each corner lies within this edge
        corners = []
        for i in range(len(polygon)):
            before = depth[i - 1]
            if (before >= 0) != (depth[i] >= 0):
                corners.append(polygon[i - 1] + before / (before - depth[i]) * (polygon[i] - polygon[i - 1]))
            if depth[i] >= 0:
                corners.append(polygon[i])
        polygon = np.array(corners).reshape(-1, 2)
    return polygon


def _box(picture: Picture, places: Float64) -> Float64:
    """The upright box, in shares of the image's width and height, around places of a picture of it."""
    places = places @ picture.place[:, :2].T + picture.place[:, 2]
    shares = np.clip(places / np.array(picture.image_size), 0.0, 1.0)
    return np.concatenate([shares.min(axis=0), shares.max(axis=0)])
