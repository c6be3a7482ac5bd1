"""Pictures of a search that repeat each other."""

from __future__ import annotations

import numpy as np

from memaudit.audit import families
from memaudit.encoders.thumbnail import SPEC
from memaudit.types import Float32, Int64


def one_of_each(thumbnails: Float32) -> Int64:
    """The first of each family of near-duplicates, by their embeddings: a picture that is there twice is rare once."""
    in_order = np.arange(len(thumbnails), dtype=np.uint64)
    return families.one_of_each(families.components(thumbnails, SPEC.threshold), in_order)
