"""Held-out images: how often would a training image match by chance?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.audit.eidetic import near_duplicates
from memaudit.index import ExactSearch, Searcher
from memaudit.records import Control, Float32, Int64, Matches, Rate, Scores
from memaudit.similarity import pairs_within, top_k
from memaudit.statistics import greater_rate_p, rate_of, relabelling_p
from memaudit.store import Store

MIN_CONTROLS = 100  # docs/protocols.md: with fewer the test cannot speak, and says so
PERMUTATIONS = 9999
_QUERY_ROWS = 4096
_FIRST_LOOK = 10  # matches asked of each held-out image; whoever has more is searched again for all of them
_SEARCHED_AGAIN = 10_000_000  # rows x neighbours of such a search: bounds its memory


def measure_control(
    control: Store,
    references: Searcher,
    generations: Store,
    scores: Scores,
    matches: Matches,
    searched: Rate,
    threshold: float,
) -> Control:
    """Compare the generations' matches with what held-out images give.

    Held-out images that have a near-duplicate in the training set, and those training images, cannot say which side
    a generation comes from: they are left out of the relabelling test, and counted. Blank images are not compared, so
    they are no control.
    """
    across = _across(control, references, threshold)
    usable = control.comparable - len(across.controls)
    training, held_out = _nearest(generations, control, scores, across, threshold)
    coverage = control.coverage
    matched = rate_of(len(across.controls), coverage)
    enough = usable >= MIN_CONTROLS
    p_relabel = p_rate = None
    if enough:
        sides = (
            _families(training, references.store, _counted(training, matches), threshold),
            _families(held_out, control, near_duplicates(held_out, ExactSearch(control), threshold), threshold),
        )
        p_relabel = relabelling_p(
            np.concatenate([side.weights for side in sides]),
            np.repeat([True, False], [len(side.weights) for side in sides]),
            np.concatenate([side.sizes for side in sides]),
            # Before exclusion: what was left out lies mostly on the smaller side, so counts after it would give the
            # families odds that favour a finding wherever held-out images outnumber training images.
            references.store.comparable,
            control.comparable,
            permutations=PERMUTATIONS,
            seed=0,
        )
        p_rate = greater_rate_p(searched.count, searched.coverage.measured, matched.count, coverage.measured)
    return Control(
        matched=matched,
        excluded_controls=len(across.controls),
        excluded_references=len(across.references),
        nearer_training=len(training),
        nearer_control=len(held_out),
        relabelling_p=p_relabel,
        greater_rate_p=p_rate,
        best_similarity=across.best,
        why_no_p="" if enough else f"{usable} usable held-out images, at least {MIN_CONTROLS} are needed",
    )


class _Across(NamedTuple):
    """Control rows, and reference rows, that form near-duplicate pairs across the split, and each control's best."""

    controls: Int64
    references: Int64
    best: Float32


def _across(control: Store, references: Searcher, threshold: float) -> _Across:
    controls, found, best = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for block in control.blocks(_QUERY_ROWS):
        near = references.search(block.embeddings, _FIRST_LOOK, threshold)
        controls.append(block.rows[near.above > 0])
        found.append(near.rows[near.similarity >= np.float32(threshold)])
        found += _all_matches(references, block.embeddings[near.above > _FIRST_LOOK], near.above.max(), threshold)
        best.append(near.similarity[:, 0])
    return _Across(np.concatenate(controls), np.unique(np.concatenate(found)), np.concatenate(best))


def _all_matches(references: Searcher, vectors: Float32, most: int, threshold: float) -> list[Int64]:
    """The rows of every match, of vectors that have at most `most` each."""
    found = []
    step = max(1, _SEARCHED_AGAIN // max(1, most))
    for low in range(0, len(vectors), step):
        near = references.search(vectors[low : low + step], int(most), threshold)
        found.append(np.unique(near.rows[near.similarity >= np.float32(threshold)]))
    return found


class _Nearest(NamedTuple):
    """The image nearest to each generation that has a usable one at near-duplicate scale: rows of training images,
    and of held-out images, once for each such generation."""

    training: Int64
    held_out: Int64


def _nearest(generations: Store, control: Store, scores: Scores, across: _Across, threshold: float) -> _Nearest:
    held_out = _nearest_control(generations, control, scores, threshold)
    training = np.where((held_out < 0) & (scores.above > 0), scores.best, -1)
    return _Nearest(
        training[(training >= 0) & ~np.isin(training, across.references)],
        held_out[(held_out >= 0) & ~np.isin(held_out, across.controls)],
    )


def _nearest_control(generations: Store, control: Store, scores: Scores, threshold: float) -> Int64:
    """For each generation the row of the held-out image that is at near-duplicate scale and at least as near as any
    training image (ties speak for the model); -1 where there is none."""
    result = np.full(len(generations), -1, np.int64)
    for block in generations.blocks(_QUERY_ROWS):
        near = top_k(block.embeddings, control.blocks(), 1, threshold)
        best = np.nan_to_num(scores.best_similarity[block.rows], nan=-np.inf)
        nearer = (near.above > 0) & (near.similarity[:, 0] >= best)
        result[block.rows[nearer]] = near.rows[nearer, 0]
    return result


def _counted(rows: Int64, matches: Matches) -> Int64:
    """The near-duplicate count of training images that are somebody's match."""
    known, place = np.unique(matches.reference, return_index=True)
    return matches.near_duplicates[place[np.searchsorted(known, rows)]]


class _Families(NamedTuple):
    """Generations (weights) and images (sizes) of each family of near-duplicates on one side of the split."""

    weights: Int64
    sizes: Int64


def _families(rows: Int64, store: Store, near_duplicates: Int64, threshold: float) -> _Families:
    """Join nearest images that are near-duplicates of each other: their labels go together.

    sizes are the sums of their near-duplicate counts: at least the family's true size, which never favours a finding.
    """
    distinct, place, weights = np.unique(rows, return_index=True, return_counts=True)
    if not len(distinct):
        return _Families(distinct, distinct)
    pairs = pairs_within(store.embeddings(distinct), threshold)
    links = coo_array((np.ones(len(pairs.left), np.int8), (pairs.left, pairs.right)), shape=(len(distinct),) * 2)
    family = connected_components(links, directed=False)[1]
    sizes = np.bincount(family, near_duplicates[place])
    return _Families(np.bincount(family, weights).astype(np.int64), sizes.astype(np.int64))
