"""How many pairs an image has: counted for a few of a store with all others."""

from __future__ import annotations

import numpy as np

from memaudit.similarity import pairs_across
from memaudit.store import Store

QUERIES = 256


def pairs_per_row(store: Store, rows: int, seed: int = 0) -> float:
    """Pairs at the encoder's threshold for each of `rows` images, of which the store's are all, or a random sample."""
    there = store.comparable_rows()
    if len(there) < 2:
        return 0.0
    drawn = np.sort(np.random.default_rng(seed).choice(there, min(QUERIES, len(there)), replace=False))
    queries, count = store.embeddings(drawn), 0
    for block in store.blocks():
        count += len(pairs_across(queries, block.embeddings, store.encoder.threshold).left)
    partners = (count - len(drawn)) / len(drawn)
    return partners / 2 * max(1.0, (rows - 1) / (len(there) - 1))
