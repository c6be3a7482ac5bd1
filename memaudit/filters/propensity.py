"""How likely an image is to be kept, by what it shows: a classifier that never judges what it was fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memaudit.filters.logistic import Logistic, fit_logistic
from memaudit.filters.selection import Selection
from memaudit.store import Store
from memaudit.types import Float32, Float64, Int64, Progress

FOLDS = 5
MOST_FITTED = 20_000  # images of either kind
_RIDGES = (1.0, 10.0, 100.0, 1000.0)
_BLOCK = 16_384
Kept = NDArray[np.bool_]


def scores_of(store: Store, chosen: Selection, seed: int, progress: Progress) -> Float64:
    """Logits of being kept (n,), of each image by a classifier fitted on other families.

    Fitted on at most `MOST_FITTED` images of either kind; memory: these, and a block.
    """
    fold = folds_of(chosen.family, seed)
    fitted = _drawn(chosen.kept, seed)
    place = np.flatnonzero(fitted)
    vectors = store.embeddings(chosen.rows[place])
    share = np.array([fitted[chosen.kept == kept].mean() for kept in (False, True)])
    counts = 1 / share[chosen.kept[place].astype(int)]
    labels, own = chosen.kept[place].astype(np.float64), fold[place]
    models = cross_fitted(vectors, labels, counts / counts.mean(), own)
    del vectors
    result = np.empty(len(chosen.rows))
    for low in range(0, len(result), _BLOCK):
        part = slice(low, low + _BLOCK)
        logits = _logits(models, store.embeddings(chosen.rows[part]).astype(np.float64))
        result[part] = np.take_along_axis(logits, fold[part][:, None], axis=1)[:, 0]
        progress("scoring", min(low + _BLOCK, len(result)), len(result))
    return result


def cross_fitted(features: Float32, labels: Float64, counts: Float64, fold: Int64) -> list[Logistic]:
    """For each fold a classifier that is fitted on the others, with the ridge that tells most on the first one."""
    ridge = min(
        _RIDGES, key=lambda each: _loss(_without(0, features, labels, counts, fold, each), 0, features, labels, fold)
    )
    return [_without(one, features, labels, counts, fold, ridge) for one in range(FOLDS)]


def _without(one: int, features: Float32, labels: Float64, counts: Float64, fold: Int64, ridge: float) -> Logistic:
    others = fold != one
    if len(np.unique(labels[others])) < 2:  # so few are of one kind that they are all in this fold
        return Logistic(np.zeros(features.shape[1]), 0.0)
    return fit_logistic(features[others].astype(np.float64), labels[others], counts[others], ridge)


def _loss(model: Logistic, one: int, features: Float32, labels: Float64, fold: Int64) -> float:
    own = fold == one
    logits = model.logits(features[own].astype(np.float64))
    return float((np.logaddexp(0, logits) - labels[own] * logits).sum())


def folds_of(family: Int64, seed: int) -> Int64:
    """A fold for each image, of a family the same, drawn at random."""
    drawn = np.random.default_rng(seed).integers(0, FOLDS, int(family.max(initial=0)) + 1)
    return np.asarray(drawn[family], dtype=np.int64)


def _drawn(kept: Kept, seed: int) -> Kept:
    rng, result = np.random.default_rng(seed), np.zeros(len(kept), bool)
    for kind in (False, True):
        there = np.flatnonzero(kept == kind)
        result[rng.choice(there, min(MOST_FITTED, len(there)), replace=False)] = True
    return result


def _logits(models: list[Logistic], vectors: Float64) -> Float64:
    return vectors @ np.stack([model.coefficients for model in models], axis=1) + [model.intercept for model in models]


def told_apart(score: Float64, kept: Kept, weight: Float64) -> float:
    """The chance that a kept image, drawn by its weight, has a higher score than one of all, the area under the ROC
    curve; 0.5: nothing is told. weight (n,): of all, those that were not kept do not count."""
    order = np.argsort(score, kind="stable")
    ranked, heavy = score[order], np.where(kept, weight, 0.0)[order]
    low, high = np.searchsorted(ranked, ranked, "left"), np.searchsorted(ranked, ranked, "right")
    return float(heavy @ ((low + high) / 2)) / (float(heavy.sum()) * len(score))
