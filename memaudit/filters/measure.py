"""The sample of a filter with its labels: how many of each stratum are known, and what that says of the cuts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from memaudit.files import digest_of
from memaudit.filters.estimate import Known, Stratum, estimate
from memaudit.filters.filter_file import Filter
from memaudit.filters.labels import Answer, Labels
from memaudit.filters.probe import calibrated
from memaudit.statistics import error_of_attempt
from memaudit.types import CONFIDENCE, Float64

_LEAST = 10  # images of either kind by which a sample calibrates


@dataclass(frozen=True)
class Measured:
    """A filter with its estimate and, if there is one, its cut; strata: what of its sample was drawn and found."""

    filter: Filter
    strata: list[Stratum]


def unlabelled(found: Filter, labels: Labels) -> list[str]:
    """Images of the sample that nobody has labelled."""
    return [image_id for image_id in found.sample if image_id not in labels]


def measured(found: Filter, labels: Labels) -> Measured:
    """Estimate what the cuts of a filter find, by its sample, all of which is labelled, and set the highest that finds
    enough. What was seen before, and asked the same of, is no further look; each look has a share of the error, so that
    all together make it.
    """
    seen = digest_of([_told(found.sample, labels), _told(found.settled, labels), found.recall, found.precision])
    looks = found.looks + (seen != found.looked)
    strata = strata_of_sample(found, labels)
    result = estimate(strata, error_of_attempt(1 - CONFIDENCE, looks))
    cut = result.cut_of(found.recall, found.precision)
    after = replace(found, looks=looks, looked=seen, estimate=result, cut=None if cut is None else cut.stratum)
    return Measured(after, strata)


def _told(images: Mapping[str, int], labels: Labels) -> list[tuple[str, int, Answer | None]]:
    return sorted((image_id, stratum, labels.get(image_id)) for image_id, stratum in images.items())


def strata_of_sample(found: Filter, labels: Labels) -> list[Stratum]:
    """What of each stratum was drawn and found, and what of it had a label before."""
    drawn, known = (_counted(each, labels, len(found.rows)) for each in (found.sample, found.settled))
    return [Stratum(rows, *own, before) for rows, own, before in zip(found.rows, drawn, known, strict=True)]


def _counted(stratum: Mapping[str, int], labels: Labels, count: int) -> list[Known]:
    """Of each stratum its images, the positive, and those of which nobody could tell."""
    found = np.zeros((count, 3), np.int64)
    for image_id, number in stratum.items():
        answer = labels.get(image_id)
        found[number] += (1, answer is Answer.YES, answer is Answer.UNSURE)
    return [Known(*each) for each in found.tolist()]


def recalibrated(found: Filter, labels: Labels, logits: dict[str, float]) -> Filter:
    """The filter with probabilities by its sample, each image of which counts for as many as it stands for: others
    were not chosen at random. As it was where the sample has too few of either kind."""
    known = [each for each in found.sample if labels[each] is not Answer.UNSURE and each in logits]
    answers = np.array([float(labels[each] is Answer.YES) for each in known])
    if min(answers.sum(), len(answers) - answers.sum()) < _LEAST:
        return found
    counts = _counts(found, known)
    slope, offset = calibrated(np.array([logits[each] for each in known]), answers, counts)
    return replace(found, slope=slope, offset=offset)


def _counts(found: Filter, known: list[str]) -> Float64:
    """Rows that each stands for, so scaled that they sum to the number of images."""
    stratum = np.array([found.sample[each] for each in known])
    drawn = np.bincount(stratum, minlength=len(found.rows))
    stands_for = np.array(found.rows)[stratum] / drawn[stratum]
    return np.asarray(stands_for * len(known) / stands_for.sum())
