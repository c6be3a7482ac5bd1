"""How likely two pictures are copies: boosted trees over what their closest alignment shows, by published numbers.

`model.json` has the weights that tell which alignment is the closest, the trees, the curve that makes their sum a
probability, that of pairs which no alignment fits, the cut from which a pair is a copy, and what it was fitted on;
benchmarks/copies/fitting.py writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from memaudit.matching.agreement import Agreement
from memaudit.matching.align import Alignment
from memaudit.matching.differences import Differences
from memaudit.types import Float64, Int64

SCHEMA = "memaudit.copy-model/3"
AGREEING = (
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
"""Signals of an alignment, of which more never speaks against a copy; `closeness` weighs them."""
SIGNALS = (*AGREEING, "coloured", "crossing", "features", "patches", *Differences._fields)
_ENOUGH = 12  # patches with texture: fewer say less
_MOST = 60  # inliers, and patches
_MOST_FEATURES = 400
_NEARLY = 0.9
_WHOLE = 0.85  # of a picture that lies in the common part: more says nothing more
_FAR = 0.5


class Trees(NamedTuple):
    """Of each tree and each of its nodes (t, n): the place of a signal among `SIGNALS`, int64; from above which of its
    values on it goes right, float64; to which node it goes left and right, int64, a leaf to itself; and what a leaf
    adds, float64. depth: of the deepest."""

    signal: Int64
    at: Float64
    left: Int64
    right: Int64
    value: Float64
    depth: int

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Sequence[float]]]) -> Trees:
        """From columns of each tree."""
        nodes, signals = max(len(tree["at"]) for tree in trees), [tree["signal"] for tree in trees]
        columns = {name: np.zeros((len(trees), nodes)) for name in ("signal", "at", "left", "right", "value")}
        for row, tree in enumerate(trees):
            for name, column in columns.items():
                column[row, : len(tree[name])] = tree[name]
        whole = {name: columns[name].astype(np.int64) for name in ("signal", "left", "right")}
        return cls(
            whole["signal"], columns["at"], whole["left"], whole["right"], columns["value"], max(map(len, signals)) // 2
        )

    def sum(self, signals: Float64) -> float:
        """Of the leaves that signals (k,) lead to."""
        tree, node = np.arange(len(self.at)), np.zeros(len(self.at), np.int64)
        for _ in range(self.depth):
            low = signals[self.signal[tree, node]] <= self.at[tree, node]
            node = np.where(low, self.left[tree, node], self.right[tree, node])
        return float(self.value[tree, node].sum())


@dataclass(frozen=True)
class CopyModel:
    """closest: weights (10,) float64 of `AGREEING`, and `intercept`: their sum tells the closest alignment. trees: over
    `SIGNALS` of that one. curve: sums, rising, and the probabilities there, between which it is linear; unfitting: the
    same of the closeness of pairs that no alignment fits. cut: least probability of a copy. fitted_on: SHA-256 of the
    pictures."""

    closest: Float64
    intercept: float
    trees: Trees
    curve: tuple[Float64, Float64]
    unfitting: tuple[Float64, Float64]
    cut: float
    fitted_on: str

    def closeness(self, agreeing: Float64) -> float:
        """The weighted sum of signals (10,)."""
        return float(agreeing @ self.closest) + self.intercept

    def logit(self, signals: Float64) -> float:
        """What the trees say of signals (k,)."""
        return self.trees.sum(signals)

    def probability(self, logit: float) -> float:
        """Of a copy, 0 to 1."""
        return float(np.interp(logit, *self.curve))

    def probability_unfitting(self, closeness: float) -> float:
        """Of a copy, where the closest alignment does not fit."""
        return float(np.interp(closeness, *self.unfitting))


def agreeing(alignment: Alignment, found: Agreement) -> Float64:
    """What an alignment shows, in the order of `AGREEING`, (10,) float64.

    Shares of patches count less where fewer than 12 have texture: of what shows nothing nothing is known.
    """
    within, shown = (min(1.0, patches / _ENOUGH) for patches in (found.patches, found.all_patches))
    return np.array(
        [
            found.alike * within,
            found.all_alike * shown,
            max(0.0, found.all_alike - _NEARLY) / (1 - _NEARLY) * shown,
            found.correlation * shown,
            math.log1p(min(alignment.inliers, _MOST)),
            alignment.inlier_share,
            min(_WHOLE, max(found.of_query, found.of_reference)),
            found.shown_kept * shown,
            -found.worst,
            -min(_FAR, found.distance),
        ]
    )


def signals_of(alignment: Alignment, found: Agreement, differing: Differences, features: int) -> Float64:
    """What the closest alignment shows, in the order of `SIGNALS`, (k,) float64. features: of the picture that has
    fewer. More of the first speaks for a copy, more of `AGAINST` against one; of the others either may."""
    shown = min(1.0, found.all_patches / _ENOUGH)
    values = {
        **dict(zip(AGREEING, agreeing(alignment, found), strict=True)),
        "coloured": found.coloured * shown,
        "crossing": found.crossing,
        "features": min(features, _MOST_FEATURES),
        "patches": min(found.all_patches, _MOST),
        **differing._asdict(),
    }
    return np.array([values[name] for name in SIGNALS])


@cache
def copy_model() -> CopyModel:
    """The model that memaudit comes with."""
    told = json.loads(files("memaudit.matching").joinpath("model.json").read_text(encoding="utf-8"))
    if told["schema"] != SCHEMA or tuple(told["signals"]) != SIGNALS or tuple(told["closest"]) != AGREEING:
        raise ValueError("model.json is of another version than the signals")
    return CopyModel(
        np.array(list(told["closest"].values())),
        told["intercept"],
        Trees.of(told["trees"]),
        (np.array(told["curve"]["logit"]), np.array(told["curve"]["probability"])),
        (np.array(told["unfitting"]["closeness"]), np.array(told["unfitting"]["probability"])),
        told["cut"],
        told["fitted_on"],
    )
