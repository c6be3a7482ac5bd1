"""What a dedup report shows as pictures: groups, pairs near the threshold, images of the other set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.results import Decision, Decisions, DedupResult, Elsewhere
from memaudit.report.dedup_tables import group_sizes
from memaudit.report.model import Group, Member, NearThreshold, ShownPair, Side, file_digest
from memaudit.report.pictures import Pictures, files_of
from memaudit.report.tables import rank_of
from memaudit.store import Columns, Store
from memaudit.types import Float32, Int64

GROUPS_SHOWN = 50
MEMBERS_SHOWN = 12
PAIRS_SHOWN = 50
ELSEWHERE_SHOWN = 24
_AT_ONCE = 2**20  # pairs
BAND = 0.1  # of the way from the threshold to 1: pairs this near above it are drawn from


def largest_groups(result: DedupResult, store: Store, pictures: Pictures) -> list[Group]:
    """The largest groups, of equal size the first. What is shown of all of them is read from the store at once."""
    sizes = group_sizes(result)
    largest = [int(g) for g in np.argsort(-sizes, kind="stable")[:GROUPS_SHOWN] if sizes[g] > 1]
    by_group = np.argsort(result.decisions.group, kind="stable")
    bounds = np.searchsorted(
        result.decisions.group, np.array([largest, np.add(largest, 1)], np.int64), sorter=by_group
    ).T
    rows = [_kept_first(result.decisions, by_group[slice(*ends)]) for ends in bounds]
    shown = np.concatenate([np.empty(0, np.int64), *(each[:MEMBERS_SHOWN] for each in rows)])
    columns = store.columns(shown)
    members = iter(_members(result, shown, columns, files_of(store, columns), pictures))
    return [
        Group(
            group=number,
            size=len(each),
            smallest_similarity=_rounded(result.decisions.similarity[each].min()),
            chain_similarity=_rounded(result.decisions.chain[each].min()),
            members=list(islice(members, min(len(each), MEMBERS_SHOWN))),
        )
        for number, each in zip(largest, rows, strict=True)
    ]


def _kept_first(decisions: Decisions, rows: Int64) -> Int64:
    """The rows of a group: the kept image first, then the dropped ones by falling similarity to it."""
    is_dropped = decisions.decision[rows] == Decision.DROP
    return rows[np.lexsort((rank_of(decisions.image_id[rows]), -decisions.similarity[rows], is_dropped))]


def _members(
    result: DedupResult, rows: Int64, columns: Columns, files: list[str], pictures: Pictures
) -> Iterator[Member]:
    decisions = result.decisions
    for i, row in enumerate(rows.tolist()):
        yield Member(
            image_id=columns.image_id[i],
            sha256=file_digest(files[i]),
            caption=columns.caption[i],
            decision=str(decisions.decision[row]),
            reason=str(decisions.reason[row]),
            behind=str(result.cleanness.behind[row]) if result.cleanness else "",
            similarity=_rounded(decisions.similarity[row]),
            chain_similarity=_rounded(decisions.chain[row]),
            picture=pictures.add(f"image-{row}", columns.uri[i], files[i], columns.image_id[i]),
        )


def near_threshold(result: DedupResult, store: Store, pictures: Pictures) -> NearThreshold:
    """Random pairs from just above the threshold: whoever judges the threshold has to look at these."""
    similarity, top = result.pairs.similarity, result.threshold + BAND * (1 - result.threshold)
    above = ~result.pairs.exact & (similarity >= np.float32(result.threshold))
    near = np.flatnonzero(above & (similarity < np.float32(top)))
    in_band = len(near)
    if in_band < PAIRS_SHOWN:  # those nearest above the threshold
        near = np.flatnonzero(above & (similarity <= _lowest(similarity, above, PAIRS_SHOWN)))
    return NearThreshold(
        low=result.threshold, high=top, pairs_in_band=in_band, pairs=_shown(result, near, store, pictures)
    )


def _lowest(values: Float32, chosen: NDArray[np.bool_], count: int) -> np.float32:
    """The `count`-th lowest of the chosen values, or the highest where they are fewer; -1 of none. Memory: a block."""
    lowest = np.empty(0, np.float32)
    for low in range(0, len(values), _AT_ONCE):
        part = slice(low, low + _AT_ONCE)
        lowest = np.sort(np.concatenate([lowest, values[part][chosen[part]]]))[:count]
    return np.float32(lowest.max(initial=-1))


def by_pixels(result: DedupResult, store: Store, pictures: Pictures) -> list[ShownPair]:
    """Random pairs from below the threshold that were confirmed on pixels."""
    shown = np.flatnonzero(result.pairs.on_pixels(result.threshold))
    return _shown(result, shown, store, pictures, dict(zip(shown.tolist(), result.probability.tolist(), strict=True)))


def drawn_anew(result: DedupResult, store: Store, pictures: Pictures) -> list[ShownPair]:
    """Random pairs of which one is the other drawn anew."""
    if result.redrawn is None:
        return []
    shown = np.flatnonzero(result.pairs.redrawn)
    likely = result.redrawn.probability.tolist()
    return _shown(result, shown, store, pictures, dict(zip(shown.tolist(), likely, strict=True)))


def refused(result: DedupResult, store: Store, pictures: Pictures) -> list[ShownPair]:
    """The most similar pairs below the threshold that are none by their pixels."""
    rows, similarity = result.refused
    sides = [_side(store, pictures, "image", side) for side in rows.T]
    return [ShownPair(similarity=_rounded(similarity[i]), sides=[side[i] for side in sides]) for i in range(len(rows))]


def _shown(
    result: DedupResult, pairs: Int64, store: Store, pictures: Pictures, probability: Mapping[int, float] | None = None
) -> list[ShownPair]:
    chosen = _drawn(result, pairs)
    rows = np.stack([result.pairs.left[chosen], result.pairs.right[chosen]]).astype(np.int64)
    sides = [_side(store, pictures, "image", side) for side in rows]
    return [
        ShownPair(
            similarity=_rounded(result.pairs.similarity[index]),
            probability=(probability or {}).get(index),
            sides=[side[i] for side in sides],
        )
        for i, index in enumerate(chosen.tolist())
    ]


def _drawn(result: DedupResult, near: Int64) -> Int64:
    """At most `PAIRS_SHOWN` of the pairs `near`, by similarity.

    Drawn by the run's seed from the pairs in the order of their ids, so that rows in another order give the same ones.
    """
    pairs, ids = result.pairs, result.decisions.image_id
    if len(near) > PAIRS_SHOWN:
        rank = rank_of(ids)
        lot = _lots(rank[pairs.left[near]], rank[pairs.right[near]], len(ids), result.seed)
        near = near[np.argpartition(lot, PAIRS_SHOWN)[:PAIRS_SHOWN]]
    names = [sorted((ids[pairs.left[index]], ids[pairs.right[index]])) for index in near]
    order = sorted(range(len(near)), key=lambda place: (pairs.similarity[near[place]], names[place]))
    return np.asarray(near[np.array(order, dtype=np.int64)], dtype=np.int64)


def _lots(left: Int64, right: Int64, size: int, seed: int) -> NDArray[np.uint64]:
    """A number for each pair of places, as if drawn at random, that follows from them and the seed (splitmix64)."""
    lot = (np.minimum(left, right) * size + np.maximum(left, right)).astype(np.uint64) + np.uint64(
        (seed + 1) * 0x9E3779B97F4A7C15 % 2**64
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        lot = (lot ^ (lot >> np.uint64(shift))) * np.uint64(factor)
    return lot ^ (lot >> np.uint64(31))


def most_similar_elsewhere(
    found: Elsewhere, store: Store, other: Store, ids: NDArray[np.object_], pictures: Pictures
) -> list[ShownPair]:
    """The images that the other set has: the most similar first, but same files last, where there is least to see."""
    order = np.lexsort((rank_of(ids[found.row]), -found.similarity, found.same_file))[:ELSEWHERE_SHOWN]
    own = _side(store, pictures, "image", found.row[order])
    others = _side(other, pictures, "other", found.other[order])
    return [
        ShownPair(
            similarity=_rounded(found.similarity[index]),
            same_file=bool(found.same_file[index]),
            sides=[own[i], others[i]],
        )
        for i, index in enumerate(order.tolist())
    ]


def _side(store: Store, pictures: Pictures, name: str, rows: Int64) -> list[Side]:
    columns = store.columns(rows)
    files = files_of(store, columns)
    return [
        Side(
            image_id=columns.image_id[i],
            sha256=file_digest(files[i]),
            picture=pictures.add(f"{name}-{row}", columns.uri[i], files[i], columns.image_id[i]),
        )
        for i, row in enumerate(rows.tolist())
    ]


def _rounded(similarity: np.float32) -> float:
    return round(float(similarity), 4)
