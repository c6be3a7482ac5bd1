"""How the model of a copy was fitted: `python -m benchmarks.copies.fitting FIT TUNE` writes matching/model.json anew.

FIT and TUNE are folders that `benchmarks.copies.pairs` wrote, of these parts; to either come copies with any two
alterations, and series that are drawn for it (series.py). All that the trees know is of the first, curve and cut are of
the second alone. Pairs that show one drawing, though nobody made a copy (`shared`), are neither; so are two members of
a series of icons that differ in a mark. Of many pairs `MOST` are drawn, of each alteration and kind of picture alike.

Closeness, which tells what alignment of a pair counts, is a logistic regression (coefficients of at least 0, ridge
penalty `RIDGE`), fitted in turns: choose the alignment of every pair, fit, until nothing changes. The trees are boosted
(histogram gradient boosting of scikit-learn: Ke et al. 2017), with more of each signal never against a copy, or never
for one (`AGAINST`), but for those of `EITHER`. They are of the alignments that the closeness of the present model.json
chooses, so that a second run settles it, and of pairs that these fit. The curve is the share of copies by their sum,
made monotone by pooling (PAVA: Ayer et al. 1955); that of pairs which no alignment fits is by their closeness, of the
pairs of TUNE alone, each as many as it stands for. The cut lets `FALSE_MATCHES` of the pairs of TUNE that are no copies
pass, series left out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize

from benchmarks.alterations import SETTINGS, TWO, Beside, copies_of, of_two
from benchmarks.copies.made import made_in
from benchmarks.copies.pairs import PAIRS, Shared
from benchmarks.copies.series import KINDS, MEMBERS, series
from benchmarks.copies.split import SOURCE
from benchmarks.samples import sample_emoji
from memaudit.matching.agreement import agreement
from memaudit.matching.align import alignments
from memaudit.matching.model import AGREEING, SCHEMA, SIGNALS, Trees, agreeing
from memaudit.matching.pictures import Picture, import_cv2, read_picture
from memaudit.matching.rule import closest, signals_of_pair
from memaudit.types import Float64, Int64
from scripts.alterations import read_rgb, stream

RIDGE, TURNS = 1e-3, 10
TREES, LEAVES, LEAST_IN_LEAF, RATE = 120, 16, 20, 0.1
AGAINST = ("beyond", "ragged", "lost", "more_lost")
EITHER = ("solid", "pieces", "crossing", "features", "patches", "outlined", "recoloured")
FALSE_MATCHES = 0.001
BAND, LEAST = 0.5, 25
MOST = {"copy": 1600, "none": 2400}
EACH = 8  # series of each kind
_PAIRS_OF_SERIES, _COPIES_OF_SERIES = 12, 8
_TWOS = 4  # copies of each source
_CUT_AWAY = ("paste 0.4", "crop 0.5")
_UNCOPIED = ("text", "gradient")  # series of which copies are hardly told apart by anybody
_BADGES = "icon"
_FINE = 10**5
_HELD = 700
_MODEL = Path(__file__).parents[2] / "memaudit/matching/model.json"


class Pair(NamedTuple):
    """Two files, and whether one is a copy of the other. drawn: of a series. weight: of how many pairs of the part it
    is one; 0: it came to these."""

    query: str
    reference: str
    copy: bool
    drawn: bool
    weight: float = 0.0


class Alignments(NamedTuple):
    """All of all pairs: signals of `AGREEING` (h, 10) and the pair (h,) of each."""

    signals: Float64
    pair: Int64

    def closest(self, score: Float64) -> Int64:
        """Of each pair the alignment with the highest score (h,)."""
        order = np.lexsort((-score, self.pair))
        return np.asarray(order[np.diff(self.pair[order], prepend=-1) != 0])


class Seen(NamedTuple):
    """What a part shows: all alignments of its pairs; signals (n, k) of the closest of each, its closeness (n,) and
    whether it fits (n,); copy (n,): what a pair is, 1 or 0; drawn (n,): whether it is of a series; weight (n,): of how
    many pairs of the part it is one, 0 where it came to these."""

    alignments: Alignments
    signals: Float64
    closeness: Float64
    fits: NDArray[np.bool_]
    copy: Float64
    drawn: NDArray[np.bool_]
    weight: Float64


class Sum(NamedTuple):
    """Coefficients (k,) and intercept."""

    coefficients: Float64
    intercept: float

    def of(self, signals: Float64) -> Float64:
        return np.asarray(signals @ self.coefficients + self.intercept)


def pairs_in(folder: Path) -> list[Pair]:
    """`MOST` of the pairs of a part: every so manieth, once they are sorted by what they are."""
    shared = Shared()
    names = ("query_path", "reference_path", "label", "role", "alteration", "kind", "source", "reference", "candidate")
    rows = list(zip(*pq.read_table(folder / PAIRS, columns=list(names)).to_pydict().values(), strict=True))
    copies = [row for row in rows if row[2] == "copy"]
    none = [row for row in rows if row[2] == "none" and row[8] and not shared(row[6], row[7])]
    return [*_chosen(copies, MOST["copy"]), *_chosen(none, MOST["none"])]


def _chosen(rows: list[tuple[Any, ...]], most: int) -> Iterator[Pair]:
    chosen = _spread(rows, most)
    for row in chosen:
        yield Pair(row[0], row[1], row[2] == "copy", False, len(rows) / len(chosen))


def _spread(rows: list[tuple[Any, ...]], most: int) -> list[tuple[Any, ...]]:
    """So many, by role, alteration and kind of picture; in each of these as a hash has it."""
    ordered = sorted(rows, key=lambda row: (row[3], row[4], row[5], hashlib.sha256(repr(row[:2]).encode()).digest()))
    return [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, most).astype(int))]


def pairs_of_series(first: int, beside: Beside, out: Path) -> Iterator[Pair]:
    """Members of `EACH` series of each kind, from the one with number `first` on, with copies of some."""
    for kind, number in itertools.product(KINDS, range(first, first + EACH)):
        rng, name = stream(0, kind, "pairs of a series", number), f"{kind}-{number}"
        files = [out / f"{name}-{place}.png" for place in range(MEMBERS)]
        for file, image in zip(files, series(kind, number), strict=True):
            image.save(file)
        both = list(itertools.combinations(files, 2))
        if kind != _BADGES:
            for place in rng.permutation(len(both))[:_PAIRS_OF_SERIES]:
                yield Pair(str(both[place][1]), str(both[place][0]), False, True)
        if kind in _UNCOPIED:
            continue
        chosen, alterations = int(rng.integers(MEMBERS)), [*SETTINGS, *TWO]
        for place in rng.permutation(len(alterations))[:_COPIES_OF_SERIES].tolist():
            copy = _altered(files[chosen], name, alterations[place], beside, out / f"{name}-{chosen}-{place}.jpg")
            yield Pair(copy, str(files[chosen]), True, True)
            if kind != _BADGES:
                yield Pair(copy, str(files[(chosen + 1 + int(rng.integers(MEMBERS - 1))) % MEMBERS]), False, True)


def pairs_of_two_alterations(folder: Path, beside: Beside, out: Path) -> Iterator[Pair]:
    """Copies of the sources with any two alterations, of which the part has some combinations only; without those that
    another one may cut away, so that nothing of the source were left."""
    names = [name for name in SETTINGS if name not in _CUT_AWAY]
    for one in made_in(folder, ()):
        if one.role != SOURCE:
            continue
        rng = stream(0, one.image_id, "two alterations", 0)
        for turn in range(_TWOS):
            image, quality = read_rgb(one.file), 100
            for name in rng.permutation(names)[:2]:
                setting = SETTINGS[name]
                image, quality = setting.make(image, setting.strength, rng, beside), min(quality, setting.quality)
            file = out / f"{one.file.stem}-{turn}.jpg"
            image.save(file, "JPEG", quality=quality)
            yield Pair(str(file), str(one.file), True, False)


def _altered(source: Path, name: str, alteration: str, beside: Beside, out: Path) -> str:
    if alteration in SETTINGS:
        setting = SETTINGS[alteration]
        image, quality = next(copies_of(source, name, beside, {alteration: setting}))[1], setting.quality
    else:
        image, quality = of_two(source, name, beside, alteration)
    image.save(out, "JPEG", quality=quality)
    return str(out)


def all_pairs(folder: Path, first: int, out: Path) -> list[Pair]:
    """Those of a part, further copies of its sources, and series that are drawn for it."""
    stickers, grounds = (sample_emoji() / "smileys").glob("*.png"), (folder / "images/clean").glob("*.jpg")
    beside = Beside(sorted(stickers), sorted(grounds))
    return [
        *pairs_in(folder),
        *pairs_of_two_alterations(folder, beside, out),
        *pairs_of_series(first, beside, out),
    ]


def seen(pairs: Sequence[Pair]) -> Seen:
    """What they show. Memory: that; pictures, `_HELD` of each process."""
    pairs = sorted(pairs, key=lambda pair: pair.reference)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_one_thread) as pool:
        found = list(pool.map(_signals, pairs, chunksize=50))
    rows, signals, closeness, fitting = zip(*found, strict=True)
    pair = np.repeat(np.arange(len(pairs)), [len(each) for each in rows])
    return Seen(
        Alignments(np.concatenate(rows), pair),
        np.stack(signals),
        np.array(closeness),
        np.array(fitting),
        np.array([pair.copy for pair in pairs], np.float64),
        np.array([pair.drawn for pair in pairs]),
        np.array([pair.weight for pair in pairs]),
    )


def _one_thread() -> None:
    import_cv2().setNumThreads(1)


def _signals(pair: Pair) -> tuple[Float64, Float64, float, bool]:
    query, reference = _picture(pair.query), _picture(pair.reference)
    rows = [agreeing(found, agreement(query, reference, found.matrix)) for found in alignments(query, reference)]
    best = closest(query, reference)
    signals = signals_of_pair(query, reference, best)
    return np.array(rows).reshape(-1, len(AGREEING)), signals, best.closeness, best.agreement.fits


@lru_cache(_HELD)
def _picture(file: str) -> Picture:
    picture = read_picture(file, hashlib.sha256(Path(file).read_bytes()).hexdigest())
    if isinstance(picture, str):
        raise RuntimeError(f"{file}: {picture}")
    return picture


def closeness(part: Alignments, copy: Float64, which: NDArray[np.bool_]) -> Sum:
    """The logistic regression of these pairs (n,), of signals as they are."""
    kept = which[part.pair]
    part = Alignments(part.signals[kept], part.pair[kept])
    mean, spread = part.signals.mean(axis=0), part.signals.std(axis=0) + 1e-9
    scaled = (part.signals - mean) / spread
    weights, score = np.zeros(len(mean) + 1), scaled.sum(axis=1)
    for _ in range(TURNS):
        chosen = part.closest(score)
        weights = regressed(scaled[chosen], copy[part.pair[chosen]], weights)
        before, score = score, scaled @ weights[:-1] + weights[-1]
        if np.abs(score - before).max() < 1e-3:
            break
    coefficients = weights[:-1] / spread
    return Sum(coefficients, float(weights[-1] - coefficients @ mean))


def regressed(scaled: Float64, copy: Float64, start: Float64) -> Float64:
    """Weights, and last the intercept, of a logistic regression: of signals (n, k) of spread 1, none against a copy."""
    sign = 2 * copy - 1

    def loss(weights: Float64) -> tuple[float, Float64]:
        margin = sign * (scaled @ weights[:-1] + weights[-1])
        pull = -sign * (1 - np.tanh(margin / 2)) / 2
        slope = np.r_[scaled.T @ pull, pull.sum()] / len(sign) + 2 * RIDGE * np.r_[weights[:-1], 0]
        return float(np.logaddexp(0, -margin).mean() + RIDGE * (weights[:-1] ** 2).sum()), slope

    bounds = [(0, None)] * (len(start) - 1) + [(None, None)]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def boosted(signals: Float64, copy: Float64) -> list[dict[str, list[float]]]:
    """The trees over signals (n, k), each by the columns of `Trees`; the first is a leaf, what is added to all."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    ways = [0 if name in EITHER else -1 if name in AGAINST else 1 for name in SIGNALS]
    fitted = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAST_IN_LEAF,
        l2_regularization=1.0,
        monotonic_cst=ways,
        early_stopping=False,
        random_state=0,
    ).fit(signals, copy)
    start = float(fitted._baseline_prediction.ravel()[0])
    first: dict[str, list[float]] = {"signal": [0], "at": [0], "left": [0], "right": [0], "value": [start]}
    return [first, *(_columns(predictors[0].nodes) for predictors in fitted._predictors)]


