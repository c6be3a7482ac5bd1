"""What the pairs that a tool finds come to: recall, false findings, and how well it says where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.alterations import SETTINGS, TWO
from benchmarks.copies.found import Box, Found
from benchmarks.copies.made import COPY, Made
from benchmarks.copies.pairs import Shared
from benchmarks.copies.split import CLEAN
from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure, rate
from memaudit.types import Float64

RECALL, FALSE = "recall", "false findings"
ASKED, ASKED_OF_EACH, ASKED_FALSE, ASKED_IOU = ">= 0.985", ">= 0.95", "<= 0.0005", ">= 0.9"
ORDINARY = frozenset({"photograph", "painting", "clip-art", "stamp", "wallpaper"})
NOTED = 40  # pairs that are named in a note


def figures_of(made: Sequence[Made], found: Found, data: str) -> Iterator[Figure]:
    """Recall of the copies, by what was done and of what; clean images that are flagged, by what they show."""
    if not found.could_run:
        yield Figure(data, 0, RECALL, None, note=found.note)
        return
    copies = [one for one in made if one.role == COPY]
    yield from recalls(copies, found, data)
    yield from falses([one for one in made if one.role == CLEAN], found, data)
    yield from places(copies, found, data)


def recalls(copies: Sequence[Made], found: Found, data: str) -> Iterator[Figure]:
    for measure, chosen, asked in _groups(copies):
        hits = [(one.image_id, one.source) in found.pairs for one in chosen]
        if chosen:
            yield rated(data, measure, [one.source for one in chosen], hits, asked)


def _groups(copies: Sequence[Made]) -> Iterator[tuple[str, list[Made], str]]:
    """What recall is told of, those copies, and what is asked."""
    yield RECALL, list(copies), ASKED
    yield "recall of photographs and paintings", [one for one in copies if one.photograph], ""
    yield "recall of drawings", [one for one in copies if not one.photograph], ""
    for kind in sorted({one.kind for one in copies}):
        yield f"recall of {kind}", [one for one in copies if one.kind == kind], ""
    yield "recall, one alteration", [one for one in copies if one.alteration in SETTINGS], ""
    yield "recall, two alterations", [one for one in copies if one.alteration in TWO], ""
    for name in (*SETTINGS, *TWO):
        yield f"recall, {name}", [one for one in copies if one.alteration == name], ASKED_OF_EACH


def falses(clean: Sequence[Made], found: Found, data: str) -> Iterator[Figure]:
    """Each clean image is a draw. One that shares a drawing with its match, as somebody judged, is no false finding."""
    shared = Shared()
    of_query: dict[str, list[str]] = {}
    for query, reference in found.pairs:
        of_query.setdefault(query, []).append(reference)
    wrong = {one.image_id: [r for r in of_query.get(one.image_id, []) if not shared(one.image_id, r)] for one in clean}
    names = [one.image_id for one in clean]
    yield rated(data, "clean images with a match", names, [name in of_query for name in names])
    note = "; ".join(f"{query} = {r}" for query, references in wrong.items() for r in references[:1])
    told = "; ".join(note.split("; ")[:NOTED])
    yield rated(data, FALSE, names, [bool(wrong[name]) for name in names], ASKED_FALSE, told)
    for measure, chosen in _sorts(clean):
        if chosen:
            hits = [bool(wrong[one.image_id]) for one in chosen]
            yield rated(data, f"{FALSE}, {measure}", [one.image_id for one in chosen], hits)


def _sorts(clean: Sequence[Made]) -> Iterator[tuple[str, list[Made]]]:
    yield "photographs and paintings", [one for one in clean if one.kind in ORDINARY and one.photograph]
    yield "drawings", [one for one in clean if one.kind in ORDINARY and not one.photograph]
    yield "kinds that resemble each other", [one for one in clean if one.kind not in ORDINARY]
    for kind in sorted({one.kind for one in clean}):
        yield kind, [one for one in clean if one.kind == kind]


def places(copies: Sequence[Made], found: Found, data: str) -> Iterator[Figure]:
    """Median IoU of the boxes with the true ones, of what was cut or pasted and found with boxes; the smaller one of
    both pictures."""
    values: dict[str, list[float]] = {}
    for one in copies:
        box = found.pairs.get((one.image_id, one.source))
        if one.boxes is not None and box is not None:
            values.setdefault(one.alteration, []).append(iou_of(box, one))
    together = [value for each in values.values() for value in each]
    if together:
        yield Figure(data, len(together), "IoU with the true boxes", *_spread(together), ASKED_IOU)
    for alteration, each in values.items():
        yield Figure(data, len(each), f"IoU, {alteration}", *_spread(each))


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, and the quarters below and above it."""
    middle, low, high = np.percentile(values, [50, 25, 75])
    return float(middle), float(low), float(high)


def iou_of(box: Box, one: Made) -> float:
    if one.boxes is None:
        raise BenchmarkError(f"{one.image_id} has no true boxes")
    return min(iou(box.query, np.array(one.boxes.copy)), iou(box.reference, np.array(one.boxes.source)))


def iou(box: Float64, other: Float64) -> float:
    """Of x0, y0, x1, y1: the common area, of all that either covers."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / float(np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - common)


def rated(
    data: str, measure: str, draws: Sequence[str], hits: Iterable[bool], asked: str = "", note: str = ""
) -> Figure:
    """The share of hits, its interval by independent draws: what has one name stands and falls together."""
    names = {name: number for number, name in enumerate(dict.fromkeys(draws))}
    number = np.array([names[name] for name in draws], np.int64)
    found = np.bincount(number, np.array(list(hits), np.float64)).astype(np.int64)
    value = rate(found, np.bincount(number).astype(np.int64))
    if value is None:
        raise BenchmarkError(f"{data}: nothing to measure {measure} by")
    return Figure(data, len(draws), measure, *value, asked, note)
