"""Held-out images: how often would a training image match by chance?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.audit.discoveries import discoveries
from memaudit.audit.repeats import draw_of_rows, files_of, picture_digests
from memaudit.audit.results import Control, Scores
from memaudit.index import Searcher
from memaudit.matching.search import Searched
from memaudit.similarity import pairs_within, top_k
from memaudit.statistics import greater_rate_p, least_relabelling_p, rate_of, relabelling_p
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Rate, Status

MIN_CONTROLS = 100  # docs/protocols/audit.md: with fewer the test cannot speak, and says so
PERMUTATIONS = 9999
_QUERY_ROWS = 4096
_SEARCHED_AGAIN = 10_000_000  # rows x neighbours of a search for all matches of held-out images: bounds its memory


class HeldOut(NamedTuple):
    """Held-out images after they went the way of generations: what their search gave, and the rows of those that would
    count as regurgitated."""

    searched: Searched
    alike: Int64


def measure_control(
    control: Store,
    references: Searcher,
    generations: Store,
    scores: Scores,
    counted: NDArray[np.bool_],
    searched: Rate,
    threshold: float,
    held_out: HeldOut,
) -> Control:
    """Compare the generations' matches with what held-out images give.

    counted: the generations that are pictures of their own, `searched` their rate. Of the held-out images only those
    with a match are searched again, for all of theirs. A held-out picture that stands there several times counts once,
    and so does a file of several, a film or a sheet, with the nearest of them: it is one observation of chance.
    Training and held-out images that are near-duplicates of each other carry one label between them in the relabelling
    test (docs/protocols/audit.md). Blank images are not compared, so they are no control.
    """
    draws = _draws(control)
    own = np.flatnonzero(draws.of_row == np.arange(len(draws.of_row)))
    across = _across(control, draws, references, held_out.searched, threshold)
    matching = np.union1d(across.controls, draws.of_row[held_out.alike])
    usable = len(own) - len(matching)
    near = _nearest(generations, control, scores, counted, threshold)
    groups = _groups(near, references.store, control, draws.of_row, threshold)
    matched = rate_of(len(matching), Coverage(len(own), len(own) + draws.unreadable))
    enough = usable >= MIN_CONTROLS
    sides = (references.store.comparable, len(own))
    return Control(
        matched=matched,
        excluded_controls=len(matching),
        excluded_references=len(across.references),
        nearer_training=len(near.training),
        nearer_control=len(near.held_out),
        relabelling_p=relabelling_p(*groups, *sides, permutations=PERMUTATIONS, seed=0) if enough else None,
        greater_rate_p=_greater(searched, matched) if enough else None,
        best_similarity=across.best,
        why_no_p="" if enough else f"{usable} usable held-out images, at least {MIN_CONTROLS} are needed",
        groups=len(groups.weights),
        least_p=least_relabelling_p(len(groups.weights), *sides) if enough else None,
        discoveries=discoveries(scores, counted, across.best) if enough else None,
        duplicates=draws.files - len(own),
        parts=control.comparable - draws.files,
    )


class _Draws(NamedTuple):
    """of_row: for each row that which stands for its draw, -1 without a picture. files: that have a picture;
    unreadable: that have none, and a row that could not be read."""

    of_row: Int64
    files: int
    unreadable: int


def _draws(control: Store) -> _Draws:
    columns = control.all_columns()
    pictures, files = picture_digests(control, columns), files_of(columns.image_id)
    readable = np.unique(files[pictures != ""])
    lost = np.setdiff1d(files[columns.status == Status.UNREADABLE], readable)
    return _Draws(draw_of_rows(pictures, files), len(readable), len(lost))


def _greater(searched: Rate, matched: Rate) -> float:
    return greater_rate_p(searched.count, searched.coverage.measured, matched.count, matched.coverage.measured)


class _Across(NamedTuple):
    """Control rows, and reference rows, that form near-duplicate pairs across the split, and each control's best; of
    the controls the row that stands for the draw."""

    controls: Int64
    references: Int64
    best: Float32


def _across(control: Store, draws: _Draws, references: Searcher, found: Searched, threshold: float) -> _Across:
    matching = np.flatnonzero((found.above > 0) & (draws.of_row >= 0))
    most = int(found.above[matching].max(initial=1))
    near = [np.empty(0, np.int64)]
    step = max(1, _SEARCHED_AGAIN // most)
    for low in range(0, len(matching), step):
        again = references.search(control.embeddings(matching[low : low + step]), most, threshold)
        near.append(np.unique(again.rows[again.similarity >= np.float32(threshold)]))
    best = np.full(len(draws.of_row), -np.inf, np.float32)
    own = draws.of_row >= 0
    np.maximum.at(best, draws.of_row[own], np.nan_to_num(found.best_similarity[own], nan=-np.inf))
    return _Across(
        np.unique(draws.of_row[matching]), np.unique(np.concatenate(near)), best[draws.of_row == np.arange(len(best))]
    )


class _Nearest(NamedTuple):
    """The image nearest to each generation that has one at near-duplicate scale: rows of training images, and of
    held-out images, once for each such generation that is a draw of its own."""

    training: Int64
    held_out: Int64


def _nearest(
    generations: Store, control: Store, scores: Scores, counted: NDArray[np.bool_], threshold: float
) -> _Nearest:
    held_out = _nearest_control(generations, control, scores, threshold)
    training = np.where((held_out < 0) & (scores.above > 0), scores.best, -1)
    return _Nearest(training[counted & (training >= 0)], held_out[counted & (held_out >= 0)])


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


class Groups(NamedTuple):
    """Groups of near-duplicates among the nearest images of both sides: how many generations lie nearest to each, and
    whether its representative is a training image."""

    weights: Int64
    is_reference: NDArray[np.bool_]


def _groups(near: _Nearest, references: Store, control: Store, draws: Int64, threshold: float) -> Groups:
    """draws: of the held-out rows; the frames of a film carry one label between them, that of the one which came first.

    Memory: the embeddings of the distinct nearest images, and their pairs.
    """
    training, training_weight = np.unique(near.training, return_counts=True)
    _, first, held_out_weight = np.unique(draws[near.held_out], return_index=True, return_counts=True)
    held_out = near.held_out[first]
    weights = np.concatenate([training_weight, held_out_weight])
    is_reference = np.arange(len(weights)) < len(training)
    vectors = np.concatenate([references.embeddings(training), control.embeddings(held_out)])
    return joint_groups(vectors, weights, is_reference, threshold)


def joint_groups(vectors: Float32, weights: Int64, is_reference: NDArray[np.bool_], threshold: float) -> Groups:
    """Join images of both sides that are near-duplicates, in chains: one label for each group.

    weights: how many generations lie nearest to each image. The group's representative is its member that most
    generations lie nearest to, ties drawn at random. Who that is does not depend on any label, so the labels of
    representatives are exchangeable if those of the images are.
    """
    if not len(weights):
        return Groups(weights, is_reference)
    pairs = pairs_within(vectors, threshold)
    links = coo_array((np.ones(len(pairs.left), np.int8), (pairs.left, pairs.right)), shape=(len(weights),) * 2)
    group = connected_components(links, directed=False)[1]
    order = np.lexsort((np.random.default_rng(0).random(len(weights)), -weights, group))
    first = order[np.r_[True, np.diff(group[order]) > 0]]
    return Groups(np.bincount(group, weights).astype(np.int64), is_reference[first])
