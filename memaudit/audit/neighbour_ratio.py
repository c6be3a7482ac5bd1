"""The ratio of a match's distance to that of the neighbourhood: is it this image, or a region where all are alike?"""

from __future__ import annotations

import numpy as np

from memaudit.index import Searcher
from memaudit.matching.results import Matches
from memaudit.similarity.exact import exact
from memaudit.store import Store
from memaudit.types import Float32

NEIGHBOURS = 50
ALPHA = 0.5
_QUERY_ROWS = 1024


def neighbour_ratios(
    generations: Store, references: Searcher, matches: Matches, neighbours: int = NEIGHBOURS, alpha: float = ALPHA
) -> Float32:
    """d(g, match) / (alpha x mean d(g, y) over the `neighbours` training images y nearest to g), for each match.

    Carlini et al. 2023 (arXiv 2301.13188), who call an image extracted below 1; there on pixels, here on embeddings:
    d = sqrt(2 - 2 similarity). All of whole images, whatever view found the match: so it need not be one of the
    neighbours. NaN where all of them lie at distance 0. Memory: a block of generations x `neighbours`, and of matches.
    """
    ratios = np.full(len(matches.query), np.nan, np.float32)
    if not len(ratios):
        return ratios
    queries, place = np.unique(matches.query, return_inverse=True)
    around = np.empty(len(queries))
    for low in range(0, len(queries), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        found = references.search(generations.embeddings(queries[part]), neighbours, 1.0)
        around[part] = _mean_distance(found.similarity)
    wide = alpha * around[place]
    known = wide > 0
    ratios[known] = _to_match(generations, references.store, matches)[known] / wide[known]
    return ratios


def _to_match(generations: Store, references: Store, matches: Matches) -> np.ndarray:
    distance = np.empty(len(matches.query))
    for low in range(0, len(distance), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        left, right = generations.embeddings(matches.query[part]), references.embeddings(matches.reference[part])
        distance[part] = _distance(exact(left, right))
    return distance


def _distance(similarity: Float32) -> np.ndarray:
    return np.sqrt(np.maximum(0.0, 2 - 2 * similarity.astype(np.float64)))


def _mean_distance(similarity: Float32) -> np.ndarray:
    """Over the neighbours that there are; 0 where there is none."""
    there = np.isfinite(similarity)
    distance = np.where(there, _distance(np.where(there, similarity, 1)), 0)
    return np.asarray(distance.sum(axis=1) / np.maximum(1, there.sum(axis=1)))
