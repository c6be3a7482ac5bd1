"""How likely two pictures are copies: a logistic model of what one alignment of them shows, small enough to be read.

`model.json` has the name and the coefficient of each signal, the curve that makes its sum a probability, the cut from
which a pair is a copy, and what it was fitted on; benchmarks/copies/fitting.py writes it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from memaudit.matching.agreement import Agreement
from memaudit.matching.align import Alignment
from memaudit.types import Float64

SCHEMA = "memaudit.copy-model/1"
SIGNALS = (
    "alike",
    "all_alike",
    "nearly_all",
    "correlation",
    "inliers",
    "inlier_share",
    "contained",
    "kept",
    "worst",
    "distance",
)
_ENOUGH = 12  # patches with texture: fewer say less
_MOST_INLIERS = 60
_NEARLY = 0.9
_WHOLE = 0.85  # of a picture that lies in the common part: more says nothing more
_FAR = 0.5


@dataclass(frozen=True)
class CopyModel:
    """names, coefficients (k,) float64 and intercept: of the signals (`signals_of`). curve: logits, rising, and the
    probabilities there, between which it is linear. cut, part_cut: least probability of a copy, and of one of which
    only a part was compared. fitted_on: SHA-256 of the pictures."""

    names: tuple[str, ...]
    coefficients: Float64
    intercept: float
    curve: tuple[Float64, Float64]
    cut: float
    part_cut: float
    fitted_on: str

    def logit(self, signals: Float64) -> float:
        """The weighted sum of signals (k,)."""
        return float(signals @ self.coefficients) + self.intercept

    def probability(self, logit: float) -> float:
        """Of a copy, 0 to 1."""
        return float(np.interp(logit, *self.curve))


def signals_of(alignment: Alignment, found: Agreement) -> Float64:
    """What an alignment shows, in the order of `SIGNALS`, (10,) float64: more of each speaks more for a copy.

    Shares of patches count less where fewer than 12 have texture: of what shows nothing nothing is known.
    """
    within, shown = (min(1.0, patches / _ENOUGH) for patches in (found.patches, found.all_patches))
    return np.array(
        [
            found.alike * within,
            found.all_alike * shown,
            max(0.0, found.all_alike - _NEARLY) / (1 - _NEARLY) * shown,
            found.correlation * shown,
            math.log1p(min(alignment.inliers, _MOST_INLIERS)),
            alignment.inlier_share,
            min(_WHOLE, max(found.of_query, found.of_reference)),
            found.shown_kept * shown,
            -found.worst,
            -min(_FAR, found.distance),
        ]
    )


@cache
def copy_model() -> CopyModel:
    """The model that memaudit comes with."""
    told = json.loads(files("memaudit.matching").joinpath("model.json").read_text(encoding="utf-8"))
    if told["schema"] != SCHEMA or tuple(told["signals"]) != SIGNALS:
        raise ValueError("model.json is of another version than the signals")
    return CopyModel(
        SIGNALS,
        np.array(list(told["signals"].values())),
        told["intercept"],
        (np.array(told["curve"]["logit"]), np.array(told["curve"]["probability"])),
        told["cut"],
        told["part_cut"],
        told["fitted_on"],
    )
