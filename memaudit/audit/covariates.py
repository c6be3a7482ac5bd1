"""Why images come back: by how often they and their captions stand in the training set, and by how simple they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.families import components_of_rows
from memaudit.audit.paired import Pairs, of_rows
from memaudit.audit.results import CovariateBand, CovariateOdds, Covariates, Scores
from memaudit.index import Searcher, sample_rows
from memaudit.matching.results import Matches
from memaudit.statistics import odds_ratios, rate_by_unit
from memaudit.store import Store
from memaudit.types import Coverage, Float64, Int64, Rate

NEAR_DUPLICATES = "near-duplicates"
SIMPLICITY = "simplicity"
CAPTIONED = "images of its caption"
WORDS = "words of its caption"
BANDS: dict[str, tuple[tuple[float, float | None], ...]] = {
    NEAR_DUPLICATES: ((1, 2), (2, 5), (5, 10), (10, None)),
    SIMPLICITY: ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, None)),
    CAPTIONED: ((1, 2), (2, 5), (5, 10), (10, None)),
    WORDS: ((1, 4), (4, 8), (8, 16), (16, None)),
}
DOUBLED, FIFTH = "doubled", "larger by 0.2"
SAMPLE = 2000


class _Image(NamedTuple):
    """What is known of training images: their features by name, (n,) each, NaN where one is not known."""

    features: dict[str, Float64]

    def split(self, at: int) -> tuple[_Image, _Image]:
        """The first `at` of them, and the others."""
        before = {name: values[:at] for name, values in self.features.items()}
        return _Image(before), _Image({name: values[at:] for name, values in self.features.items()})


def measure_covariates(
    pairs: Pairs,
    scores: Scores,
    matches: Matches,
    counted: NDArray[np.bool_],
    prompt: Int64,
    references: Searcher,
    threshold: float,
) -> Covariates:
    """Rates by band of the training image's near-duplicates, of its simplicity (the two patterns of 2022) and of its
    caption: how many training images have the same one, and how many words it has (Somepalli et al., NeurIPS 2023).

    With a pairing: for the generations of the prompts in a band, how many gave the prompt's image back. Without one:
    the band's share of the findings, of which those of one family are one draw, beside its share of a sample of the
    training set. `counted`: the generations that are draws of their own; `prompt`: of each row the number of its
    prompt, which is what is drawn. Costs one search for the distinct images that are looked at, a join of those that
    came back, and a reading of all captions. With a pairing also the odds ratio of each
    feature, the others held fixed; units are families of near-duplicates. An image came back if it did in any picture
    of the generation's file.
    """
    paired = counted & of_rows(pairs.line, pairs.measured) & (scores.paired >= 0)
    if paired.any():
        images = _described(scores.paired[paired], references, threshold)
        came_back = of_rows(pairs.line, pairs.returned)[paired]
        bands = tuple(_paired_bands(images, came_back, prompt[paired]))
        return Covariates(
            True, bands, _without(images), _odds(images, came_back, scores.paired[paired], references, threshold)
        )
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
    # Described at once: all captions are read for it
    rows = np.concatenate([matches.reference[best], sample_rows(references.store, SAMPLE, 0)])
    images, sample = _described(rows, references, threshold).split(int(best.sum()))
    family = _families(matches.reference[best], references, threshold)
    apart = np.arange(len(rows) - len(family))  # images drawn at random
    bands = []
    for feature, low, high in _all_bands():
        known = [each.features[feature] for each in (images, sample)]
        found, among = (_within(values[np.isfinite(values)], low, high) for values in known)
        if found.any() or among.any():
            shares = (_share(*each) for each in zip((found, among), known, (family, apart), strict=True))
            bands.append(CovariateBand(feature, low, high, *shares))
    return Covariates(False, tuple(bands), _without(images))


def _odds(
    images: _Image, came_back: NDArray[np.bool_], rows: Int64, references: Searcher, threshold: float
) -> tuple[CovariateOdds, ...]:
    """Of the features that all of these images have, and not all alike."""
    scaled = {name: values / 0.2 if name == SIMPLICITY else np.log2(values) for name, values in images.features.items()}
    told = {name: each for name, each in scaled.items() if np.isfinite(each).all() and np.ptp(each) > 0}
    if not told:
        return ()
    family = _families(rows, references, threshold)
    ratios = odds_ratios(np.column_stack(list(told.values())), came_back, family) or []
    return tuple(
        CovariateOdds(name, FIFTH if name == SIMPLICITY else DOUBLED, *ratio, families=int(family.max()) + 1)
        for name, ratio in zip(told, ratios, strict=False)
    )


def _families(rows: Int64, references: Searcher, threshold: float) -> Int64:
    """For each of these training images the number of its family of near-duplicates among them. Memory: the embeddings
    of 50,000 distinct ones at most; beyond, each is a family of its own."""
    distinct, back = np.unique(rows, return_inverse=True)
    return components_of_rows(references.store, distinct, threshold)[back]


def _all_bands() -> Iterator[tuple[str, float, float | None]]:
    return ((feature, low, high) for feature, bands in BANDS.items() for low, high in bands)


def _within(values: Float64, low: float, high: float | None) -> NDArray[np.bool_]:
    """NaN is in no band."""
    return np.asarray((values >= low) & (values < (np.inf if high is None else high)))


def _share(hits: NDArray[np.bool_], values: Float64, unit: Int64) -> Rate:
    """hits: of the images whose value is known."""
    return rate_by_unit(hits, unit[np.isfinite(values)], Coverage(len(hits), len(hits)))


def _without(images: _Image) -> int:
    return int(np.isnan(images.features[SIMPLICITY]).sum())


def _described(rows: Int64, references: Searcher, threshold: float) -> _Image:
    """The features of training images, one entry for each of `rows`."""
    distinct, back = np.unique(rows, return_inverse=True)
    counts = near_duplicates(distinct, references, threshold)
    columns = references.store.columns(distinct)
    captions = [" ".join(caption.split()) for caption in columns.caption]
    features = {
        NEAR_DUPLICATES: counts.astype(np.float64),
        SIMPLICITY: columns.simplicity.astype(np.float64),
        CAPTIONED: _captioned(captions, references.store),
        WORDS: _known([len(caption.split()) for caption in captions]),
    }
    return _Image({name: values[back] for name, values in features.items()})


def _captioned(captions: Sequence[str], store: Store) -> Float64:
    """How many images of the store have each caption; NaN for none."""
    wanted = set(filter(None, captions))
    found: Counter[str] = Counter()
    if wanted:
        for columns in store.iter_columns():
            found.update(text for caption in columns.caption if (text := " ".join(caption.split())) in wanted)
    return _known([found[caption] for caption in captions])


def _known(counts: Sequence[int]) -> Float64:
    """NaN for 0: there is no caption."""
    values = np.array(counts, np.float64)
    values[values == 0] = np.nan
    return values
