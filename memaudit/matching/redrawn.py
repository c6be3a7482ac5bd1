"""Whether one picture is the other drawn anew: composition and objects are the same, hardly a pixel is.

`redrawn.json` has the weights of a logistic regression over the signals of layout.py, none of which speaks against it,
the curve that makes their sum a probability, the cut, and what they were fitted on; benchmarks/redrawn/fitting.py
writes it. Sketches are looked at first: where they have little in common, no encoder is asked. The similarity of the
embeddings of the whole pictures proposes pairs, and has no say: likenesses of one subject have it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit import machine
from memaudit.encoders.encoder import Regions
from memaudit.matching.compare import Files, one_thread_each
from memaudit.matching.kept import KeptImage
from memaudit.matching.layout import (
    FRAMED,
    LEAST_SHADING,
    SIGNALS,
    SKETCHED,
    Layout,
    Sketch,
    framed,
    layout_of,
    signals_of_layouts,
    sketch_of,
    sketched_signals,
)
from memaudit.matching.pictures import read_pixels
from memaudit.types import Float32, Float64, Int64, Progress

SCHEMA = "memaudit.redrawn-model/1"
LAID = (
    0.7  # share of the patches that agree where one lies on the other: another of a series, and no picture drawn anew
)
SOURCE = "a model of layout, fitted on pictures that models drew anew"  # where the probability comes from
RECALL = "from the benchmark"  # where it is known from how many are found
_AT_ONCE = 64  # pairs of which the pictures are held, a fifth of a megabyte each
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class RedrawnModel:
    """weights (7,) of `SIGNALS` and intercept; sketched (5,) of `SKETCHED`, and least: their sum below which a pair is
    looked at no further. curve: sums, rising, and the probabilities there, between which it is linear. cut: least
    probability of a picture drawn anew. fitted_on: SHA-256 of the parts of the split."""

    weights: Float64
    intercept: float
    sketched: Float64
    least: float
    curve: tuple[Float64, Float64]
    cut: float
    fitted_on: str

    def may_be(self, sketched: Float64) -> bool:
        """Whether signals (5,) leave it open; of drawings in plain colours they never do."""
        shaded = sketched[SKETCHED.index("shading")] >= LEAST_SHADING
        return bool(shaded and sketched @ self.sketched >= self.least)

    def logit(self, signals: Float64) -> float:
        """The weighted sum of signals (7,)."""
        return float(signals @ self.weights) + self.intercept

    def probability(self, logit: float) -> float:
        """Of a picture drawn anew, 0 to 1."""
        return float(np.interp(logit, *self.curve))


@dataclass(frozen=True)
class Composition:
    """A picture (height, width, 3) uint8 RGB, and what lies where in it, made when it is first asked for. regions:
    those of the encoder."""

    pixels: Pixels
    regions: Regions

    @cached_property
    def sketch(self) -> Sketch:
        return sketch_of(self.pixels)

    @cached_property
    def layout(self) -> Layout:
        return layout_of(self.pixels, self.regions)


class Redrawn(NamedTuple):
    """An entry for each pair that was asked about. read: both files could be; probability: that one picture is the
    other drawn anew, NaN where not read."""

    read: NDArray[np.bool_]
    probability: Float32


@cache
def redrawn_model() -> RedrawnModel:
    """The model that memaudit comes with."""
    told = json.loads(files("memaudit.matching").joinpath("redrawn.json").read_text(encoding="utf-8"))
    if told["schema"] != SCHEMA or tuple(told["weights"]) != SIGNALS or tuple(told["sketched"]) != SKETCHED:
        raise ValueError("redrawn.json is of another version than the signals")
    return RedrawnModel(
        np.array(list(told["weights"].values())),
        told["intercept"],
        np.array(list(told["sketched"].values())),
        told["least"],
        (np.array(told["curve"]["logit"]), np.array(told["curve"]["probability"])),
        told["cut"],
        told["fitted_on"],
    )


def redrawn_pairs(
    queries: Files,
    references: Files,
    left: Int64,
    right: Int64,
    regions: Regions,
    progress: Progress,
) -> Redrawn:
    """How likely query left[i] is reference right[i] drawn anew, for all i.

    regions: those of the encoder that the model was fitted with. Memory: the pictures of `_AT_ONCE` pairs. Raises
    MissingDependencyError without OpenCV.
    """
    found = Redrawn(np.zeros(len(left), bool), np.full(len(left), np.nan, np.float32))
    with one_thread_each(), ThreadPoolExecutor(machine.cores()) as pool:
        for low in range(0, len(left), _AT_ONCE):
            part = slice(low, low + _AT_ONCE)
            own, other = (_read(*side, regions, pool) for side in ((queries, left[part]), (references, right[part])))
            for i, (one, another) in enumerate(zip(left[part], right[part], strict=True), low):
                query, reference = own[int(one)], other[int(another)]
                if query is not None and reference is not None:
                    found.read[i] = True
                    found.probability[i] = probability(query, reference)
            progress("looking for pictures drawn anew", min(low + _AT_ONCE, len(left)), len(left))
    return found


def probability(query: Composition, reference: Composition) -> float:
    """That the query is the reference drawn anew. What training cuts off is left out of the reference where that makes
    it likelier."""
    model = redrawn_model()
    logits = [
        model.logit(np.concatenate([sketched, signals_of_layouts(query.layout, part.layout)]))
        for part, sketched in frames_of(query, reference)
        if model.may_be(sketched)
    ]
    return model.probability(max(logits)) if logits else 0.0


def frames_of(query: Composition, reference: Composition) -> Iterator[tuple[Composition, Float64]]:
    """The reference, and where its shape is another its middle in the shape of the query; each with the signals of
    sketches, (5,)."""
    yield reference, sketched_signals(query.sketch, reference.sketch)
    (height, width), (other_height, other_width) = query.pixels.shape[:2], reference.pixels.shape[:2]
    ratio = width * other_height / (height * other_width)
    if max(ratio, 1 / ratio) >= FRAMED:
        middle = Composition(framed(reference.pixels, (height, width)), reference.regions)
        yield middle, sketched_signals(query.sketch, middle.sketch)


def _read(side: Files, rows: Int64, regions: Regions, pool: ThreadPoolExecutor) -> dict[int, Composition | None]:
    """The pictures of these rows, each once; None for what cannot be read."""
    once = np.unique(rows).tolist()
    read = zip(once, pool.map(lambda row: _pixels(side, row), once), strict=True)
    return {row: None if pixels is None else Composition(pixels, regions) for row, pixels in read}


def _pixels(side: Files, row: int) -> Pixels | None:
    kept: KeptImage | None = None if side.kept is None else side.kept[row]
    reduced = kept.reduced() if kept else None
    if reduced is not None:
        return reduced.pixels
    read = read_pixels(side.uri[row], side.sha256[row])
    return None if isinstance(read, str) else read