def _columns(nodes: Any) -> dict[str, list[float]]:
    """A tree of scikit-learn's, in five digits; thresholds rounded up, for one may be a value that goes left."""
    place, leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
    columns = {
        "signal": np.where(leaf, 0, nodes["feature_idx"]),
        "at": np.where(leaf, 0.0, np.ceil(nodes["num_threshold"] * _FINE) / _FINE),
        "left": np.where(leaf, place, nodes["left"]),
        "right": np.where(leaf, place, nodes["right"]),
        "value": np.where(leaf, nodes["value"], 0.0).round(5),
    }
    return {name: column.tolist() for name, column in columns.items()}


def curve_of(logit: Float64, copy: Float64, weight: Float64 | None = None) -> tuple[Float64, Float64]:
    """Logits and probabilities of a copy there, both rising: the shares in `BAND`s of them, made monotone, half a pair
    added on either side, for nothing is certain. Bands of fewer than `LEAST` pairs are one with the next. weight: of
    each pair, None: alike."""
    order = np.argsort(logit, kind="stable")
    logit, copy = logit[order], copy[order]
    weight = np.ones(len(logit)) if weight is None else weight[order] / weight.mean()
    bounds = [0]
    for place in [*np.searchsorted(logit, np.arange(-8.0, 8.5, BAND)).tolist(), len(logit)]:
        if place - bounds[-1] >= LEAST:
            bounds.append(place)
    bounds[-1] = len(logit)
    size = np.add.reduceat(weight, bounds[:-1])
    share = (np.add.reduceat(copy * weight, bounds[:-1]) + 0.5) / (size + 1)
    middle = np.array([logit[low:high].mean() for low, high in itertools.pairwise(bounds)])
    return middle, np.asarray(isotonic_regression(share, weights=size).x)


