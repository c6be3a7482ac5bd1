"""Which images, and which samples of WebDataset shards, are kept: asked in passing, by name, while others load them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.prompt_weights import ImageWeights
from memaudit.embedding.reconcile import KEY, text_key
from memaudit.errors import InputError, UsageError
from memaudit.exporting.weighing import ENDING, WEIGHT, as_file, unweighted
from memaudit.images.tar_members import Member
from memaudit.types import Float64, Int64

S = TypeVar("S", bound=Mapping[str, Any])
_SHARD_MEMBER = re.compile(r"(?P<archive>.+?\.tar)/(?P<member>.+)", re.DOTALL | re.IGNORECASE)
UNKNOWN = ("raise", "keep", "drop")


def _sample_key(archive: str, key: str) -> bytes:
    return text_key(f"{archive}\0{key}")


@dataclass(frozen=True, repr=False)
class Membership:
    """Names that are kept, and those that are not, as sorted digests; weight: of each name, where weights were given;
    warnings: what the list `drop` says nothing of.
    Memory: 17 bytes a name, 25 with weights; an image of a tar has two, its image_id and that of its sample.

    >>> kept = ma.kept(ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup"))
    >>> len(kept), "0001.png" in kept
    (11, True)
    """

    keys: NDArray[np.bytes_]
    is_kept: NDArray[np.bool_]
    archives: frozenset[str] = frozenset()
    count: int = 0
    weight: Float64 | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        images: Iterable[tuple[str, bool]],
        weights: ImageWeights | None = None,
        excluded: NDArray[np.bool_] | None = None,
    ) -> Membership:
        """Of image_ids, each with whether it is kept. A sample of a tar is kept if one of its images is; its weight is
        the mean of theirs. excluded (images,): those that must not be there: of a sample that has one nothing is kept.
        Raises InputError for a kept image without a weight, where there are weights."""
        keys, decided, archives = bytearray(), array("b"), set[str]()
        is_sample, weight = array("b"), array("d")
        for image_id, is_kept in images:
            keys += text_key(image_id)
            decided.append(is_kept)
            is_sample.append(False)
            weight.append(_weight(weights, image_id) if weights and is_kept else 0.0)
            if found := _SHARD_MEMBER.fullmatch(image_id):
                archives.add(found["archive"])
                keys += _sample_key(found["archive"], Member(found["member"], 0, 0).key)
                decided.append(is_kept)
                is_sample.append(True)
                weight.append(weight[-1])
        every, first = np.unique(np.frombuffer(keys, KEY), return_inverse=True)
        kept, of_samples = np.asarray(decided, dtype=bool), np.asarray(is_sample, dtype=bool)
        if excluded is not None:
            kept &= ~_with_their_samples(excluded, first.reshape(-1), of_samples)
        any_kept, counted = np.zeros(len(every), bool), np.zeros(len(every), bool)
        np.logical_or.at(any_kept, first, kept)
        np.logical_or.at(counted, first, kept & ~of_samples)
        mean = None
        if weights is not None:
            of_kept = np.bincount(first, kept, len(every))
            mean = np.bincount(first, np.where(kept, weight, 0), len(every)) / np.maximum(of_kept, 1)
        return cls(every, any_kept, frozenset(archives), int(counted.sum()), mean)

    def __len__(self) -> int:
        """How many images are kept."""
        return self.count

    def __repr__(self) -> str:
        return f"<Membership: {len(self):,} images kept>"

    def __contains__(self, image_id: object) -> bool:
        """Whether an image is kept. Raises InputError for one that is not known."""
        return bool(self.mask([str(image_id)])[0])

    def mask(self, image_ids: Iterable[str], *, unknown: str = "raise") -> NDArray[np.bool_]:
        """Which of these images are kept, (n,). unknown: what becomes of those that nothing was decided on: raise, keep
        or drop. Raises InputError for the first of them, unless told otherwise."""
        names = [str(name) for name in image_ids]
        return self._mask([text_key(name) for name in names], names, unknown)

    def weights(self, image_ids: Iterable[str]) -> Float64:
        """What these images weigh, (n,): a mean of 1 over all that are kept; 0 for what is not kept, or not known.
        Raises UsageError where no weights were given."""
        return self._weights([text_key(str(name)) for name in image_ids])

    def _weights(self, keys: Sequence[bytes]) -> Float64:
        if self.weight is None:
            raise UsageError("these images have no weights: say ma.kept(..., weights=)")
        place, found = self._places(keys)
        result = np.zeros(len(found))
        result[found] = self.weight[place[found]]
        return result

    def _places(self, keys: Sequence[bytes]) -> tuple[Int64, NDArray[np.bool_]]:
        """Where each key would be, and whether it is there."""
        wanted = np.array(keys, KEY)
        if not len(self.keys):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return place, np.asarray(self.keys[place] == wanted)

    def _mask(self, keys: Sequence[bytes], names: Sequence[str], unknown: str) -> NDArray[np.bool_]:
        if unknown not in UNKNOWN:
            raise UsageError(f"unknown={unknown!r}: expected one of {', '.join(UNKNOWN)}")
        place, found = self._places(keys)
        if unknown == "raise" and not found.all():
            name = names[int(np.argmin(found))]
            raise InputError(f"nothing was decided on {name!r}: embed its set, and run dedup on it; or say unknown=")
        kept = np.full(len(found), unknown == "keep")
        kept[found] = self.is_kept[place[found]]
        return kept

    def samples(self, samples: Iterable[S], *, unknown: str = "raise") -> Iterator[S]:
        """Those of a WebDataset's samples that are kept, as they come: a stage of a pipeline, before anything is
        decoded. A sample is known by its `__url__` and `__key__`; its weight, if there are weights, is its
        `weight.json`, a number once decoded.

        >>> kept = ma.kept(ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup"))
        >>> list(kept.samples([]))
        []
        """
        for sample in samples:
            archive, key = self._archive_of(str(sample["__url__"])), str(sample["__key__"])
            folder, _, base = key.rpartition("/")
            asked = [_sample_key(archive, f"{folder}/{base}")]
            if self._mask(asked, [f"{archive}/{key}"], unknown)[0]:
                if self.weight is not None:
                    sample = cast(S, {**sample, ENDING[1:]: as_file(float(self._weights(asked)[0]))})
                yield sample

    def dataset(self, dataset: Any, column: str, *, unknown: str = "raise") -> Any:
        """Those rows of a Hugging Face dataset that are kept, by the column that holds its image_ids. A streamed one is
        filtered as it comes; of another one the rows are selected, and nothing is copied. Weights, if there are some,
        are a column `weight`."""
        if hasattr(dataset, "select"):
            chosen = dataset.select(np.flatnonzero(self.mask(dataset[column], unknown=unknown)))
        else:
            chosen = dataset.filter(
                lambda ids: self.mask(ids, unknown=unknown).tolist(), input_columns=[column], batched=True
            )
        if self.weight is None:
            return chosen
        return chosen.map(lambda ids: {WEIGHT: self.weights(ids)}, input_columns=[column], batched=True)

    def _archive_of(self, url: str) -> str:
        """By which name the image_ids call an archive: the longest one that its location ends in, wherever it was moved
        meanwhile."""
        parts = url.partition("?")[0].replace("\\", "/").split("/")
        names = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((name for name in names if name in self.archives), parts[-1])


def _with_their_samples(excluded: NDArray[np.bool_], key: Int64, is_sample: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which names are of an excluded image, of a sample that has one, or of another image of it, (names,).

    excluded (images,); key, is_sample (names,): a sample's name follows that of its image.
    """
    out = np.repeat(excluded, np.diff(np.flatnonzero(~is_sample), append=len(key)))
    by_key = np.zeros(len(key), bool)
    np.logical_or.at(by_key, key, out)
    with_sample = np.append(is_sample[1:], False)  # names of images that one of a sample follows
    of_sample = np.arange(len(key)) + with_sample
    return np.asarray(by_key[key[of_sample]], bool)


def _weight(weights: ImageWeights, image_id: str) -> float:
    found = weights.of(image_id)
    if not found:
        raise unweighted(image_id)
    return found
