"""Whom to label next: images that the probe is unsure of, and those near known positives that it rejects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.filters.joined import Joined
from memaudit.filters.probe import Probe
from memaudit.store import unit_rows
from memaudit.types import Float32, Int64, Progress, silent

_MOST_POSITIVES = 500  # that others are held against
_POOL = 5  # candidates for each image that is wanted: those that are nearly alike teach the same


class Scored(NamedTuple):
    """Of every row its logit, NaN where it is not scored, and the greatest similarity to a known positive, by the mean
    of the encoders. Memory: 8 bytes a row."""

    logits: Float32
    nearest: Float32

    @property
    def rows(self) -> Int64:
        return np.flatnonzero(np.isfinite(self.logits))


class Chosen(NamedTuple):
    """Rows to label: the uncertain, and likely false negatives."""

    uncertain: Int64
    missed: Int64


def score_rows(joined: Joined, probe: Probe, positives: Int64, seed: int, progress: Progress = silent) -> Scored:
    """Score every row. positives: rows of known positives. Memory: 8 bytes a row, and a block."""
    anchors = _anchors(joined, positives, seed)
    logits, nearest = np.full(len(joined), np.nan, np.float32), np.full(len(joined), -1, np.float32)
    for block in joined.blocks(names=False):
        part, scored = slice(block.first, block.first + len(block.state)), block.scored
        logits[part] = probe.logits(block.embeddings, scored)
        if len(positives) and scored.any():
            sums = sum(
                unit_rows(stored[scored]) @ anchor.T for stored, anchor in zip(block.embeddings, anchors, strict=True)
            )
            nearest[part][scored] = np.asarray(sums).max(axis=1) / len(anchors)
        progress("scoring", part.stop, len(joined))
    return Scored(logits, nearest)


def _anchors(joined: Joined, positives: Int64, seed: int) -> list[Float32]:
    chosen = np.random.default_rng(seed).permutation(positives)[:_MOST_POSITIVES]
    features = joined.features(np.sort(chosen)).astype(np.float32)
    return np.split(features, np.cumsum([encoder.dim for encoder in joined.encoders])[:-1], axis=1)


def choose(joined: Joined, scored: Scored, probability: Float32, taken: Int64, count: int) -> Chosen:
    """Choose half of `count` where the probability is nearest to one half, and half by their similarity to known
    positives among those that the probe rejects. probability: of every row; taken: rows that are not chosen.

    Of images that the first store's encoder holds for near-duplicates one is chosen.
    """
    free = np.isfinite(scored.logits)
    free[taken] = False
    rejected = free & (probability < 0.5) & (scored.nearest > -1)
    half = (count + 1) // 2
    uncertain = _apart(joined, _least(np.abs(probability - 0.5), free, half), half)
    rejected[uncertain] = False
    missed = _apart(joined, _least(-scored.nearest, rejected, count - half), count - half)
    return Chosen(uncertain, missed)


def _least(values: Float32, among: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], count: int) -> Int64:
    """Rows of the least values, in their order, some to spare."""
    rows = np.flatnonzero(among)
    wanted = min(len(rows), _POOL * count)
    if not wanted:
        return rows[:0]
    found = rows[np.argpartition(values[rows], wanted - 1)[:wanted]]
    return np.asarray(found[np.lexsort((found, values[found]))])


def _apart(joined: Joined, rows: Int64, count: int) -> Int64:
    """The first `count` of the rows no two of which are near-duplicates, filled up with others where they are few."""
    if len(rows) <= count:
        return rows
    store = joined.stores[0]
    embeddings, chosen = store.embeddings(rows), list[int]()
    for number in range(len(rows)):
        if len(chosen) == count:
            break
        if not chosen or (embeddings[chosen] @ embeddings[number]).max() < store.encoder.threshold:
            chosen.append(number)
    rest = [number for number in range(len(rows)) if number not in set(chosen)]
    return rows[np.array((chosen + rest)[:count], np.int64)]