def cut_of(logit: Float64, copy: Float64, passing: float) -> float:
    """The logit that just the share `passing` of the pairs that are no copies exceeds."""
    return float(np.quantile(logit[copy == 0], 1 - passing, method="higher"))


def main(fit: Path, tune: Path) -> None:
    """Fit, and write the model."""
    with TemporaryDirectory() as scratch:
        part, other = (
            seen(all_pairs(folder, number * 100, Path(scratch))) for number, folder in enumerate((fit, tune))
        )
    fitted_on = hashlib.sha256((fit / PAIRS).read_bytes()).hexdigest()
    _MODEL.write_text(written(part, other, fitted_on), encoding="utf-8")


def written(part: Seen, other: Seen, fitted_on: str) -> str:
    """The model of what two parts show, as model.json has it: a line for each of its fields, and for each tree."""
    weighted = closeness(part.alignments, part.copy, ~part.drawn)
    grove = boosted(part.signals[part.fits], part.copy[part.fits])
    trees, fits, unfitting = Trees.of(grove), other.fits, ~other.fits & (other.weight > 0)
    logit = np.array([trees.sum(signals) if fit else -np.inf for signals, fit in zip(other.signals, fits, strict=True)])
    curve = curve_of(logit[fits], other.copy[fits])
    cut = np.interp(cut_of(logit[~other.drawn], other.copy[~other.drawn], FALSE_MATCHES), *curve)
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "closest": dict(zip(AGREEING, weighted.coefficients.round(4).tolist(), strict=True)),
        "intercept": round(weighted.intercept, 4),
        "signals": SIGNALS,
        "curve": _told("logit", curve),
        "unfitting": _told(
            "closeness", curve_of(other.closeness[unfitting], other.copy[unfitting], other.weight[unfitting])
        ),
        "cut": round(float(cut), 3),
        "fitted_on": fitted_on,
    }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in told.items()]
    leaves = ",\n".join(json.dumps(tree, separators=(",", ":")) for tree in grove)
    return "{" + ",\n".join([*lines, f'"trees": [\n{leaves}\n]']) + "}\n"


def _told(name: str, curve: tuple[Float64, Float64]) -> dict[str, list[float]]:
    return {name: curve[0].round(4).tolist(), "probability": curve[1].round(5).tolist()}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
