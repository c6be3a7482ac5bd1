"""Held-out images: how often would a training image match by chance?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.discoveries import discoveries
from memaudit.audit.families import (
    Families,
    UInt64,
    components_of_rows,
    families_among_others,
    families_of,
    keys_of,
    keys_of_rows,
    known_references,
    thinned,
    units_of,
)
from memaudit.audit.repeats import draw_of_rows, files_of, picture_digests
from memaudit.audit.results import Control, Redrawn, RedrawnControl, Scores
from memaudit.index import Searcher
from memaudit.matching.results import RedrawnPairs
from memaudit.matching.search import Searched
from memaudit.similarity import top_k
from memaudit.statistics import greater_rate_p, least_relabelling_p, rate_by_unit, rate_of, relabelling_p
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Status

MIN_CONTROLS = 100  # docs/protocols/audit.md: with fewer the test cannot speak, and says so
PERMUTATIONS = 9999
_QUERY_ROWS = 4096
_SEARCHED_AGAIN = 10_000_000  # rows x neighbours of a search for all matches of held-out images: bounds its memory


class Generated(NamedTuple):
    """The generations. distinct (rows,): those that are pictures of their own; undecided (rows,): of which nobody knows
    whether they are regurgitated; prompt (rows,): the number of each one's prompt."""

    store: Store
    scores: Scores
    distinct: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    prompt: Int64


class HeldOut(NamedTuple):
    """Held-out images after they went the way of generations: what their search gave, the rows of those that would
    count as regurgitated, of those that have a match of any kind, and of those of which nothing is known. redrawn:
    their pairs that were looked at for pictures drawn anew; made_redrawn: what these gave of the generations; None
    where that was not looked for. group: of each training image in a dedup run, -1 for none: those of one are
    near-duplicates, whatever their embeddings say."""

    searched: Searched
    alike: Int64
    matched: Int64
    undecided: Int64
    group: Int64 | None = None
    redrawn: RedrawnPairs | None = None
    made_redrawn: Redrawn | None = None


def measure_control(
    control: Store, references: Searcher, made: Generated, threshold: float, held_out: HeldOut
) -> tuple[Control, RedrawnControl | None]:
    """Compare the generations' matches with what held-out images give, and those that are re-drawn by themselves.

    A held-out image is called regurgitated as a generation is, or the rates would not be of one thing, and what could
    not be decided of either stands in neither; which of them are usable is asked more strictly: those that reach the
    threshold are not, though pixels tell them apart. Of the held-out images only those that reach it are searched
    again, for all of theirs. A held-out picture that stands there several times counts once, and so does a file of
    several, a film or a sheet, with the nearest of them: it is one observation of chance. Near-duplicates, on whichever
    side they lie, are one observation in every test, and so are generations that are linked (docs/protocols/audit.md).
    Blank images are not compared, so they are no control.
    """
    draws = _draws(control)
    own = draws.own
    across = _across(control, draws, references, held_out.searched, threshold)
    near = _nearest(made.store, control, draws.of_row, made.scores, threshold)
    rows = np.flatnonzero(made.distinct)
    joined = _joined(near, rows, references, control, draws, across.references, threshold, held_out.group)
    alike, matched = (np.unique(draws.of_row[found]) for found in (held_out.alike, held_out.matched))
    known = np.isin(own, np.setdiff1d(draws.of_row[held_out.undecided], alike), invert=True)
    near_training = known & np.isin(own, np.union1d(across.controls, matched))
    usable = known & ~near_training
    apart = len(np.unique(joined.held_out[usable]))
    why = _too_few(int(usable.sum()), apart)
    weights, sides = joined.families.returned, joined.families.sides
    chance = None
    if not why:
        decided = np.flatnonzero(made.distinct & ~made.undecided)
        of_made = _Made.of(made, decided, made.scores.regurgitated)
        chance = _Chance.of(joined.only(known), of_made, own[known], alike, threshold)
    found = Control(
        matched=rate_of(len(alike), Coverage(int(known.sum()), len(own) + draws.unreadable)),
        excluded_controls=int(near_training.sum()),
        excluded_references=len(across.references),
        nearer_training=int((near.training[rows] >= 0).sum()),
        nearer_control=int((near.held_out[rows] >= 0).sum()),
        relabelling_p=None if why else relabelling_p(*weights, *sides, permutations=PERMUTATIONS, seed=0),
        greater_rate_p=chance and chance.greater_rate_p,
        best_similarity=across.best,
        why_no_p=why,
        groups=len(weights[0]),
        least_p=None if why else least_relabelling_p(len(weights[0]), *sides),
        discoveries=chance and discoveries(made.scores, chance.generations, across.best[known][chance.controls]),
        duplicates=draws.files - len(own),
        parts=control.comparable - draws.files,
        families=apart,
    )
    pairs, redrawn = held_out.redrawn, held_out.made_redrawn
    if pairs is None or redrawn is None:
        return found, None
    side = _Side(joined, draws, own, np.isin(own, matched, invert=True))
    return found, _of_redrawn(redrawn, pairs, side, made, threshold)


