"""Held-out images: how often would a training image match by chance?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from memaudit.index import Searcher
from memaudit.records import Block, Control, Float32, Int64, Rate, Scores
from memaudit.similarity import top_k
from memaudit.statistics import greater_rate_p, rate_of, relabelling_p
from memaudit.store import Store

MIN_CONTROLS = 100  # docs/protocols.md: with fewer the test cannot speak, and says so
PERMUTATIONS = 9999
_QUERY_ROWS = 4096


def measure_control(
    control: Store, references: Searcher, generations: Store, scores: Scores, searched: Rate, threshold: float, k: int
) -> Control:
    """Compare the generations' matches with what held-out images give.

    Control images that have a near-duplicate in the training set, and those training images, would break the
    exchangeability that the relabelling test rests on: they are left out of it, and counted.
    """
    matched_rows, matched_references, best = _across(control, references, threshold, k)
    kept = np.setdiff1d(control.comparable_rows(), matched_rows)
    nearest = _nearest_control(generations, control, kept, scores, threshold)
    usable = (scores.above > 0) | (nearest >= 0)
    usable &= ~np.isin(scores.best, matched_references)
    is_training = usable & (nearest < 0)
    is_control = usable & (nearest >= 0)
    coverage = control.coverage
    matched = rate_of(len(matched_rows), coverage)
    enough = len(kept) >= MIN_CONTROLS
    p_relabel = p_rate = None
    if enough:
        _, training_weights = np.unique(scores.best[is_training], return_counts=True)
        _, control_weights = np.unique(nearest[is_control], return_counts=True)
        p_relabel = relabelling_p(
            np.concatenate([training_weights, control_weights]),
            np.arange(len(training_weights) + len(control_weights)) < len(training_weights),
            references.store.comparable - len(matched_references),
            len(kept),
            permutations=PERMUTATIONS,
            seed=0,
        )
        p_rate = greater_rate_p(searched.count, searched.coverage.measured, matched.count, coverage.measured)
    return Control(
        matched=matched,
        excluded_controls=len(matched_rows),
        excluded_references=len(matched_references),
        nearer_training=int(is_training.sum()),
        nearer_control=int(is_control.sum()),
        relabelling_p=p_relabel,
        greater_rate_p=p_rate,
        best_similarity=best,
        why_no_p="" if enough else f"{len(kept)} usable held-out images, at least {MIN_CONTROLS} are needed",
    )


class _Across(NamedTuple):
    """Control rows, and reference rows, that form near-duplicate pairs across the split, and each control's best."""

    controls: Int64
    references: Int64
    best: Float32


def _across(control: Store, references: Searcher, threshold: float, k: int) -> _Across:
    controls, found, best = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for block in control.blocks(_QUERY_ROWS):
        near = references.search(block.embeddings, k, threshold)
        hit = near.similarity >= np.float32(threshold)
        controls.append(block.rows[hit.any(axis=1)])
        found.append(near.rows[hit])
        best.append(near.similarity[:, 0])
    return _Across(np.concatenate(controls), np.unique(np.concatenate(found)), np.concatenate(best))


def _nearest_control(generations: Store, control: Store, kept: Int64, scores: Scores, threshold: float) -> Int64:
    """For each generation the row of the held-out image that is at near-duplicate scale and at least as near as any
    training image (ties speak for the model); -1 where there is none."""
    result = np.full(len(generations), -1, np.int64)
    if not len(kept):
        return result
    for block in generations.blocks(_QUERY_ROWS):
        near = top_k(block.embeddings, _only(control, kept), 1, threshold)
        best = np.nan_to_num(scores.best_similarity[block.rows], nan=-np.inf)
        nearer = (near.above > 0) & (near.similarity[:, 0] >= best)
        result[block.rows[nearer]] = near.rows[nearer, 0]
    return result


def _only(store: Store, rows: Int64) -> Iterator[Block]:
    for block in store.blocks():
        chosen = np.isin(block.rows, rows)
        yield Block(block.rows[chosen], block.embeddings[chosen])
