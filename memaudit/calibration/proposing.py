"""Pairs that are worth a person's look: those nearest to the cut, and a random part of all others, by strata.

The frame is every pair of which one image is among the 8 most similar ones of the other, from a floor on; of exact
duplicates one image, however many there are. How likely each pair was to be drawn is kept, so that rates of the whole
frame can be estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.calibration.nearest_files import FileRows, nearest_files
from memaudit.calibration.sides import Compared, RowPairs, Sides
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import digest_of
from memaudit.index import Searcher
from memaudit.matching.model import copy_model
from memaudit.matching.plan import PAIR_FLOORS, SEARCH_FLOORS
from memaudit.reviews import Drawn, Merged, pair_of
from memaudit.similarity.exact import require_threshold
from memaudit.types import Float32, Float64, Int64, Progress, silent

POOL = 4000  # pairs whose pixels are compared, at 10 to 40 ms each; of larger frames as many of each band of similarity
BEFORE = "labelled before"
_BELOW, _ABOVE = 4, 2  # bands of similarity on either side of the threshold
_LIKELY = np.array([0.1, 0.5, 0.9], np.float32)  # where bands of probability meet
_OF_EACH = 2  # pairs of each stratum, at least
LEAST = 2 * _OF_EACH * (_BELOW + _ABOVE)  # pairs of a proposal: as many nearest to the cut as of all strata


@dataclass(frozen=True)
class ProposeOptions:
    """count: pairs to be proposed, half of them nearest to the cut. match_from: the frame's floor, None: the encoder's
    own. seed: of what is drawn."""

    count: int = 200
    match_from: float | None = None
    seed: int = 0


class Proposed(NamedTuple):
    """Pairs in random order, columns of (n,): what either image is, what is known of the pair, and how it was drawn."""

    rows: RowPairs
    similarity: Float32
    probability: Float32
    drawn: list[Drawn]
    chance: Float64


@dataclass(frozen=True)
class Proposal:
    """frame: how many pairs there are to draw from; near: how many of those proposed are nearest to the cut; before:
    labelled pairs among them. why: reasons for which pixels could not be compared."""

    pairs: Proposed
    frame: int
    near: int
    before: int
    why: tuple[str, ...]


class _Frame(NamedTuple):
    """All pairs, the band of similarity of each, and which have a verdict already."""

    rows: RowPairs
    similarity: Float32
    band: Int64
    names: list[str]
    known: NDArray[np.bool_]


def frame_name(sides: Sides, floor: float) -> str:
    """By what labels know the set that their strata are of, and from which similarity on."""
    return f"{digest_of(sides.digests)[:16]}@{floor:g}"


def floor_of_frame(name: str) -> float | None:
    """The similarity in a frame's name; None for what is none."""
    try:
        floor = float(name.partition("@")[2])
    except ValueError:
        return None
    return floor if 0 < floor < 1 else None


def propose(
    sides: Sides, searcher: Searcher, options: ProposeOptions, labels: Merged | None = None, progress: Progress = silent
) -> Proposal:
    """Choose pairs to be labelled. labels: what was labelled before, which stays in the proposal as a stratum of its
    own.

    Raises UsageError for impossible options, InconclusiveError where no pair reaches the floor. Memory: 16 bytes an
    image of either store, the frame, some 100 bytes a pair, and what comparing `POOL` pairs takes.
    """
    floor = _floor(sides, options)
    frame = _frame(sides, searcher, floor, labels, progress)
    if not len(frame.similarity):
        raise InconclusiveError(f"no two images reach a similarity of {floor:g}: there is no pair to label")
    rng, name = np.random.default_rng(options.seed), frame_name(sides, floor)
    earlier, rest = np.flatnonzero(frame.known), np.flatnonzero(~frame.known)
    pool = _pool(frame.band, rest, rng)
    share = _share(frame.band[rest], frame.band[pool])
    compared = sides.compare(sides.in_order(frame.rows.at(pool)), progress)
    strata = _strata(sides, frame, pool, compared, options.count)
    taken = _taken(strata, options.count - int(strata.near.sum()), rng)
    drawn, chance = _how_drawn(strata, taken, frame.band[pool], share, name)
    drawn += [Drawn(name, BEFORE, len(earlier))] * len(earlier)
    order = rng.permutation(len(drawn))
    chosen = np.concatenate([pool[taken], earlier])[order]
    probability = np.concatenate([compared.probability[taken], np.full(len(earlier), np.nan, np.float32)])[order]
    pairs = Proposed(
        sides.in_order(frame.rows.at(chosen)),
        frame.similarity[chosen],
        probability,
        [drawn[place] for place in order],
        np.concatenate([chance, np.ones(len(earlier))])[order],
    )
    return Proposal(pairs, len(frame.similarity), int(strata.near.sum()), len(earlier), compared.why)