class _Side(NamedTuple):
    """The held-out side. own: rows that stand for the draws; usable (own,): those without a match, of which alone, as
    of generations, it is asked whether they are re-drawn."""

    joined: _Joined
    draws: _Draws
    own: Int64
    usable: NDArray[np.bool_]


def _of_redrawn(
    redrawn: Redrawn, pairs: RedrawnPairs, side: _Side, generated: Generated, threshold: float
) -> RedrawnControl:
    """The same for re-drawn pictures. Of a held-out image whose pairs could not be read nothing is known."""
    alike = np.unique(side.draws.of_row[pairs.matches().query])
    unknown = np.setdiff1d(side.draws.of_row[pairs.undecided()], alike)
    known = side.usable & ~np.isin(side.own, unknown)
    joined, own = side.joined.only(known), side.own[known]
    coverage = Coverage(len(own), int(side.usable.sum()) + side.draws.unreadable)
    matched = rate_by_unit(np.isin(own, alike), joined.held_out, coverage)
    why = _too_few(len(own), len(np.unique(joined.held_out)))
    if why:
        return RedrawnControl(matched, None, why)
    rows = np.flatnonzero(redrawn.distinct & ~redrawn.undecided)
    made = _Made.of(generated, rows, redrawn.found)
    return RedrawnControl(matched, _Chance.of(joined, made, own, alike, threshold).greater_rate_p, "")


def _too_few(usable: int, families: int) -> str:
    """Why no p is given; nothing where there are enough."""
    if usable < MIN_CONTROLS:
        return f"{usable} usable held-out images, at least {MIN_CONTROLS} are needed"
    if families < MIN_CONTROLS:
        return f"{usable} usable held-out images are of {families} families, at least {MIN_CONTROLS} are needed"
    return ""


class _Chance(NamedTuple):
    """One of each: of the generations, those that stand for their unit, as a mask of rows; of the held-out draws, the
    places of those that stand for their family; and Fisher's p of the rate among these against that among those."""

    generations: NDArray[np.bool_]
    controls: Int64
    greater_rate_p: float

    @classmethod
    def of(cls, joined: _Joined, made: _Made, own: Int64, alike: Int64, threshold: float) -> _Chance:
        near_duplicates = components_of_rows(made.store, made.rows, threshold)
        unit = units_of(near_duplicates, made.prompt, joined.family[made.rows])
        keys = keys_of_rows(made.store, made.rows)
        generations, controls, rated = thinned(unit, keys, joined.held_out, joined.key)
        chosen = np.zeros(len(joined.family), bool)
        chosen[made.rows[generations]] = True
        found, by_chance = made.found[generations[:rated]], np.isin(own[controls], alike)
        p = greater_rate_p(int(found.sum()), len(found), int(by_chance.sum()), len(by_chance))
        return cls(chosen, controls, p)


class _Made(NamedTuple):
    """The generations that are pictures of their own: their rows in a store, prompts, and whether they are
    regurgitated."""

    store: Store
    rows: Int64
    prompt: Int64
    found: NDArray[np.bool_]

    @classmethod
    def of(cls, made: Generated, rows: Int64, found: NDArray[np.bool_]) -> _Made:
        """found: of all rows of the generations."""
        return cls(made.store, rows, made.prompt[rows], found[rows])


class _Draws(NamedTuple):
    """of_row: for each row that which stands for its draw, -1 without a picture. copies: for each row the files of the
    draw that it stands for. files: that have a picture; unreadable: that have none, and a row that could not be
    read."""

    of_row: Int64
    copies: Int64
    files: int
    unreadable: int

    @property
    def own(self) -> Int64:
        """The rows that stand for a draw."""
        return np.flatnonzero(self.of_row == np.arange(len(self.of_row)))


def _draws(control: Store) -> _Draws:
    columns = control.all_columns()
    pictures, files = picture_digests(control, columns), files_of(columns.image_id)
    of_row, rows = draw_of_rows(pictures, files), np.flatnonzero(pictures != "")
    readable, first = np.unique(files[rows], return_index=True)
    copies = np.bincount(of_row[rows[first]], minlength=len(of_row))
    lost = np.setdiff1d(files[columns.status == Status.UNREADABLE], readable)
    return _Draws(of_row, copies, len(readable), len(lost))


