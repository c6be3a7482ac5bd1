"""Whether one picture is the other drawn anew: composition and objects are the same, hardly a pixel is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders.encoder import Encoder
from memaudit.matching.compare import Files
from memaudit.types import Float32, Int64, Progress

CUT = 0.5  # probability from which a pair counts as re-drawn
SOURCE = "provisional: a curve over the similarity"  # where the probability comes from
RECALL = "from the benchmark"  # where it is known from how many are found
_MIDDLE, _SLOPE = 0.55, 20.0


class Redrawn(NamedTuple):
    """An entry for each pair that was asked about. read: both files could be; probability: that one picture is the
    other drawn anew, NaN where not read."""

    read: NDArray[np.bool_]
    probability: Float32


def redrawn_pairs(
    queries: Files,
    references: Files,
    left: Int64,
    right: Int64,
    similarity: Float32,
    encoder: Encoder | None,
    progress: Progress,
) -> Redrawn:
    """How likely query left[i] is reference right[i] drawn anew, for all i. similarity (n,): of the whole images."""
    probability = 1 / (1 + np.exp(_SLOPE * (_MIDDLE - similarity.astype(np.float64))))
    return Redrawn(np.ones(len(left), bool), probability.astype(np.float32))
