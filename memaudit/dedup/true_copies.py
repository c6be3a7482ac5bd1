"""What share of true copies a run can find: by the similarities that copies have in a benchmark."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.results import TrueCopies
from memaudit.matching.identity import digest_of_model
from memaudit.matching.plan import PAIR_FLOORS
from memaudit.types import Float32, Float64

_BAND = 0.05  # of similarity


class _Table(NamedTuple):
    similarity: Float64
    recall: Float64
    confirmed: float
    source: str
    measured: date
    model: str

    @property
    def told(self) -> str:
        """The benchmark, when it was measured, and whether pixels are still decided as they were then."""
        before = "" if self.model == digest_of_model() else ", before the model that now decides on pixels"
        return f"{self.source}, measured on {self.measured}{before}"

    def at_least(self, similarity: Float64 | float) -> Float64:
        """The share of the copies that are as similar; between two figures in proportion, beyond the lowest as it."""
        return np.asarray(np.interp(similarity, [*self.similarity, 1.0], [*self.recall, 0.0]), dtype=np.float64)


def true_copies(
    encoder: str, threshold: float, floor: float, below: Float32, decided: NDArray[np.bool_]
) -> TrueCopies | None:
    """below (n,): similarities of the pairs from `floor` to the threshold that pixels were to decide, and which of them
    they have. None where no benchmark knows the encoder, or one knows nothing from the threshold up."""
    table = _tables().get(encoder)
    if table is None or not table.similarity[0] <= threshold <= table.similarity[-1]:
        return None
    by_similarity = float(table.at_least(threshold))
    least = max(PAIR_FLOORS.get(encoder, threshold), float(table.similarity[0]))
    possible = by_similarity + table.confirmed * float(table.at_least(min(least, threshold)) - by_similarity)
    if floor >= threshold:
        return TrueCopies(by_similarity, possible, table.told)
    edges = np.append(np.arange(floor, threshold, _BAND), threshold)
    place = np.clip(np.searchsorted(edges, below, side="right") - 1, 0, len(edges) - 2)
    asked, done = (np.bincount(place[which], minlength=len(edges) - 1) for which in (decided | True, decided))
    share = np.divide(done, asked, out=np.ones(len(asked)), where=asked > 0)
    found = by_similarity + table.confirmed * float(share @ -np.diff(table.at_least(edges)))
    return TrueCopies(found, max(found, possible), table.told)


@cache
def _tables() -> dict[str, _Table]:
    text = files("memaudit.dedup").joinpath("true_copies.toml").read_text(encoding="utf-8")
    return {
        name: _Table(
            np.array(each["similarity"]),
            np.array(each["recall"]),
            *(each[part] for part in ("confirmed", "source", "measured", "model")),
        )
        for name, each in tomllib.loads(text).items()
    }
