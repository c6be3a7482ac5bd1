"""The eidetic count: how many images of a set lie within the threshold of one of them."""

from __future__ import annotations

import numpy as np

from memaudit.index import Searcher
from memaudit.types import Int64

_QUERY_ROWS = 4096


def near_duplicates(rows: Int64, searcher: Searcher, threshold: float) -> Int64:
    """How many images of the searched store each of the given rows of it stands for, itself included, also where an
    index does not return it."""
    distinct, back = np.unique(rows, return_inverse=True)
    counts = np.empty(len(distinct), np.int64)
    for low in range(0, len(distinct), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        counts[part] = searcher.search(searcher.store.embeddings(distinct[part]), 1, threshold).above
    return np.maximum(counts, 1)[back]
