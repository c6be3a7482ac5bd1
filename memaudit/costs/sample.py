"""How many near-duplicates images have: counted for a few of a store with all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.similarity import pairs_across
from memaudit.store import Store

QUERIES = 256


class NearDuplicates(NamedTuple):
    """What there is of them. pairs: for each image; told: where that is from. paired: the share of images that have
    one, None where nobody counted; all: it was counted among all images, and not in a sample of them."""

    pairs: float
    told: str
    paired: float | None = None
    all: bool = True


def counted(store: Store, rows: int, seed: int = 0) -> NearDuplicates:
    """At the encoder's threshold, for each of `rows` images, of which the store's are all, or a random sample."""
    told, there = "counted for a few images", store.comparable_rows()
    if len(there) < 2:
        return NearDuplicates(0.0, told, 0.0, all=rows == len(there))
    drawn = np.sort(np.random.default_rng(seed).choice(there, min(QUERIES, len(there)), replace=False))
    queries, found = store.embeddings(drawn), np.zeros(len(drawn), np.int64)
    for block in store.blocks():
        near = pairs_across(queries, block.embeddings, store.encoder.threshold).left
        found += np.bincount(near, minlength=len(drawn))
    partners = (int(found.sum()) - len(drawn)) / len(drawn)  # each finds itself
    pairs = round(partners / 2 * max(1.0, (rows - 1) / (len(there) - 1)), 3)
    return NearDuplicates(pairs, told, float((found > 1).mean()), all=rows == len(there))
