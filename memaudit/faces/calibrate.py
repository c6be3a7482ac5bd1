"""From which similarity on are two faces one person, in a search of *this* gallery? See docs/protocols/faces.md."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from memaudit.faces.people import people_of
from memaudit.faces.results import Calibration
from memaudit.index import Searcher
from memaudit.similarity import pairs_across, pairs_within, top_k
from memaudit.store import Block, Store
from memaudit.types import CONFIDENCE, Float32, Int64

SAMPLE = 10_000  # faces of the gallery that stand in for controls
_QUERY_ROWS = 2048
_BLOCK_ROWS = 8192
_NO_ROWS, _NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)
LEAST = 1e-3  # of a threshold; cosines of different people scatter around 0


class Null(NamedTuple):
    """What people who are not in the gallery reach with it: best (n,) of each one's similarities.

    factor: the gallery's faces ÷ those that they were compared with. left_out: faces of the gallery that were not
    compared, because they are drawn themselves or taken for the same person as one who is. rows, reached: of controls,
    the faces that these people have, and the best similarity of each. excluded, excluded_people: controls that are
    taken for people of the gallery.
    """

    best: Float32
    factor: float = 1.0
    left_out: int = 0
    rows: Int64 = _NO_ROWS
    reached: Float32 = _NOTHING
    excluded: int = 0
    excluded_people: int = 0

    @property
    def faces(self) -> int:
        return max(len(self.rows), len(self.best))


def calibrate(null: Null, scored: int, allowed: float, floor: float, fallback: float) -> Calibration:
    """The lowest threshold, not below `floor`, at which no more than `allowed` false matches are to be expected.

    If those scored are exchangeable with the n samples, each of them exceeds the r-th highest sample with probability
    r / (n + 1), whatever the distribution (Wilks 1941). So at a threshold just above it, with factor f, f x scored x
    r / (n + 1) false matches are expected, and none can be promised below f x scored / (n + 1): no tail is invented.
    `fallback` is the threshold without any sample.
    """
    samples = np.sort(null.best[np.isfinite(null.best)])[::-1]
    count = len(samples)
    rank = math.floor(allowed * (count + 1) / (scored * null.factor)) if scored else count
    threshold = fallback
    if count:
        threshold = min(max(_just_above(samples[min(max(rank, 1), count) - 1]), floor, LEAST), 1.0)
    above = int((samples >= np.float32(threshold)).sum())
    expected = min(float(scored), null.factor * scored * (above + 1) / (count + 1))
    low, high = _interval(scored, above + 1, (count + 1) / null.factor)
    return Calibration(
        threshold=threshold,
        scored=scored,
        samples=count,
        above=above,
        factor=null.factor,
        left_out=null.left_out,
        expected=expected,
        low=low,
        high=high,
        shortfall=_shortfall(null, count, scored, allowed, expected),
        faces=null.faces,
        excluded=null.excluded,
        excluded_people=null.excluded_people,
        expected_with_excluded=min(
            float(scored),
            null.factor * scored * (above + null.excluded_people + 1) / (count + null.excluded_people + 1),
        ),
    )


def _just_above(value: np.float32) -> float:
    """The next number with six digits that is above `value`, in float32 as well, where similarities are compared."""
    steps = math.floor(float(value) * 1e6) + 1
    return steps / 1e6 if np.float32(steps / 1e6) > value else (steps + 1) / 1e6


def _interval(scored: int, rank: int, draws: float) -> tuple[int, int]:
    """Where the number of false matches lies with 95 %: beta-binomial, for over draws of the samples the chance of one
    is distributed as Beta(rank, draws - rank) (Wilks 1941)."""
    from scipy.stats import betabinom

    if not scored or draws <= rank:
        return 0, scored
    tail = (1 - CONFIDENCE) / 2
    law = betabinom(scored, rank, draws - rank)
    return int(law.ppf(tail)), int(law.ppf(1 - tail))


def _shortfall(null: Null, count: int, scored: int, allowed: float, expected: float) -> str:
    if expected <= allowed * (1 + 1e-9) or not scored:
        return ""
    needed = math.ceil(null.factor * scored / allowed) - 1
    if count >= needed:
        return (
            f"{expected:,.3g} false face matches are to be expected at any threshold, more than the {allowed:g} asked "
            "for: people who should not be in the training set reach similarity 1 with it"
        )
    left_out = f" ({null.excluded:,} faces left out as those of training people)" if null.excluded else ""
    return (
        f"{count:,} other people{left_out} cannot show that fewer than {expected:,.3g} false face matches are to be "
        f"expected of {scored:,} faces; for {allowed:g} at least {needed:,} are needed: give more with "
        "--control-faces, or allow more with --face-false-matches"
    )


def control_null(control: Store, gallery: Searcher, column: str = "") -> Null:
    """What each held-out person reaches with the gallery, by the nearest of his or her distinct faces.

    Whoever has a face at the same person's similarity with the gallery is no stranger to it, and left out, with all
    other faces of that person. column: metadata that names the person. Memory: blocks, and some 50 bytes a face.
    """
    rows = distinct_rows(control)
    same_person = gallery.store.encoder.threshold
    reached = _reached(control, rows, gallery)
    person = people_of(control, rows, same_person, column)
    best = np.full(int(person.max(initial=-1)) + 1, -np.inf, np.float32)
    np.maximum.at(best, person, reached)
    stranger = best < np.float32(same_person)
    kept = stranger[person]
    return Null(
        best[stranger],
        rows=rows[kept],
        reached=reached[kept],
        excluded=int((~kept).sum()),
        excluded_people=int((~stranger).sum()),
    )


def _reached(control: Store, rows: Int64, gallery: Searcher) -> Float32:
    best = [_NOTHING]
    for low in range(0, len(rows), _QUERY_ROWS):
        vectors = control.embeddings(rows[low : low + _QUERY_ROWS])
        best.append(gallery.search(vectors, 1, 1.0).similarity[:, 0])
    return np.concatenate(best)


def distinct_rows(store: Store) -> Int64:
    """The comparable rows, of each file once."""
    files: dict[str, int] = {}
    start = 0
    for columns in store.iter_columns():
        for row, (status, sha256) in enumerate(zip(columns.status, columns.sha256, strict=True), start):
            if status == "ok":
                files.setdefault(sha256, row)
        start += len(columns.status)
    return np.array(sorted(files.values()), dtype=np.int64)


def gallery_null(gallery: Store, same_person: float, *, sample: int = SAMPLE, seed: int = 0) -> Null:
    """What faces drawn from the gallery reach with the rest of it, as if they were not in it.

    At most half of it is drawn. Rest means: without those drawn, and without whoever has `same_person` with one of
    them, for they are no other people. Nothing above `same_person` is therefore ever seen, and the faces of one
    person that are less alike than that make the threshold higher, never lower. Memory: a block of similarities.
    """
    rows = gallery.comparable_rows()
    size = min(sample, len(rows) // 2)
    if not size:
        return Null(np.empty(0, np.float32))
    drawn = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    vectors = gallery.embeddings(drawn)
    vectors = np.delete(vectors, np.unique(pairs_within(vectors, same_person).right), axis=0)
    best = np.full(len(vectors), -np.inf, np.float32)
    compared = 0
    for block in gallery.blocks(_BLOCK_ROWS):
        others = ~np.isin(block.rows, drawn)
        others[pairs_across(vectors, block.embeddings, same_person).right] = False
        compared += int(others.sum())
        if others.any():
            _raise_best(best, vectors, Block(block.rows[others], block.embeddings[others]))
    if not compared:
        return Null(np.empty(0, np.float32), 1.0, len(rows))
    return Null(best, len(rows) / compared, len(rows) - compared)


def _raise_best(best: Float32, vectors: Float32, block: Block) -> None:
    for low in range(0, len(vectors), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        best[part] = np.maximum(best[part], top_k(vectors[part], [block], 1, 1.0).similarity[:, 0])
