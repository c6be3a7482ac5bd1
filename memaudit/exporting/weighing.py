"""Samples with the weights of `memaudit reweight`: what a training multiplies their loss by, or draws them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memaudit.audit.prompt_weights import ImageWeights
from memaudit.errors import InputError
from memaudit.exporting.samples import Sample

WEIGHT = "weight"
ENDING = f".{WEIGHT}.json"  # a number, as decoders of WebDataset read it


def weighed(samples: Iterable[Sample], weights: ImageWeights) -> Iterator[Sample]:
    """The samples with their weights. Raises InputError for one that has none."""
    for sample in samples:
        yield sample._replace(weight=weight_of(weights, [image.image_id for image in sample.images]))


def weight_of(weights: ImageWeights, image_ids: Iterable[str]) -> float:
    """The mean of those images of a sample that have a weight. Raises InputError if none has."""
    names = list(image_ids)
    found = [weight for name in names if (weight := weights.of(name))]
    if not found:
        raise unweighted(names[0])
    return sum(found) / len(found)


def unweighted(image_id: str) -> InputError:
    return InputError(
        f"{image_id!r} is kept, and the weights have none for it: run memaudit reweight with this list as its --kept"
    )


def as_file(weight: float) -> bytes:
    """What the file of a weight holds."""
    return repr(weight).encode()
