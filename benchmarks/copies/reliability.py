"""Is the probability of a copy what it says? Of all pairs that were compared, by tenths; pairs that share a drawing, as
somebody judged, are neither."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.copies.found import Candidates
from benchmarks.copies.rates import rated
from benchmarks.record import Figure
from memaudit.matching.model import copy_model
from memaudit.types import Float32, Float64, Int64

ASKED = "<= 0.02"
TENTHS = 10


def reliability(pairs: Candidates, probability: Float32, data: str) -> Iterator[Figure]:
    """probability: of each pair, NaN of what could not be compared. Intervals are by the query's source."""
    told = ~np.isnan(probability) & np.isin(pairs.label, ("copy", "none"))
    stated, copy, source = probability[told].astype(np.float64), pairs.label[told] == "copy", pairs.source[told]
    error = calibration_error(stated, copy.astype(np.float64))
    yield Figure(data, len(stated), "expected calibration error", error, asked=ASKED)
    tenth = tenths(stated)
    for number in np.unique(tenth).tolist():
        own = tenth == number
        name = f"copies where {number / TENTHS:g} to {(number + 1) / TENTHS:g} is stated"
        yield rated(data, name, source[own], copy[own], note=f"{stated[own].mean():.4f} in the mean")
    passed = stated >= copy_model().cut
    for name, own in (("no copies that pass the cut", ~copy), ("copies that pass the cut", copy)):
        if own.any():
            yield rated(data, name, source[own], passed[own])


def tenths(stated: Float64) -> Int64:
    return np.minimum((stated * TENTHS).astype(np.int64), TENTHS - 1)


def calibration_error(stated: Float64, truth: Float64) -> float:
    """The expected calibration error by tenths of what is stated (Guo et al., ICML 2017)."""
    tenth = tenths(stated)
    gaps = np.bincount(tenth, stated - truth, minlength=TENTHS)
    return float(np.abs(gaps).sum() / max(1, len(stated)))
