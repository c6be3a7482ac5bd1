"""Why images come back: by how often they stand in the training set, and by how simple they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.results import CovariateBand, Covariates, Scores
from memaudit.index import Searcher, sample_rows
from memaudit.matching.results import Matches
from memaudit.statistics import rate_by_unit, rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Float64, Int64, Rate

NEAR_DUPLICATES = "near-duplicates"
SIMPLICITY = "simplicity"
BANDS: dict[str, tuple[tuple[float, float | None], ...]] = {
    NEAR_DUPLICATES: ((1, 2), (2, 5), (5, 10), (10, None)),
    SIMPLICITY: ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, None)),
}
SAMPLE = 2000


class _Image(NamedTuple):
    """What is known of training images: their features by name, (n,) each, NaN where one is not known."""

    features: dict[str, Float64]


def measure_covariates(
    scores: Scores,
    matches: Matches,
    counted: NDArray[np.bool_],
    prompt: Int64,
    references: Searcher,
    threshold: float,
) -> Covariates:
    """Rates by band of the training image's near-duplicates and of its simplicity (the two patterns of 2022).

    With a pairing: for the generations of the prompts in a band, how many gave the prompt's image back. Without one:
    the band's share of the findings, beside its share of a sample of the training set. `counted`: the generations that
    are draws of their own; `prompt`: of each row the number of its prompt, which is what is drawn. Costs one search for
    the distinct images that are looked at.
    """
    paired = counted & np.isfinite(scores.paired_similarity)
    if paired.any():
        images = _described(scores.paired[paired], references, threshold)
        came_back = scores.paired_match[paired]
        return Covariates(True, tuple(_paired_bands(images, came_back, prompt[paired])), _without(images))
    return _unpaired(matches, counted, references, threshold)


def _paired_bands(images: _Image, came_back: NDArray[np.bool_], prompt: Int64) -> Iterator[CovariateBand]:
    for feature, low, high in _all_bands():
        inside = _within(images.features[feature], low, high)
        if inside.any():
            coverage = Coverage(int(inside.sum()), int(inside.sum()))
            yield CovariateBand(feature, low, high, rate_by_unit(came_back[inside], prompt[inside], coverage), None)


def _unpaired(matches: Matches, counted: NDArray[np.bool_], references: Searcher, threshold: float) -> Covariates:
    best = (matches.rank == 1) & counted[matches.query]
    if not best.any():
        return Covariates(False, (), 0)
    images = _described(matches.reference[best], references, threshold)
    sample = _described(sample_rows(references.store, SAMPLE, 0), references, threshold)
    bands = []
    for feature, low, high in _all_bands():
        found, among = (_known_within(each.features[feature], low, high) for each in (images, sample))
        if found.any() or among.any():
            bands.append(CovariateBand(feature, low, high, _share(found), _share(among)))
    return Covariates(False, tuple(bands), _without(images))


def _all_bands() -> Iterator[tuple[str, float, float | None]]:
    return ((feature, low, high) for feature, bands in BANDS.items() for low, high in bands)


def _within(values: Float64, low: float, high: float | None) -> NDArray[np.bool_]:
    """NaN is in no band."""
    return np.asarray((values >= low) & (values < (np.inf if high is None else high)))


def _known_within(values: Float64, low: float, high: float | None) -> NDArray[np.bool_]:
    return _within(values[np.isfinite(values)], low, high)


def _share(hits: NDArray[np.bool_]) -> Rate:
    return rate_of(int(hits.sum()), Coverage(len(hits), len(hits)))


def _without(images: _Image) -> int:
    return int(np.isnan(images.features[SIMPLICITY]).sum())


def _described(rows: Int64, references: Searcher, threshold: float) -> _Image:
    """The features of training images, one entry for each of `rows`."""
    distinct, back = np.unique(rows, return_inverse=True)
    counts = near_duplicates(distinct, references, threshold)
    return _Image(
        {
            NEAR_DUPLICATES: counts[back].astype(np.float64),
            SIMPLICITY: _simplicity(references.store, distinct)[back],
        }
    )


def _simplicity(store: Store, rows: Int64) -> Float64:
    return store.columns(rows).simplicity.astype(np.float64)
