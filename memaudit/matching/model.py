"""How likely two pictures are copies: a logistic model of what one alignment of them shows, small enough to be read.

`model.json` has the name and the coefficient of each signal, the curve that makes its sum a probability, the cut from
which a pair is a copy, and what it was fitted on; benchmarks/copies/fitting.py writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from memaudit.matching.agreement import Agreement
from memaudit.matching.align import Alignment, Way
from memaudit.types import Float64

SCHEMA = "memaudit.copy-model/1"


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

    def probability(self, signals: Float64) -> float:
        """Of a copy, 0 to 1, for signals (k,) float64."""
        return float(np.interp(self.logit(signals), *self.curve))


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
