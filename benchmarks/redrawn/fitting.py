"""How the model of a picture drawn anew was fitted: `python -m benchmarks.redrawn.fitting FIT TUNE`.

FIT and TUNE are folders of which `benchmarks.redrawn.pairs` wrote the pairs; memaudit/matching/redrawn.json is written
anew. The weights are of the first alone: a logistic regression, none of them negative, over what is drawn anew at the
first `FITTED` strengths and over what is not. Curve and cut are of the second alone: `FALSE` of its pairs that are no
re-drawn ones pass, so that 0.7 % of its pictures do, of each of which an audit looks at three; text left out, of which
nobody tells one page from another. Of drawings in plain colours, which are never called re-drawn, the weights and the
curve know nothing; that they pass no null counts for the cut. Sketches
refuse what loses no more than `LOST` of those that the model finds.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.copies.fitting import Sum, curve_of, cut_of, regressed
from benchmarks.copies.pairs import PAIRS
from benchmarks.redrawn.rates import CLOSEST
from benchmarks.redrawn.signals import DRAWN, Row, signals_in
from memaudit.matching.layout import LEAST_SHADING, SIGNALS, SKETCHED
from memaudit.matching.redrawn import SCHEMA
from memaudit.types import Float64

FITTED = 3  # strengths, of four
FALSE, LOST = 0.007 / CLOSEST, 0.005
TURNS = 3
_MODEL = Path(__file__).parents[2] / "memaudit/matching/redrawn.json"


class Part(NamedTuple):
    """Signals (n, k) of pairs of which the reference is shaded, and what each is, 1 or 0; text (n,): of a page of text.
    nulls: how many pairs are none, text left out, whatever the reference is."""

    signals: Float64
    redrawn: Float64
    text: NDArray[np.bool_]
    nulls: int


def part_of(folder: Path, weights: Float64 | None = None) -> Part:
    signals, rows = signals_in(folder, weights)
    redrawn = np.array([float(row["redrawn"]) for row in rows])
    text = np.array([row["kind"] == "text" for row in rows])
    kept = np.array([counts(row) for row in rows]) & (signals[:, SIGNALS.index("shading")] >= LEAST_SHADING)
    return Part(signals[kept], redrawn[kept], text[kept], int(((redrawn == 0) & ~text).sum()))


def counts(row: Row) -> bool:
    """Whether a pair is one thing or the other: what is drawn at the last strength may be either."""
    return not row["redrawn"] or int(row["strength"]) < FITTED


def weighed(signals: Float64, redrawn: Float64) -> Sum:
    mean, spread = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    weights = regressed((signals - mean) / spread, redrawn, np.zeros(len(mean) + 1))
    coefficients = weights[:-1] / spread
    return Sum(coefficients, float(weights[-1] - coefficients @ mean))


def fitted(fit: Path, tune: Path) -> dict[str, Any]:
    """The model, as redrawn.json has it."""
    part = part_of(fit)
    for _ in range(TURNS):
        whole = weighed(part.signals, part.redrawn)
        part = part_of(fit, whole.coefficients)
    sketched = weighed(part.signals[:, : len(SKETCHED)], part.redrawn)
    other = part_of(tune, whole.coefficients)
    logit = whole.of(other.signals)
    shaded = logit[(other.redrawn == 0) & ~other.text]
    cut = cut_of(shaded, np.zeros(len(shaded)), FALSE * other.nulls / len(shaded))
    curve = curve_of(logit, other.redrawn)
    found = (logit >= cut) & (other.redrawn == 1)
    sums = other.signals[found][:, : len(SKETCHED)] @ sketched.coefficients
    return {
        "schema": SCHEMA,
        "weights": dict(zip(SIGNALS, whole.coefficients.round(4).tolist(), strict=True)),
        "intercept": round(whole.intercept, 4),
        "sketched": dict(zip(SKETCHED, sketched.coefficients.round(4).tolist(), strict=True)),
        "least": round(float(np.quantile(sums, LOST)), 3),
        "curve": {"logit": curve[0].round(4).tolist(), "probability": curve[1].round(5).tolist()},
        "cut": round(float(np.interp(cut, *curve)), 3),
        "fitted_on": hashlib.sha256((fit / DRAWN / PAIRS).read_bytes()).hexdigest(),
    }


if __name__ == "__main__":
    told = fitted(*map(Path, sys.argv[1:3]))
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in told.items()]
    _MODEL.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
