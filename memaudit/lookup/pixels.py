"""Candidates of a look-up, held against the picture that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import MissingDependencyError
from memaudit.matching.compare import Files, check_pairs
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import import_cv2
from memaudit.matching.plan import SEARCH_FLOORS, require_choice
from memaudit.similarity.exact import require_threshold
from memaudit.store import Store
from memaudit.types import Float32, Int64, silent


@dataclass(frozen=True)
class Pixels:
    """floor: similarity from which candidates are held against the picture; why_not: why none are, else empty."""

    floor: float
    why_not: str = ""


def plan_pixels(verify: str, floor: float | None, encoder: str, threshold: float) -> Pixels:
    """Settle whether candidates are decided on pixels, from `floor` on (None: the encoder's own).

    Raises UsageError for another choice than VERIFY's or an impossible floor, MissingDependencyError where pixels were
    asked for without OpenCV.
    """
    require_choice(verify)
    if floor is not None:
        require_threshold(floor)
    if verify == "none":
        return Pixels(threshold, "--verify none")
    try:
        import_cv2()
    except MissingDependencyError as error:
        if verify == "pixels":
            raise
        return Pixels(threshold, str(error))
    return Pixels(min(threshold, SEARCH_FLOORS.get(encoder, threshold) if floor is None else floor))


class Candidates(NamedTuple):
    """Pairs of a picture (its number) and a training image (its row), with the similarity of the most similar view and
    its number; sorted by picture, then by falling similarity."""

    picture: Int64
    row: Int64
    similarity: Float32
    view: Int64

    def at(self, places: Int64) -> Candidates:
        """Those at the given places."""
        return Candidates._make(column[places] for column in self)


class Seen(NamedTuple):
    """For each candidate: whether both files were held against each other, whether that shows a copy, and of which
    kind; why it was not (empty: it was, or need not be)."""

    compared: NDArray[np.bool_]
    verified: NDArray[np.bool_]
    kind: NDArray[np.object_]
    why: NDArray[np.object_]


def see(
    found: Candidates, uris: Sequence[str], digests: Sequence[str], references: Store, pixels: Pixels, threshold: float
) -> Seen:
    """Hold the candidates from the floor on against their pictures, which lie at `uris` with the digests given.

    At the threshold a candidate whose pixels do not show a copy stays a near-duplicate, by similarity. Memory: the
    candidates, and a bounded number of pictures.
    """
    count = len(found.row)
    near = found.similarity >= np.float32(threshold)
    kind = np.where(near, Kind.NEAR, "").astype(object)
    none = np.zeros(count, bool)
    seen = Seen(none, none.copy(), kind, np.full(count, "", dtype=object))
    asked = np.flatnonzero(found.similarity >= np.float32(pixels.floor))
    if pixels.why_not or not len(asked):
        return seen
    rows, right = np.unique(found.row[asked], return_inverse=True)
    columns = references.columns(rows)
    queries = Files(np.array(uris, dtype=object), np.array(digests, dtype=object))
    checks = check_pairs(queries, Files(columns.uri, columns.sha256), found.picture[asked], right, silent)
    seen.compared[asked], seen.verified[asked], seen.why[asked] = checks.read, checks.copies, checks.why
    named = checks.read & (checks.copies | ~near[asked])
    kind[asked[named]] = checks.kind[named]
    return seen