def _floor(sides: Sides, options: ProposeOptions) -> float:
    if options.count < LEAST:
        raise UsageError(f"--count {options.count} is out of range: expected at least {LEAST}")
    encoder = sides.queries.encoder
    floor = options.match_from
    if floor is None:
        floor = (PAIR_FLOORS if sides.one_set else SEARCH_FLOORS).get(encoder.name)
    if floor is None:
        raise UsageError(f"encoder {encoder.name} has no measured floor for pixels: name one with --match-from")
    require_threshold(floor, "--match-from")
    if floor >= encoder.threshold:
        raise UsageError(f"--match-from {floor:g} must be below the encoder's threshold, {encoder.threshold:g}")
    return floor


def _frame(sides: Sides, searcher: Searcher, floor: float, labels: Merged | None, progress: Progress) -> _Frame:
    """Each pair once, in order. Images stand for their exact duplicates."""
    own = FileRows.of(sides.queries)
    others = own if sides.one_set else FileRows.of(sides.references)
    rows, similarity = nearest_files(sides, own, others, searcher, floor, progress)
    edges = _edges(floor, sides.queries.encoder.threshold)
    band = np.clip(np.searchsorted(edges, similarity, side="right") - 1, 0, len(edges) - 2)
    names = [f"similarity {low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    return _Frame(rows, similarity, band, names, _known(sides, rows, own, others, labels))


def _edges(floor: float, threshold: float) -> Float32:
    below, above = np.linspace(floor, threshold, _BELOW + 1), np.linspace(threshold, 1, _ABOVE + 1)
    return np.concatenate([below, above[1:]]).astype(np.float32)


def _known(sides: Sides, rows: RowPairs, own: FileRows, others: FileRows, labels: Merged | None) -> NDArray[np.bool_]:
    """Which pairs have a verdict already."""
    known = np.zeros(len(rows.query), bool)
    if labels is None or not labels.verdicts:
        return known
    files = {digest for pair in labels.verdicts for digest in pair}
    some = np.flatnonzero(own.are_of(rows.query, files) & others.are_of(rows.reference, files))
    digests = zip(*sides.numbers(rows.at(some)), strict=True)
    known[some] = [pair_of(str(one), str(other)) in labels.verdicts for one, other in digests]
    return known


def _pool(band: Int64, rest: Int64, rng: np.random.Generator) -> Int64:
    """The pairs whose pixels are compared: all, or of each band as many, and all of a small one."""
    if len(rest) <= POOL:
        return rest
    sizes = np.bincount(band[rest])
    quota = _shared(sizes, POOL)
    parts = [rng.choice(rest[band[rest] == number], count, replace=False) for number, count in enumerate(quota)]
    return np.sort(np.concatenate(parts))


def _shared(sizes: Int64, total: int) -> Int64:
    """So many of each that no two differ, but where there are fewer; `total` in all at most."""
    quota = np.zeros(len(sizes), np.int64)
    while (left := total - int(quota.sum())) > 0 and (open_ := np.flatnonzero(quota < sizes)).size:
        more = max(1, left // len(open_))
        for number in open_[:left]:
            quota[number] += min(more, int(sizes[number] - quota[number]))
    return quota


def _share(rest: Int64, pool: Int64) -> Float64:
    """For each band, how many pairs of the frame one of the pool stands for."""
    bands = int(max(rest.max(initial=0), pool.max(initial=0))) + 1
    return np.bincount(rest, minlength=bands) / np.maximum(1, np.bincount(pool, minlength=bands))


class _Strata(NamedTuple):
    """Of each pair of the pool: the number of its stratum, and whether it is among those nearest to the cut. names: of
    the strata."""

    number: Int64
    near: NDArray[np.bool_]
    names: list[str]


def _strata(sides: Sides, frame: _Frame, pool: Int64, compared: Compared, count: int) -> _Strata:
    """By similarity and probability; by similarity alone where there are too many for so few pairs."""
    probability = compared.probability
    near = np.zeros(len(pool), bool)
    near[np.argsort(_doubt(compared, sides.queries.encoder.threshold), kind="stable")[: count // 2]] = True
    told = [*_probability_bands(), "not compared", "nearest to the cut", "any probability"]
    likely = np.searchsorted(_LIKELY, probability, side="right")
    likely[np.isnan(probability)] = told.index("not compared")
    cells = np.unique(np.stack([frame.band[pool], likely])[:, ~near], axis=1)
    if _OF_EACH * cells.shape[1] > count - count // 2:
        likely[:] = told.index("any probability")
    likely[near] = told.index("nearest to the cut")
    keys, number = np.unique(np.stack([frame.band[pool], likely]), axis=1, return_inverse=True)
    names = [f"{frame.names[band]}, {told[kind]}" for band, kind in keys.T.tolist()]
    return _Strata(number.reshape(-1), near, names)


def _probability_bands() -> list[str]:
    ends = ["0", *(f"{end:.3g}" for end in _LIKELY), "1"]
    return [f"probability {low} to {high}" for low, high in pairwise(ends)]


def _doubt(compared: Compared, threshold: float) -> Float64:
    """How far each pair is from being decided the other way: by its log odds, or by similarity where no pixels were
    compared at all."""
    if np.isnan(compared.probability).all():
        return np.abs(compared.similarity.astype(np.float64) - threshold)
    odds = _odds(compared.probability.astype(np.float64))
    return np.nan_to_num(np.abs(odds - _odds(np.array(copy_model().cut))), nan=np.inf)


def _odds(probability: Float64) -> Float64:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def _taken(strata: _Strata, count: int, rng: np.random.Generator) -> Int64:
    """Places in the pool: all that are nearest to the cut, and `count` of the others, more of larger strata but not in
    proportion."""
    others = np.bincount(strata.number[~strata.near], minlength=len(strata.names))
    quota = _allotted(others, count)
    parts = [np.flatnonzero(strata.near)]
    for number, wanted in enumerate(quota.tolist()):
        parts.append(rng.choice(np.flatnonzero((strata.number == number) & ~strata.near), wanted, replace=False))
    return np.concatenate(parts).astype(np.int64)


def _allotted(sizes: Int64, count: int) -> Int64:
    """By the square roots of the sizes, at least `_OF_EACH` of each, never more than there are."""
    if sizes.sum() <= count:
        return sizes.astype(np.int64)
    quota = np.minimum(sizes, _OF_EACH)
    roots = np.sqrt(sizes)
    while (left := count - int(quota.sum())) > 0:
        room = quota < sizes
        wanted = np.where(room, roots * left / roots[room].sum(), 0)
        more = np.minimum(sizes - quota, np.floor(wanted).astype(np.int64))
        if not more.any():
            more[np.flatnonzero(room)[np.argsort(-wanted[room], kind="stable")[:left]]] = 1
        quota = quota + more
    return quota.astype(np.int64)


def _how_drawn(strata: _Strata, taken: Int64, band: Int64, share: Float64, frame: str) -> tuple[list[Drawn], Float64]:
    """The stratum of each pair taken, with how many of the frame's pairs it has, and how likely the pair was to be
    drawn."""
    sizes = np.bincount(strata.number, minlength=len(strata.names))
    drawn = np.bincount(strata.number[taken], minlength=len(strata.names))
    number = strata.number[taken]
    pairs = sizes[number] * share[band[taken]]
    told = [
        Drawn(frame, strata.names[n], round(float(size), 3)) for n, size in zip(number.tolist(), pairs, strict=True)
    ]
    return told, drawn[number] / pairs


def require_same_frame(sides: Sides, frame: str) -> None:
    """Raise InputError where labels were proposed of another set than this one."""
    if frame.partition("@")[0] != digest_of(sides.digests)[:16]:
        raise InputError(
            "the labels were proposed from other stores than these, or from another state of them: propose again, with "
            "--labels for what is labelled"
        )
