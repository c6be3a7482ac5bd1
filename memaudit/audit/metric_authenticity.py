"""AuthPct: the share of generations that are not nearer to a training image than its own kind is
(Alaa et al. 2022, arXiv 2102.08921)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.results import Scores
from memaudit.index import Searcher
from memaudit.types import Float32, Int64

_LOOK = 32  # neighbours of a training image among which one is sought that is not its exact duplicate
_QUERY_ROWS = 1024


class Authenticity(NamedTuple):
    """percent: authentic among the generations measured, None if there are none. zero_radius: how many of the nearest
    training images have an exact duplicate."""

    percent: float | None
    zero_radius: int
    note: str = ""


def authenticity(scores: Scores, references: Searcher) -> Authenticity:
    """AuthPct over the whole training set, exact duplicates of training images taken for one image.

    With t the training image nearest to g, g is authentic if it lies farther from t than t's nearest other image does.
    Where all of the 32 nearest are duplicates of t, its radius is unknown and g is left out.
    """
    measured = scores.best >= 0
    nearest, place = np.unique(scores.best[measured], return_inverse=True)
    if not len(nearest):
        return Authenticity(None, 0, "AuthPct: no generation was measured")
    radius, duplicated = _radius(nearest, references)
    known = np.isfinite(radius)[place]
    # Similarity falls as distance rises: farther from t than t's nearest other is less similar than that one.
    authentic = scores.best_similarity[measured][known] < radius[place][known]
    unknown = int((~known).sum())
    note = f"AuthPct: {unknown:,} generations lie nearest to an image with no other but duplicates" if unknown else ""
    return Authenticity(float(100 * authentic.mean()) if len(authentic) else None, int(duplicated.sum()), note)


def _radius(rows: Int64, references: Searcher) -> tuple[Float32, NDArray[np.bool_]]:
    """Similarity of each training image to its nearest other that is no exact duplicate (NaN: none among the nearest),
    and whether it has an exact duplicate."""
    radius, duplicated = np.full(len(rows), np.nan, np.float32), np.zeros(len(rows), bool)
    for low in range(0, len(rows), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        near = references.search(references.store.embeddings(rows[part]), _LOOK, 1.0)
        other = (near.similarity < 1) & np.isfinite(near.similarity)
        first = other.argmax(axis=1)
        found = other.any(axis=1)
        radius[part] = np.where(found, near.similarity[np.arange(len(first)), first], np.nan)
        duplicated[part] = near.above > 1
    return radius, duplicated
