"""Labels + the stores of their images → a calibration, or why there is none yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import memaudit
from memaudit.calibration.calibration import SCHEMA, Calibration, calibration_of
from memaudit.calibration.choosing import Choice, choose
from memaudit.calibration.curves import PROBABILITIES, SIMILARITIES, Goal, Labelled, Point, points_of
from memaudit.calibration.estimates import Ends, Ratio
from memaudit.calibration.proposing import floor_of_frame, require_same_frame
from memaudit.calibration.recalibration import Recalibrated, recalibrated
from memaudit.calibration.sides import Compared, RowPairs, Sides, first_rows
from memaudit.errors import InconclusiveError, UsageError
from memaudit.matching.identity import digest_of_model
from memaudit.matching.model import copy_model
from memaudit.matching.plan import PAIR_FLOORS, SEARCH_FLOORS
from memaudit.reviews import Merged, Pair, Verdict
from memaudit.types import Float64, Progress, silent


@dataclass(frozen=True)
class Used:
    """What became of the labelled pairs. unknown: a file of theirs is in no store; outside: in no stratum of the
    proposal, while others are; without_pixels: could not be compared on pixels; used: all others, and these.
    sampled: rates are those of the set that the proposal was drawn from, and not of the labelled pairs alone."""

    unknown: int
    outside: int
    without_pixels: int
    used: int
    sampled: bool
    strata: int


@dataclass(frozen=True)
class Fitted:
    """calibration: None where the goal is not shown; `reasons` say why, and what would show it. similarity,
    probability: curves, falling; the second beside nothing else."""

    calibration: Calibration | None
    reasons: tuple[str, ...]
    merged: Merged
    used: Used
    similarity: tuple[Point, ...]
    probability: tuple[Point, ...]
    point: Point | None
    recalibrated: Recalibrated
    why: tuple[str, ...]


def goal_of(precision: float | None, recall: float | None) -> Goal:
    """Raises UsageError unless one of the two is given, as a share that can be shown."""
    given = [(name, share) for name, share in (("precision", precision), ("recall", recall)) if share is not None]
    if len(given) != 1:
        raise UsageError("say what is to be shown: either --precision, say 0.99, or --recall")
    name, share = given[0]
    if not 0.5 <= share < 1:
        raise UsageError(
            f"--{name} {share:g} is out of range: expected at least 0.5 and below 1, which no sample shows"
        )
    return Goal(name, float(share))


def fit(sides: Sides, merged: Merged, goal: Goal, progress: Progress = silent) -> Fitted:
    """Hold the labels against what similarity and pixels say of their pairs, and choose by the goal.

    Raises InconclusiveError where no label is of use. Memory: as comparing the pairs takes.
    """
    found, unknown = _found(sides, merged)
    floor = _floor_of(sides, merged)
    pairs = [pair for pair in found if not merged.drawn or pair in merged.drawn]
    if not pairs:
        raise InconclusiveError(_of_no_use(sides, merged, len(found), unknown))
    rows = sides.in_order(RowPairs(*np.array([found[pair] for pair in pairs], np.int64).reshape(-1, 2).T))
    compared = sides.compare(rows, progress)
    labelled = _labelled(pairs, merged, compared)
    used = Used(
        unknown,
        len(found) - len(pairs),
        int(np.isnan(compared.probability).sum()),
        len(pairs),
        bool(merged.drawn),
        len({drawn.stratum for drawn in merged.drawn.values()}),
    )
    choice = choose(labelled, goal, sides.queries.encoder.threshold, floor)
    curve = recalibrated(labelled)
    reasons = tuple(filter(None, (_unlabelled(merged, pairs), choice.shortfall)))
    similarity = tuple(points_of(labelled, labelled.similarity, SIMILARITIES[::-1]))
    probability = tuple(points_of(labelled, labelled.probability, PROBABILITIES[::-1]))
    fitted = Fitted(None, reasons, merged, used, similarity, probability, choice.point, curve, compared.why)
    if reasons:
        return fitted
    content = _content(sides, fitted, goal, choice, floor)
    return replace(fitted, calibration=calibration_of(content))


def _floor_of(sides: Sides, merged: Merged) -> float | None:
    """From which similarity on the labelled pairs were sought: as proposed, else as the encoder's runs seek them."""
    frames = {drawn.frame for drawn in merged.drawn.values()}
    if not frames:
        return (PAIR_FLOORS if sides.one_set else SEARCH_FLOORS).get(sides.queries.encoder.name)
    frame = frames.pop()
    require_same_frame(sides, frame)
    return floor_of_frame(frame)


