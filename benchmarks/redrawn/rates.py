"""What the pairs of a part come to: how many pictures drawn anew are found, what else is, and how well chances hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.copies.corpora import PHOTOGRAPHS
from benchmarks.copies.made import made_in
from benchmarks.copies.rates import rated
from benchmarks.copies.reliability import calibration_error
from benchmarks.record import Figure
from benchmarks.redrawn.signals import PEOPLE, Row, signals_in
from memaudit.matching.layout import LEAST_SHADING, SIGNALS, SKETCHED
from memaudit.matching.pictures import import_cv2, picture_of
from memaudit.matching.plan import SEARCH_FLOORS
from memaudit.matching.redrawn import LAID, redrawn_model
from memaudit.matching.rule import check
from memaudit.types import Float64
from scripts.alterations import read_rgb

ASKED, ASKED_NULLS, ASKED_ECE = ">= 0.95", "<= 0.01", "<= 0.03"
CLOSEST = 3  # references that an audit looks at,
FLOOR = 0.1  # from which similarity on
STRENGTHS = 4


def figures_of(folder: Path, data: str) -> Iterator[Figure]:
    model = redrawn_model()
    signals, rows = signals_in(folder, model.weights)
    open_ = np.array([model.may_be(each) for each in signals[:, : len(SKETCHED)]])
    probability = np.where(open_, [model.probability(model.logit(each)) for each in signals], 0.0)
    similarity = np.array([row["similarity"] for row in rows])
    found = (probability >= model.cut) & (similarity >= FLOOR)
    found &= ~laid(folder, rows, found & (similarity >= SEARCH_FLOORS["sscd"]))
    yield from recalls(rows, found & _among_closest(rows), data)
    yield from nulls(rows, found, data)
    counted = [i for i, row in enumerate(rows) if not row["redrawn"] or row["strength"] <= PEOPLE]
    truth = np.array([float(rows[i]["redrawn"]) for i in counted])
    shaded = signals[counted, SIGNALS.index("shading")] >= LEAST_SHADING
    error = calibration_error(probability[counted][shaded], truth[shaded])
    yield Figure(data, int(shaded.sum()), "expected calibration error, no plain drawings", error, asked=ASKED_ECE)
    asked = truth == 0
    yield Figure(data, int(asked.sum()), "nulls that sketches refuse", float((~open_[counted])[asked].mean()))
    for name, values in [*zip(SIGNALS, signals[counted].T, strict=True), ("all", probability[counted])]:
        yield Figure(data, len(counted), f"average precision of {name}", average_precision(values, truth))


def laid(folder: Path, rows: Sequence[Row], asked: np.ndarray) -> np.ndarray:
    """Whether pixels show that one lies on the other: it is a copy, or another of a series. asked: of which pairs."""
    files = {one.image_id: one.file for one in made_in(folder, ())}
    pairs = [
        (Path(row["query"]), files[row["reference"]]) for row, is_asked in zip(rows, asked, strict=True) if is_asked
    ]
    result = np.zeros(len(rows), bool)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_one_thread) as pool:
        result[asked] = list(pool.map(_lies_on, pairs, chunksize=10))
    return result


def _one_thread() -> None:
    import_cv2().setNumThreads(1)


def _lies_on(pair: tuple[Path, Path]) -> bool:
    query, reference = (picture_of(read_rgb(file)) for file in pair)
    told = check(query, reference)
    return told.agreement.alike >= LAID and not told.is_copy


def _among_closest(rows: Sequence[Row]) -> np.ndarray:
    """Whether no more than `CLOSEST` - 1 other references are more similar to what is queried."""
    above: dict[str, list[float]] = {}
    for row in rows:
        if not row["redrawn"]:
            above.setdefault(row["query"], []).append(row["similarity"])
    return np.array([sum(s > row["similarity"] for s in above.get(row["query"], [])) < CLOSEST for row in rows])


def recalls(rows: Sequence[Row], found: np.ndarray, data: str) -> Iterator[Figure]:
    drawn = [i for i, row in enumerate(rows) if row["redrawn"]]
    for measure, holds, asked in _groups(rows):
        chosen = [i for i in drawn if holds(rows[i])]
        if chosen:
            yield rated(data, measure, [rows[i]["source"] for i in chosen], [bool(found[i]) for i in chosen], asked)


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, Callable[[Row], bool], str]]:
    """What recall is told of, which pairs these are, and what is asked."""

    def people(row: Row) -> bool:
        return bool(row["strength"] < PEOPLE)

    yield "recall", people, ASKED
    yield "recall of photographs and paintings", lambda row: people(row) and row["kind"] in PHOTOGRAPHS, ""
    yield "recall of drawings", lambda row: people(row) and row["kind"] not in PHOTOGRAPHS, ""
    yield "recall, similarity from 0.3 on", lambda row: people(row) and row["similarity"] >= 0.3, ""
    for strength in range(STRENGTHS):
        yield f"recall, strength {strength}", lambda row, at=strength: row["strength"] == at, ""  # type: ignore[misc]
    for way in sorted({row["way"] for row in rows if row["redrawn"]}):
        yield f"recall, {way}", lambda row, by=way: people(row) and row["way"] == by, ""  # type: ignore[misc]


def nulls(rows: Sequence[Row], found: np.ndarray, data: str) -> Iterator[Figure]:
    """Each pair of pictures that are none is a draw, and those of one source stand and fall together."""
    others = [i for i, row in enumerate(rows) if not row["redrawn"]]
    kinds = [("", others, ASKED_NULLS), (" without text", [i for i in others if rows[i]["kind"] != "text"], "")]
    kinds += [
        (", drawn anew", [i for i in others if rows[i]["way"]], ""),
        (", clean", [i for i in others if not rows[i]["way"]], ""),
    ]
    kinds += [
        (f", {kind}", [i for i in others if rows[i]["kind"] == kind], "")
        for kind in sorted({rows[i]["kind"] for i in others})
    ]
    for name, chosen, asked in kinds:
        yield rated(data, f"nulls{name}", [rows[i]["source"] for i in chosen], [bool(found[i]) for i in chosen], asked)


def average_precision(values: Float64, truth: Float64) -> float:
    """Mean precision at each true pair, from the highest value down."""
    ordered = truth[np.argsort(-values, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered == 1].mean())
