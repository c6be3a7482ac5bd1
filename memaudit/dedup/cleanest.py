"""Which image of a family is least altered, by what its pixels say.

An image's score is the logarithm of its pixels, less what its traces of alterations cost: so the order is total, and
not intransitive. The weights are in doublings of the pixels; docs/protocols/dedup.md says what they were chosen on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.described import Described
from memaudit.dedup.framed import framed
from memaudit.dedup.linked import linked
from memaudit.dedup.results import Cleanness, Decisions
from memaudit.dedup.tracing import GONE, traced
from memaudit.images.traces import DRAWN, THUMB, Traces
from memaudit.similarity import Pairs
from memaudit.tasks import Executor
from memaudit.types import Coverage, Float64, Int64, Progress

MOST_READ = 256  # images of a family that are read: of larger ones those with the most near-duplicates
_HIGH, _MIDDLE, _LOW = 2.0, 2.5, 3.0  # each factor of ten that the upper bands of the spectrum lack
_WIDE = 1.5  # each doubling of the width of edges, of drawings: the median image is as soft as `DRAWN` at most
_COARSE, _COMPRESSED, _AGAIN = 8.0, 0.8, 0.5  # each doubling of the quantisation beyond this step; a second one
_FRAMED, _FRAMED_AGAIN, _MOST_FRAMED = 0.8, 0.5, 4  # a first frame or strip; each further one; that count
_COLOURLESS = 1.0
_LOSSY = 0.5  # a quantisation at all
_AGREEING, _MOST_AGREEING = 0.8, 3  # each doubling of those that agree frame on frame; that count
_OVERLAID = 1.0  # something over it; its detail then counts no more than that of those that lack it
_STEP = 1 / 16  # of a score: smaller differences are none, and the larger image stays
_TOLD = 0.25  # of a score: what sets an image back by less is no reason
_AT_ONCE = 4096  # images, whose thumbnails take 4 MB
_REASONS = 3
PARTS = (
    "fewer pixels",
    "less detail for its size",
    "compressed harder",
    "saved again",
    "plain border, strip or corners",
    "no colour",
    "unlike the others",
    "something over it",
)
_DETAIL, _UNLIKE = PARTS.index("less detail for its size"), PARTS.index("unlike the others")


class Judged(NamedTuple):
    """rank (n,): the order of preference; parts (n, len(PARTS)) float64: what the score of each is the sum of, NaN for
    whom nothing was read. read, unread, left_out: images; why: reasons of the unread, the commonest. in_doubt: images
    that are gone and stand for others, of which one may be there."""

    rank: Int64
    parts: Float64
    read: int
    unread: int
    left_out: int
    why: tuple[str, ...]
    in_doubt: int = 0


def judge(
    columns: Described,
    pairs: Pairs,
    rank: Int64,
    progress: Progress,
    executor: Executor | None = None,
    in_doubt: NDArray[np.bool_] | None = None,
) -> Judged:
    """Order the images (n) whose pairs these are: the highest score first, then who could not be read, then whose file
    is gone; ties by `rank`. in_doubt (n,): see `StandIns`; of those who is gone is treated as if it were there.

    Read are those with a pair, each once. The result does not depend on the order of images and pairs. Memory: 24 bytes
    a pair, uri and sha256 of each file that is read, thumbnails of `_AT_ONCE` images and 20 bytes for each two of a
    family of these.
    """
    is_paired = np.zeros(len(rank), bool)
    is_paired[pairs.left] = is_paired[pairs.right] = True
    paired = np.flatnonzero(is_paired)
    family = linked(len(rank), pairs.left, pairs.right)
    chosen = _chosen(paired, family, pairs, rank)
    parts, unread = np.full((len(rank), len(PARTS)), np.nan), Counter[str]()
    gone = np.zeros(len(rank), bool)
    files = columns.at(chosen)
    traces = traced(files.uri, files.sha256, progress, executor)
    for low, high in pairwise(_whole_families(family[chosen])):
        found = list(islice(traces, high - low))
        unread.update(each for each in found if isinstance(each, str))
        gone[chosen[low:high]] = [isinstance(each, str) and each in GONE for each in found]
        parts[chosen[low:high]] = _parts(found, family[chosen[low:high]])
    doubts = np.zeros_like(gone) if in_doubt is None else gone & in_doubt
    gone &= ~doubts
    parts[_led_by_unread(parts, chosen[~gone[chosen]], family, rank)] = np.nan
    missing = unread.total()
    why = tuple(f"{reason}: {count:,}" for reason, count in unread.most_common(_REASONS))
    counts = len(chosen) - missing, missing, len(paired) - len(chosen)
    return Judged(_ranked(parts, gone, rank), parts, *counts, why, int(doubts.sum()))


def unjudged(rank: Int64, why: str) -> Judged:
    """By `rank` alone."""
    return Judged(rank, np.broadcast_to(np.nan, (len(rank), len(PARTS))), 0, 0, 0, (why,) if why else ())


def doubtful(judged: Judged, allowed: float) -> str:
    """Why it is not known what is left: of a larger share than `allowed` of those that were read, the file is gone, and
    an equal one may be there; "" where it is."""
    total = judged.read + judged.unread
    if not Coverage(total - judged.in_doubt, total).falls_short(allowed):
        return ""
    return (
        f"{judged.in_doubt:,} of {total:,} images with near-duplicates are gone, or others than were embedded, and "
        "stand for exact duplicates that may be there: embed the set anew"
    )


def cleanness(judged: Judged, rows: Int64, decisions: Decisions) -> Cleanness:
    """What a run tells of it. rows: those that were judged."""
    witness, group = decisions.witness, decisions.group
    place, read = np.full(len(witness), -1), np.zeros(len(witness), bool)
    place[rows], read[rows] = np.arange(len(rows)), ~np.isnan(judged.parts[:, 0])
    dropped = np.flatnonzero(read & (witness >= 0) & (witness != np.arange(len(witness))))
    dropped = dropped[read[witness[dropped]]]
    lost = judged.parts[place[witness[dropped]]] - judged.parts[place[dropped]]
    behind = np.full(len(witness), "", dtype=object)
    for number in np.flatnonzero((lost >= _TOLD).any(axis=1)).tolist():
        told = np.flatnonzero(lost[number] >= _TOLD)
        order = np.argsort(-lost[number][told], kind="stable")
        behind[dropped[number]] = ", ".join(PARTS[part] for part in told[order])
    kept = np.flatnonzero(witness == np.arange(len(witness)))
    kept = kept[np.bincount(group[group >= 0], minlength=len(witness))[group[kept]] > 1]
    blind = int((~read[kept]).sum())
    score = np.full(len(witness), np.nan, np.float32)
    score[rows] = judged.parts.sum(axis=1)
    return Cleanness(score, behind, judged.read, judged.unread, judged.left_out, len(kept) - blind, blind, judged.why)


def _chosen(paired: Int64, family: Int64, pairs: Pairs, rank: Int64) -> Int64:
    """Of each family `MOST_READ` images, those with the most pairs, ties by rank; family after family."""
    family = family[paired]
    degree = np.zeros(len(rank), np.int64)
    for ends in (pairs.left, pairs.right):
        degree += np.bincount(ends, minlength=len(rank))
    order = np.lexsort((rank[paired], -degree[paired], family))
    first = np.flatnonzero(np.diff(family[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return np.asarray(paired[order[place < MOST_READ]])


def _parts(found: Sequence[Traces | str], family: Int64) -> Float64:
    """(n, len(PARTS)) of images of whole families, which lie together; NaN for those without traces."""
    parts, thumbs = np.full((len(found), len(PARTS)), np.nan), np.zeros((len(found), THUMB, THUMB), np.float32)
    width, soft = np.full((2, len(found)), np.nan)
    for place, each in enumerate(found):
        if not isinstance(each, str):
            parts[place, :_UNLIKE] = _own_parts(each)
            width[place], soft[place], thumbs[place] = each.width, each.soft, each.thumb
    parts[:, _DETAIL] -= _WIDE * np.where(_is_drawn(soft, family), width, 0.0)
    alike = framed(thumbs, *_all_pairs(family))
    most = np.full(len(found), np.inf)
    most[alike.overlaid] = -np.inf
    np.maximum.at(most, alike.shown, parts[alike.lacking, _DETAIL])
    parts[:, _DETAIL] = np.minimum(parts[:, _DETAIL], most)
    parts[:, _UNLIKE] = _AGREEING * np.log2(1 + np.minimum(alike.agreeing, _MOST_AGREEING))
    parts[:, _UNLIKE + 1] = -_OVERLAID * alike.overlaid
    parts[np.isnan(width)] = np.nan
    return parts


def _led_by_unread(parts: Float64, chosen: Int64, family: Int64, rank: Int64) -> NDArray[np.bool_]:
    """(n,): images of families of whose `chosen` the first by `rank` should have been read and could not, though it is
    there: nothing that was read may take the place of what is perhaps the original."""
    order = chosen[np.lexsort((rank[chosen], family[chosen]))]
    first = order[np.flatnonzero(np.diff(family[order], prepend=-1))]
    return np.asarray(np.isin(family, family[first[np.isnan(parts[first, 0])]]))


def _own_parts(traces: Traces) -> tuple[float, ...]:
    return (
        float(np.log2(traces.pixels)),
        _HIGH * traces.high + _MIDDLE * traces.middle + _LOW * traces.low,
        -_COMPRESSED * max(0.0, float(np.log2(traces.step / _COARSE))) - _LOSSY * (traces.step > 1),
        -_AGAIN * traces.again,
        -_framed(traces.layers),
        -_COLOURLESS * (not traces.coloured),
    )


def _is_drawn(soft: Float64, family: Int64) -> NDArray[np.bool_]:
    """Whether each image (n,) is of a family of drawings: one answer for all of it, so that its scores compare. Only
    there does the width of edges tell of enlarging: a photograph has them as wide as its lens made them."""
    order = np.lexsort((soft, family))  # NaN, of those that could not be read, last
    order = order[~np.isnan(soft[order])]
    first = np.flatnonzero(np.diff(family[order], prepend=-1))
    count = np.diff(first, append=len(order))
    median = soft[order][first + (count - 1) // 2]
    drawn = family[order][first][median <= DRAWN]
    return np.asarray(np.isin(family, drawn))


def _framed(layers: int) -> float:
    return _FRAMED + _FRAMED_AGAIN * (min(layers, _MOST_FRAMED) - 1) if layers else 0.0


def _whole_families(family: Int64) -> list[int]:
    """Where runs of images (n) of whole families begin, of `_AT_ONCE` images and the rest of a family; and the end."""
    bounds = [0]
    for end in np.flatnonzero(np.diff(family, append=-1)) + 1:
        if end - bounds[-1] >= _AT_ONCE or end == len(family):
            bounds.append(int(end))
    return bounds


def _all_pairs(family: Int64) -> tuple[Int64, Int64]:
    """Both places of all pairs within families (n,), which lie together: whether two agree frame on frame does not hang
    on whether a search found them."""
    bounds = np.flatnonzero(np.diff(family, prepend=-1, append=-1)).tolist()
    found = [np.array(np.triu_indices(end - start, 1)) + start for start, end in pairwise(bounds)]
    one, other = np.concatenate(found, axis=1) if found else np.empty((2, 0), np.int64)
    return one, other


def _ranked(parts: Float64, gone: NDArray[np.bool_], rank: Int64) -> Int64:
    score = np.round(parts.sum(axis=1) / _STEP)
    order = np.lexsort((rank, -np.nan_to_num(score, nan=-np.inf), gone))
    result = np.empty(len(order), np.int64)
    result[order] = np.arange(len(order))
    return result