class _Across(NamedTuple):
    """Control rows, and reference rows, that form near-duplicate pairs across the split, and each control's best; of
    the controls the row that stands for the draw."""

    controls: Int64
    references: Int64
    best: Float32


def _across(control: Store, draws: _Draws, references: Searcher, found: Searched, threshold: float) -> _Across:
    matching = np.flatnonzero((found.above > 0) & (draws.of_row >= 0))
    most = int(found.above[matching].max(initial=1))
    near = [np.empty(0, np.int64)]
    step = max(1, _SEARCHED_AGAIN // most)
    for low in range(0, len(matching), step):
        again = references.search(control.embeddings(matching[low : low + step]), most, threshold)
        near.append(np.unique(again.rows[again.similarity >= np.float32(threshold)]))
    best = np.full(len(draws.of_row), -np.inf, np.float32)
    own = draws.of_row >= 0
    np.maximum.at(best, draws.of_row[own], np.nan_to_num(found.best_similarity[own], nan=-np.inf))
    return _Across(
        np.unique(draws.of_row[matching]), np.unique(np.concatenate(near)), best[draws.of_row == np.arange(len(best))]
    )


class _Nearest(NamedTuple):
    """For each row of the generations the image nearest to it, of those at near-duplicate scale: the row of a training
    image, or that of a held-out image which stands for its draw; -1 where there is none."""

    training: Int64
    held_out: Int64


def _nearest(generations: Store, control: Store, draws: Int64, scores: Scores, threshold: float) -> _Nearest:
    held_out = _nearest_control(generations, control, scores, threshold)
    training = np.where((held_out < 0) & (scores.above > 0), scores.best, -1)
    return _Nearest(training, np.where(held_out >= 0, draws[held_out], -1))


def _nearest_control(generations: Store, control: Store, scores: Scores, threshold: float) -> Int64:
    """For each generation the row of the held-out image that is at near-duplicate scale and at least as near as any
    training image (ties speak for the model); -1 where there is none."""
    result = np.full(len(generations), -1, np.int64)
    for block in generations.blocks(_QUERY_ROWS):
        near = top_k(block.embeddings, control.blocks(), 1, threshold)
        best = np.nan_to_num(scores.best_similarity[block.rows], nan=-np.inf)
        nearer = (near.above > 0) & (near.similarity[:, 0] >= best)
        result[block.rows[nearer]] = near.rows[nearer, 0]
    return result


class _Joined(NamedTuple):
    """Families of both sides. family (rows,): of the image nearest to each generation, -1 where there is none;
    held_out, key: that of each of the control's draws, and by what they are drawn."""

    families: Families
    family: Int64
    held_out: Int64
    key: UInt64

    def only(self, draws: NDArray[np.bool_]) -> _Joined:
        """With some of the control's draws."""
        return self._replace(held_out=self.held_out[draws], key=self.key[draws])


def _joined(
    near: _Nearest,
    counted: Int64,
    references: Searcher,
    control: Store,
    draws: _Draws,
    across: Int64,
    threshold: float,
    group: Int64 | None,
) -> _Joined:
    """counted: rows of the generations that are draws of their own; draws: the held-out ones. The frames of a film
    carry one label between them, that of the one which came first.

    Memory: the embeddings of the held-out draws and of up to WHOLE training images, or of those that came back.
    """
    hits, own = np.unique(near.training[near.training >= 0]), draws.own
    rows = known_references(references, hits, across, threshold, group)
    vectors = np.concatenate([references.store.embeddings(rows), control.embeddings(own)])
    place = np.full(len(near.training), -1, np.int64)
    training, held_out = near.training >= 0, near.held_out >= 0
    place[training] = np.searchsorted(rows, near.training[training])
    place[held_out] = len(rows) + np.searchsorted(own, near.held_out[held_out])
    weights = np.bincount(place[counted][place[counted] >= 0], minlength=len(vectors))
    others = families_among_others(references, rows, threshold, group)
    joins = None if group is None else np.r_[group[rows], np.full(len(own), -1, np.int64)]
    copies = np.r_[np.ones(len(rows), np.int64), draws.copies[own]]
    families = families_of(vectors, np.arange(len(vectors)) < len(rows), weights, threshold, others, joins, copies)
    return _Joined(
        families,
        np.where(place >= 0, families.label[place], -1),
        families.label[len(rows) :],
        keys_of(vectors[len(rows) :]),
    )
