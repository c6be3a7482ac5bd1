"""Strata of a store by score, and the random sample of each from which recall is estimated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.types import Float32, Float64, Int64

# Strata end at these multiples of the number of likely positives, by rank: cuts lie close where one is likely to be
_ENDS = (0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 6.0, 12.0)
_LEAST_ROWS = 5
_LEAST_DRAWN = 5
_HIDDEN = 0.05  # of the likely positives: as many are taken to be hidden in any stratum when a sample is shared out


class Drawn(NamedTuple):
    """Rows that were drawn, and the stratum of each."""

    row: Int64
    stratum: Int64


def borders_of(logits: Float32, likely: int) -> Float64:
    """The logit from which on a row is in a stratum, of each (k,), the highest first and -inf for the last. likely: how
    many of the rows are likely to be of the class.

    A border lies between two different logits; what is equal is in one stratum.
    """
    ordered = np.sort(logits.astype(np.float64))[::-1]
    lows = []
    last = 0
    for share in _ENDS:
        end = round(share * max(likely, _LEAST_ROWS))
        if end - last < _LEAST_ROWS or len(ordered) - end < _LEAST_ROWS or ordered[end - 1] == ordered[end]:
            continue
        lows.append((ordered[end - 1] + ordered[end]) / 2)
        last = end
    return np.array([*lows, -np.inf])


def stratum_of(borders: Float64, logits: Float32) -> Int64:
    """The number of the stratum of each logit."""
    return np.searchsorted(-borders, -logits.astype(np.float64), side="left").astype(np.int64)


def shares(rows: Int64, expected: Float64, likely: int, count: int) -> Int64:
    """How many rows to draw of each stratum, `count` in all or as many as there are, by Neyman's allocation (1934) for
    the expected shares of positives; more where five of each are more."""
    hidden = np.minimum(0.5, _HIDDEN * max(likely, 1) / np.maximum(rows, 1))
    share = np.clip(expected, hidden, np.maximum(1 - hidden, hidden))
    wanted = rows * np.sqrt(share * (1 - share))
    least = np.minimum(rows, _LEAST_DRAWN)
    low, high = 0.0, 1e12
    for _ in range(200):  # the factor by which all that is wanted comes to `count`
        factor = (low + high) / 2
        low, high = (low, factor) if np.clip(factor * wanted, least, rows).sum() > count else (factor, high)
    return _whole(np.clip(low * wanted, least, rows), rows)


def _whole(drawn: Float64, rows: Int64) -> Int64:
    """Rounded so that the sum stays, by the largest remainders."""
    whole = np.floor(drawn + 1e-9).astype(np.int64)
    left = round(float(drawn.sum())) - int(whole.sum())
    more = np.argsort(-np.where(whole < rows, drawn - whole, -1), kind="stable")[:left]
    whole[more] += 1
    return np.minimum(whole, rows)


def draw(stratum: Int64, rows: Int64, wanted: Int64, seed: int) -> Drawn:
    """Draw rows of each stratum without replacement. stratum, rows (n,): of those that may be drawn; wanted: how many
    of each."""
    generator = np.random.default_rng(seed)
    found = []
    for number, count in enumerate(wanted.tolist()):
        members = rows[stratum == number]
        found.append(generator.choice(members, min(count, len(members)), replace=False))
    numbers = np.repeat(np.arange(len(found)), [len(part) for part in found])
    return Drawn(np.concatenate([*found, np.empty(0, np.int64)]).astype(np.int64), numbers.astype(np.int64))
