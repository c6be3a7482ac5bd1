"""Re-drawn families of a training set: of what stays when copies have gone, what is drawn anew from another one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.dedup.closest import Closest
from memaudit.dedup.decisions import AtHand, Settled
from memaudit.dedup.groups import cover
from memaudit.dedup.results import RedrawnCleared
from memaudit.dedup.setup import Setup
from memaudit.encoders.encoder import Regions
from memaudit.matching.compare import Checks, check_pairs, files_of
from memaudit.matching.elsewhere import Kept, check_files_elsewhere
from memaudit.matching.kinds import Kind
from memaudit.matching.redrawn import LAID, SOURCE, Redrawn, redrawn_model, redrawn_pairs
from memaudit.matching.redrawn_elsewhere import redrawn_elsewhere
from memaudit.similarity import Pairs
from memaudit.types import Coverage, Float32, Int64, Progress

CLOSEST = 3  # of each image the most similar ones are looked at, as an audit does


class Cleared(NamedTuple):
    """Distinct images settled anew, and the pairs of positions of which one is the other drawn anew."""

    settled: Settled
    pairs: Pairs
    found: RedrawnCleared


def clear_redrawn(
    setup: Setup, at_hand: AtHand, rows: Int64, settled: Settled, rank: Int64, progress: Progress
) -> Cleared:
    """Of the distinct images `rows` that stay, drop those that another one that stays is drawn anew as; whoever had one
    of them for a witness gets its.

    rank: who is rather kept. Candidates are the `CLOSEST` most similar images of each, by exact search. Nothing joins
    what was ruled out. at_hand: has the embeddings of all of them. Memory: blocks, the pairs, and a bounded number of
    pictures.
    """
    place = np.searchsorted(rows, settled.witness)
    stay = np.flatnonzero(place == np.arange(len(rows)))
    family = np.searchsorted(stay, place)  # of each position, by its place among those that stay
    apart = np.unique(np.sort(family[setup.apart(rows)], axis=1), axis=0)
    candidates = _without(_candidates(setup, rows[stay], progress), apart, len(stay))
    pairs, probability, compared = _drawn_anew(setup, rows[stay], candidates, progress)
    covered = cover(len(stay), pairs, rank[stay], apart)
    goes = covered.witness[family] != family
    witness = np.where(goes, rows[stay[covered.witness[family]]], settled.witness)
    similarity, chain = settled.similarity.copy(), settled.chain.copy()
    similarity[goes] = chain[goes] = at_hand.similarities(rows[goes], witness[goes])
    kind = np.where(goes, Kind.REDRAWN, settled.kind)
    dropped = int((covered.witness != np.arange(len(stay))).sum())
    found = RedrawnCleared(
        len(stay),
        len(candidates.left),
        compared,
        len(pairs.left),
        dropped,
        setup.redrawn.floor or 0.0,
        redrawn_model().cut,
        SOURCE,
        probability,
    )
    here = Pairs(stay[pairs.left], stay[pairs.right], pairs.similarity)
    anew = Settled(witness, similarity, chain, settled.pixels & ~goes, settled.people & ~goes, kind)
    return Cleared(anew, here, found)


def _candidates(setup: Setup, rows: Int64, progress: Progress) -> Pairs:
    """Positions in `rows`, sorted, each pair once."""
    bounds = setup.redrawn.floor or 0.0, setup.threshold
    return Closest(setup.store, rows, CLOSEST, *bounds).pairs(setup.options.executor, progress)


def _without(pairs: Pairs, apart: Int64, size: int) -> Pairs:
    ruled_out = apart[:, 0] * size + apart[:, 1]
    return pairs.where(~np.isin(pairs.left.astype(np.int64) * size + pairs.right, ruled_out))


def _drawn_anew(setup: Setup, rows: Int64, pairs: Pairs, progress: Progress) -> tuple[Pairs, Float32, Coverage]:
    """Those of the pairs that are, how likely, and how many could be looked at. What pixels lay on another one is of
    its series, and not drawn anew."""
    regions = setup.redrawn.regions
    if regions is None or not len(pairs.left):
        return Pairs.none(), np.empty(0, np.float32), Coverage(0, len(pairs.left))
    comparison = _Comparison(setup, rows, progress)
    left, right = pairs.left.astype(np.int64), pairs.right.astype(np.int64)
    found = comparison.drawn_anew(left, right, regions)
    likely = np.flatnonzero(np.nan_to_num(found.probability, nan=-1.0) >= np.float32(redrawn_model().cut))
    checks = comparison.on_pixels(left[likely], right[likely])
    laid = checks.read & ~checks.copies & (checks.alike >= LAID)
    looked = likely[(pairs.similarity[likely] < np.float32(setup.plan.floor)) | ~laid]
    return pairs.where(looked), found.probability[looked], Coverage(int(found.read.sum()), len(found.read))


class _Comparison:
    """Pairs of positions in `rows`, whose files are compared by this process or by the executor's workers."""

    def __init__(self, setup: Setup, rows: Int64, progress: Progress) -> None:
        self._files, self._executor, self._progress = files_of(setup.store, rows), setup.options.executor, progress
        self._cut, kept = setup.plan.cut, setup.kept
        self._kept = Kept(kept.folder, rows) if kept else None

    def drawn_anew(self, left: Int64, right: Int64, regions: Regions) -> Redrawn:
        """regions: of the encoder, by which this process tells."""
        if self._executor is None:
            return redrawn_pairs(self._files, self._files, left, right, regions, self._progress)
        return redrawn_elsewhere(self._executor, self._files, left, right, self._kept, self._progress)

    def on_pixels(self, left: Int64, right: Int64) -> Checks:
        if self._executor is None:
            return check_pairs(self._files, self._files, left, right, self._progress, cut=self._cut)
        how = self._cut, self._kept, self._progress
        return check_files_elsewhere(self._executor, self._files, left, right, *how)


def redrawn_shortfall(found: RedrawnCleared | None, allowed: float) -> str:
    """Why this does not speak of the whole set: of a larger share than `allowed` a file could not be read."""
    if found is None or not found.compared.falls_short(allowed):
        return ""
    return (
        f"only {found.compared.measured:,} of {found.compared.total:,} pairs could be looked at for pictures drawn anew"
    )
