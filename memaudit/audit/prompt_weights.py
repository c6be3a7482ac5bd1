"""Prompts by importance weights: images are drawn as often as a training by weights sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.audit.text_hashes import hash_of
from memaudit.errors import InputError
from memaudit.types import Float64

_SCALE = 2.0**40


class ImageWeights:
    """The weight of each image of a weights.parquet. Memory: 16 bytes each."""

    def __init__(self, hashes: NDArray[np.uint64], weights: Float64) -> None:
        order = np.argsort(hashes)
        self._hashes, self._weights = hashes[order], weights[order]

    @classmethod
    def read(cls, path: Path) -> ImageWeights:
        """Read the weights.parquet of `memaudit reweight`. Raises InputError for what is none."""
        hashes, weights = [np.empty(0, np.uint64)], [np.empty(0)]
        try:
            for batch in pq.ParquetFile(path).iter_batches(columns=["image_id", "weight"]):
                ids, numbers = batch.column("image_id"), batch.column("weight").to_numpy(zero_copy_only=False)
                if ids.null_count or not (np.isfinite(numbers) & (numbers > 0)).all():
                    raise ValueError("an image without a name, or whose weight is no number above 0")
                hashes.append(np.fromiter((hash_of(i) for i in ids.cast(pa.string()).to_pylist()), np.uint64, len(ids)))
                weights.append(numbers.astype(np.float64))
        except (OSError, ValueError, pa.ArrowException, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"--weights {path} holds no weights of memaudit reweight: {reason}") from None
        return cls(np.concatenate(hashes), np.concatenate(weights))

    def of(self, image_id: str) -> float:
        """The weight of an image; 0 for one that has none: nobody trains on it."""
        key = np.uint64(hash_of(image_id))
        place = int(np.searchsorted(self._hashes, key))
        if place == len(self._hashes) or self._hashes[place] != key:
            return 0.0
        return float(self._weights[place])


def race(key: int, weight: float) -> int:
    """The place, which is better the lower it is, of an image whose lot is this hash of 64 bits: exponential by the
    weight (Efraimidis & Spirakis 2006)."""
    return min(2**63, round(-math.log((key + 0.5) / 2**64) / weight * _SCALE))


def stands_for(weights: Sequence[float], last: int | None) -> list[float]:
    """How much weight each of the winners stands for: its own by its chance to win, given the best that lost (Horvitz &
    Thompson 1952; Duffield, Lund & Thorup 2007). last: the place of that one; None: all have won."""
    if last is None:
        return list(weights)
    return [weight / -math.expm1(-weight * last / _SCALE) for weight in weights]