def _found(sides: Sides, merged: Merged) -> tuple[dict[Pair, tuple[int, int]], int]:
    """The rows of each labelled pair of two files, and of how many a file is in no store."""
    pairs = [pair for pair in merged.verdicts if not pair.of_one_file]
    wanted = {digest for pair in pairs for digest in pair}
    own, others = (first_rows(store, wanted) for store in (sides.queries, sides.references))
    found = dict[Pair, tuple[int, int]]()
    for pair in pairs:
        for one, other in (pair, pair[::-1]):
            if one in own and other in others:
                found[pair] = own[one], others[other]
                break
    return found, len(pairs) - len(found)


def _of_no_use(sides: Sides, merged: Merged, found: int, unknown: int) -> str:
    if not merged.verdicts:
        return "nobody has labelled a pair yet: write copy, not a copy or unsure into the column verdict"
    where = " and ".join(str(store.folder) for store in dict.fromkeys((sides.queries, sides.references)))
    if not found:
        return f"none of the {unknown:,} labelled pairs has both of its files in {where}"
    return f"none of the {found:,} labelled pairs is one of the proposal"


def _labelled(pairs: Sequence[Pair], merged: Merged, compared: Compared) -> Labelled:
    verdicts = [merged.verdicts[pair] for pair in pairs]
    _, place = np.unique(np.array(pairs), return_inverse=True)
    left, right = place.reshape(-1, 2).T
    return Labelled(
        compared.similarity,
        compared.probability,
        np.array([each == Verdict.COPY for each in verdicts], bool),
        np.array([each is None or each == Verdict.UNSURE for each in verdicts], bool),
        _weights(pairs, merged),
        Ends(left.astype(np.int64), right.astype(np.int64)),
    )


def _weights(pairs: Sequence[Pair], merged: Merged) -> Float64:
    """How many pairs of the set each stands for: those of its stratum, shared among its labelled ones. Who labels only
    a part of a proposal, which is in random order, draws a smaller sample of each stratum."""
    if not merged.drawn:
        return np.ones(len(pairs))
    strata = [merged.drawn[pair] for pair in pairs]
    labelled = Counter(each.stratum for each in strata)
    return np.array([each.pairs / labelled[each.stratum] for each in strata])


def _unlabelled(merged: Merged, pairs: Sequence[Pair]) -> str:
    """That of some strata nobody has labelled anything: what the set holds there is not known."""
    known = {merged.drawn[pair].stratum for pair in pairs} if merged.drawn else set()
    open_ = {each.stratum: each.pairs for each in merged.drawn.values() if each.stratum not in known}
    if not open_:
        return ""
    return (
        f"of {len(open_):,} strata of the proposal, with {sum(open_.values()):,.0f} pairs of the set, none is labelled "
        f"(such as {min(open_)}): label at least one pair of each"
    )


def _content(sides: Sides, fitted: Fitted, goal: Goal, choice: Choice, floor: float | None) -> dict[str, Any]:
    encoder = sides.queries.encoder
    curve, point = fitted.recalibrated.curve, choice.point
    if point is None:
        raise ValueError("a calibration without a point")
    sought = {"match_from": floor} if floor is not None and choice.cut is not None and fitted.used.sampled else {}
    return {
        "schema": SCHEMA,
        "memaudit": memaudit.__version__,
        "threshold": choice.threshold,
        **({"cut": choice.cut} if choice.cut is not None else {}),
        **sought,
        "own_cut": float(copy_model().cut),
        "model": digest_of_model(),
        "labels": sorted(fitted.merged.digests),
        "encoder": {
            "name": encoder.name,
            "weights_sha256": encoder.weights_sha256,
            "preprocessing": encoder.preprocessing,
            "dim": encoder.dim,
            "threshold": float(encoder.threshold),
        },
        "stores": sides.digests,
        "goal": {goal.name: goal.share, "confidence": 0.95},
        "found": {**_numbers(point), "worth": _rounded(point.precision.worth)},
        "counts": {**asdict(fitted.merged.counts), **asdict(fitted.used)},
        **({"recalibrated": dict(curve._asdict())} if curve else {}),
        "similarity": [{"at": each.at, **_numbers(each)} for each in fitted.similarity],
        "probability": [{"at": each.at, **_numbers(each)} for each in fitted.probability],
    }


def _numbers(point: Point) -> Mapping[str, float | int]:
    return {**_of("precision", point.precision), **_of("recall", point.recall), "pairs": point.precision.pairs}


def _of(name: str, ratio: Ratio) -> Mapping[str, float]:
    """Ends are rounded away from the middle. A share of nothing is left out."""
    if not ratio.pairs:
        return {}
    ends = {f"{name}_low": np.floor(ratio.low * 1e6) / 1e6, f"{name}_high": np.ceil(ratio.high * 1e6) / 1e6}
    return {name: _rounded(ratio.value), **{each: float(end) for each, end in ends.items()}}


def _rounded(value: float) -> float:
    return round(float(value), 6)
