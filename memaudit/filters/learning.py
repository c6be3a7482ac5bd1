"""A probe from labels: of images that were labelled, random ones taken for negatives, and a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from memaudit.errors import InputError
from memaudit.filters.filter_file import Filter, Trained
from memaudit.filters.joined import OK, Joined
from memaudit.filters.labels import Answer, Labels
from memaudit.filters.probe import Examples, Fitted, fit_probe
from memaudit.types import Float32, Float64, Int64

_NEGATIVES = 50  # labelled ones, below which random images are taken for negatives
_PRESUMED, _PRESUMED_COUNT = 200, 0.1  # of those, and how much each counts: some are of the class
_TEXT_ROWS = 1000  # by which similarities to a text are scaled
_TEXT_SHARE = 0.01  # of images that are taken to be of a class of which nothing but its text is known


@dataclass(frozen=True)
class TextPlane:
    """A prompt, its unit embedding (dim,), and which of the stores is of its encoder."""

    text: str
    embedding: Float32
    store: int


def learned(
    joined: Joined, labels: Labels, known: Mapping[str, int], like: Filter, text: TextPlane | None, seed: int
) -> Filter:
    """The filter `like` with a probe that is learned from the labels of `known` images (rows by image_id), or from a
    prompt alone. Raises InputError where nothing can be learned."""
    positives, negatives = (rows_of(known, labels, answer) for answer in (Answer.YES, Answer.NO))
    presumed = _presumed(joined, set(known.values()), seed + like.rounds) if len(negatives) < _NEGATIVES else []
    if not len(positives):
        if text is None:
            raise InputError(
                "no label says yes of an image that the stores have: name at least one positive, or a prompt by --text"
            )
        fitted = _by_text(joined, text, seed)
        of = Trained(0, len(negatives), 0, fitted.ridge, None)
    else:
        rows = np.array([*positives, *negatives, *presumed], np.int64)
        answers = np.repeat([1.0, 0.0], [len(positives), len(rows) - len(positives)])
        count = np.repeat([1.0, _PRESUMED_COUNT], [len(rows) - len(presumed), len(presumed)])
        fitted = _fitted(joined, rows, answers, count, text, seed)
        of = Trained(len(positives), len(negatives), len(presumed), fitted.ridge, fitted.loss)
    planes = np.split(fitted.coefficients, np.cumsum([encoder.dim for encoder in joined.encoders])[:-1])
    return replace(
        like,
        planes=tuple(tuple(plane.astype(np.float32).tolist()) for plane in planes),
        intercept=fitted.intercept,
        slope=fitted.slope,
        offset=fitted.offset,
        text=text.text if text else "",
        trained=of,
    )


def rows_of(known: Mapping[str, int], labels: Labels, answer: Answer) -> Int64:
    """Rows of the images with this answer, in order."""
    return np.array(sorted(row for each, row in known.items() if labels[each] is answer), np.int64)


def _presumed(joined: Joined, known: set[int], seed: int) -> list[int]:
    """Random images, which are taken for negatives: of a rare class few of them are wrong."""
    drawn = np.random.default_rng(seed).integers(0, len(joined), 2 * _PRESUMED)
    free = [row for row in dict.fromkeys(drawn.tolist()) if row not in known][:_PRESUMED]
    return _scored_among(joined, np.array(sorted(free), np.int64))


def _scored_among(joined: Joined, rows: Int64) -> list[int]:
    return [int(row) for row in rows[joined.states(rows) == OK]]


def _fitted(joined: Joined, rows: Int64, answers: Float64, count: Float64, text: TextPlane | None, seed: int) -> Fitted:
    if not 0 < answers.sum() < len(answers):
        raise InputError("every image that could be learned from is of the class: label some that are not")
    features = joined.features(rows)
    if text is not None:
        plane = _full(joined, text)
        features = np.column_stack((features, features @ plane))
    fitted = fit_probe(Examples(features, answers, joined.stores[0].columns(rows).file, count), seed)
    if text is not None:  # a plane like the others, once it is added to them
        *_, last = fitted.coefficients
        fitted = fitted._replace(coefficients=fitted.coefficients[:-1] + last * plane)
    return fitted


def _full(joined: Joined, text: TextPlane) -> Float64:
    """The prompt's embedding, with zeros for the encoders that have none."""
    parts = [np.zeros(encoder.dim) for encoder in joined.encoders]
    parts[text.store] = text.embedding.astype(np.float64)
    return np.concatenate(parts)


def _by_text(joined: Joined, text: TextPlane, seed: int) -> Fitted:
    """A probe of nothing but a prompt: by random images, one in a hundred is of the class."""
    drawn = np.random.default_rng(seed).integers(0, len(joined), 2 * _TEXT_ROWS)
    rows = np.array(_scored_among(joined, np.unique(drawn)), np.int64)
    if not len(rows):
        raise InputError("the stores hold no image that can be scored")
    plane = _full(joined, text)
    similarity = joined.features(rows) @ plane
    scale = 1 / max(float(similarity.std()), 1e-6)
    return Fitted(plane * scale, -scale * float(np.quantile(similarity, 1 - _TEXT_SHARE)), 1.0, 0.0, 0.0, None)
