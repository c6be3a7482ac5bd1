"""How the model of a copy was fitted: `python -m benchmarks.copies.fitting FIT TUNE` writes matching/model.json anew.

FIT and TUNE are folders that `benchmarks.copies.pairs` wrote, of these parts; the coefficients are of the first alone,
the curve and the cuts of the second alone. Of each pair the alignment counts that says most for a copy, so that it is
fitted in turns: choose the alignment of every pair, fit a logistic regression (coefficients of at least 0, for more of
each signal must never speak against a copy; ridge penalty `RIDGE`), until nothing changes. Pairs that show one drawing,
though nobody made a copy (`shared`), are neither. The curve is the share of copies by the sum, made monotone by pooling
(PAVA: Ayer et al. 1955). Cuts are those of the false matches in TUNE that they let pass: `FALSE_MATCHES` of all
comparisons, `FALSE_PARTS` where a part is compared.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import isotonic_regression, minimize

from benchmarks.copies.pairs import PAIRS, SHARED, Shared
from memaudit.matching.agreement import agreement
from memaudit.matching.align import alignments
from memaudit.matching.model import SCHEMA, SIGNALS, signals_of
from memaudit.matching.pictures import Picture, import_cv2, read_picture
from memaudit.types import Float64, Int64

RIDGE, TURNS = 1e-3, 10
FALSE_MATCHES, FALSE_PARTS = 0.003, 0.0005
BAND, LEAST = 0.5, 25
_HELD = 700
_MODEL = Path(__file__).parents[2] / "memaudit/matching/model.json"


class Seen(NamedTuple):
    """All alignments of all pairs: signals (h, k) and the pair (h,) of each; copy (n,): what a pair is, 1 or 0."""

    signals: Float64
    pair: Int64
    copy: Float64

    def closest(self, score: Float64) -> Int64:
        """Of each pair the alignment with the highest score (h,)."""
        order = np.lexsort((-score, self.pair))
        return np.asarray(order[np.diff(self.pair[order], prepend=-1) != 0])


class Sum(NamedTuple):
    """Coefficients (k,) and intercept."""

    coefficients: Float64
    intercept: float

    def of(self, signals: Float64) -> Float64:
        return np.asarray(signals @ self.coefficients + self.intercept)


def seen(folder: Path) -> Seen:
    """What the pairs of a part show. Memory: them; pictures, `_HELD` of each process."""
    shared = Shared()
    table = pq.read_table(folder / PAIRS).to_pydict()
    chosen = [
        i
        for i, label in enumerate(table["label"])
        if label == "copy"
        or (table["candidate"][i] and label != SHARED and not shared(table["source"][i], table["reference"][i]))
    ]
    copy = np.array([table["label"][i] == "copy" for i in chosen], np.float64)
    files = [(table["query_path"][i], table["reference_path"][i]) for i in chosen]
    with ProcessPoolExecutor(os.cpu_count(), initializer=_one_thread) as pool:
        found = list(pool.map(_signals, files, chunksize=50))
    pair = np.repeat(np.arange(len(files)), [len(rows) for rows in found])
    return Seen(np.concatenate(found), pair, copy)


def _one_thread() -> None:
    import_cv2().setNumThreads(1)


def _signals(files: tuple[str, str]) -> Float64:
    query, reference = (_picture(file) for file in files)
    rows = [signals_of(found, agreement(query, reference, found.matrix)) for found in alignments(query, reference)]
    return np.array(rows).reshape(-1, len(SIGNALS))


@lru_cache(_HELD)
def _picture(file: str) -> Picture:
    picture = read_picture(file, hashlib.sha256(Path(file).read_bytes()).hexdigest())
    if isinstance(picture, str):
        raise RuntimeError(f"{file}: {picture}")
    return picture


def fitted(part: Seen) -> Sum:
    """The logistic regression, of signals as they are."""
    mean, spread = part.signals.mean(axis=0), part.signals.std(axis=0) + 1e-9
    scaled = (part.signals - mean) / spread
    weights, score = np.zeros(len(mean) + 1), scaled.sum(axis=1)
    for _ in range(TURNS):
        chosen = part.closest(score)
        weights = _regressed(scaled[chosen], part.copy[part.pair[chosen]], weights)
        before, score = score, scaled @ weights[:-1] + weights[-1]
        if np.abs(score - before).max() < 1e-3:
            break
    coefficients = weights[:-1] / spread
    return Sum(coefficients, float(weights[-1] - coefficients @ mean))


def _regressed(scaled: Float64, copy: Float64, start: Float64) -> Float64:
    sign = 2 * copy - 1

    def loss(weights: Float64) -> tuple[float, Float64]:
        margin = sign * (scaled @ weights[:-1] + weights[-1])
        pull = -sign * (1 - np.tanh(margin / 2)) / 2
        slope = np.r_[scaled.T @ pull, pull.sum()] / len(sign) + 2 * RIDGE * np.r_[weights[:-1], 0]
        return float(np.logaddexp(0, -margin).mean() + RIDGE * (weights[:-1] ** 2).sum()), slope

    bounds = [(0, None)] * (len(start) - 1) + [(None, None)]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def curve_of(logit: Float64, copy: Float64) -> tuple[Float64, Float64]:
    """Logits and probabilities of a copy there, both rising: the shares in bands of a logit, made monotone, half a pair
    added on either side, for nothing is certain. Bands of fewer than `LEAST` pairs are one with the next."""
    order = np.argsort(logit, kind="stable")
    logit, copy = logit[order], copy[order]
    bounds = [0]
    for place in [*np.searchsorted(logit, np.arange(-8.0, 8.5, BAND)).tolist(), len(logit)]:
        if place - bounds[-1] >= LEAST:
            bounds.append(place)
    bounds[-1] = len(logit)
    size = np.diff(bounds)
    share = (np.add.reduceat(copy, bounds[:-1]) + 0.5) / (size + 1)
    middle = np.array([logit[low:high].mean() for low, high in itertools.pairwise(bounds)])
    return middle, np.asarray(isotonic_regression(share, weights=size).x)


def cut_of(logit: Float64, copy: Float64, passing: float) -> float:
    """The logit that just the share `passing` of the pairs that are no copies exceeds."""
    return float(np.quantile(logit[copy == 0], 1 - passing, method="higher"))


def main(fit: Path, tune: Path) -> None:
    """Fit, and write the model."""
    part, other = seen(fit), seen(tune)
    weighted = fitted(part)
    score = weighted.of(other.signals)
    logit = score[other.closest(score)]
    curve = curve_of(logit, other.copy)
    cuts = [float(np.interp(cut_of(logit, other.copy, share), *curve)) for share in (FALSE_MATCHES, FALSE_PARTS)]
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "signals": dict(zip(SIGNALS, weighted.coefficients.round(4).tolist(), strict=True)),
        "intercept": round(weighted.intercept, 4),
        "curve": {"logit": curve[0].round(4).tolist(), "probability": curve[1].round(5).tolist()},
        "cut": round(cuts[0], 3),
        "part_cut": round(cuts[1], 3),
        "fitted_on": hashlib.sha256((fit / PAIRS).read_bytes()).hexdigest(),
    }
    _MODEL.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for name, cut in zip(("cut", "part_cut"), cuts, strict=True):
        found = np.interp(logit, *curve) >= round(cut, 3)
        copies = other.copy == 1
        rejected = f"{found[~copies].sum()} of {(~copies).sum()} others"
        print(f"{name} {cut:.3f}: {found[copies].mean():.2%} of copies, {rejected}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
