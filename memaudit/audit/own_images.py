"""The matched design: are images given back to their own captions more often where the model has seen them?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.families import components, keys_of, one_of_both
from memaudit.audit.paired import Paired, compare_pairs, of_rows
from memaudit.audit.pairing import Prompted
from memaudit.audit.results import OwnImages
from memaudit.matching.candidates import Candidates
from memaudit.matching.decide import Decided, decide
from memaudit.matching.plan import MatchPlan
from memaudit.matching.search import Searched, StoredQueries
from memaudit.statistics import greater_rate_p, rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Status, silent


class Given(NamedTuple):
    """What was generated. prompt (rows,): the number of the prompt of each; pairing: of both sides."""

    store: Store
    prompt: Int64
    pairing: Mapping[str, Prompted]


class _Side(NamedTuple):
    """Of each prompt that could be measured, on pixels where only these decide: whether it gave its own image back, and
    that image's embedding. asked: how many prompts of this side there are."""

    returned: NDArray[np.bool_]
    images: Float32
    asked: int


def measure_own_images(given: Given, references: Store, control: Store, threshold: float, plan: MatchPlan) -> OwnImages:
    """Test "own image returned" between captions of the training set and held-out ones (Fisher, one-sided).

    Both sides go one way: a generation is held against the image of its prompt alone, as wholes, so that neither the
    size of the training set nor its windows speak for a side. Prompts of near-duplicates, on whichever side, count as
    one, and a random one of them stands for all.
    """
    sides = [
        _side(given, store, held_out, threshold, plan) for store, held_out in ((references, False), (control, True))
    ]
    images = np.concatenate([side.images for side in sides])
    returned = np.concatenate([side.returned for side in sides])
    is_held_out = np.arange(len(images)) >= len(sides[0].images)
    kept = one_of_both(components(images, threshold), keys_of(images), ~is_held_out)
    found = [returned[kept[is_held_out[kept] == side]] for side in (False, True)]
    rates = [
        rate_of(int(of_side.sum()), Coverage(len(of_side), len(of_side) + side.asked - len(side.returned)))
        for of_side, side in zip(found, sides, strict=True)
    ]
    counts = [number for of_side in found for number in (int(of_side.sum()), len(of_side))]
    p = greater_rate_p(*counts) if len(found[0]) and len(found[1]) else None
    return OwnImages(rates[0], rates[1], p, len(images) - len(kept))


def _side(given: Given, images: Store, held_out: bool, threshold: float, plan: MatchPlan) -> _Side:
    pairing = {name: each for name, each in given.pairing.items() if each.held_out == held_out}
    paired = compare_pairs(given.store, images, pairing)
    decided = _decided(given.store, images, paired, threshold, plan)
    returned, undecided = np.zeros((2, len(given.prompt)), bool)
    returned[decided.matched()], undecided[decided.undecided()] = True, True
    lost = paired.any_of_line(undecided | _unreadable(given.store)) & ~paired.any_of_line(returned)
    measured = np.flatnonzero(~np.isnan(paired.similarity) & ~of_rows(paired.line, lost))
    prompts, first, place = np.unique(given.prompt[measured], return_index=True, return_inverse=True)
    any_of = np.zeros(len(prompts), bool)
    np.logical_or.at(any_of, place, returned[measured])
    asked = len({each.prompt or each.reference_id for each in pairing.values()})
    return _Side(any_of, images.embeddings(paired.rows[measured[first]]), max(asked, len(prompts)))


def _unreadable(generations: Store) -> NDArray[np.bool_]:
    """Which pictures could not be read: any frame of a film may have been its prompt's image."""
    read = generations.iter_columns(only=["status"])
    return np.concatenate([np.empty(0, bool), *(columns.status == Status.UNREADABLE for columns in read)])


def _decided(generations: Store, images: Store, paired: Paired, threshold: float, plan: MatchPlan) -> Decided:
    """Which generations are copies of the image of their prompt, of which alone this is asked."""
    candidates = paired.candidates(plan.prompts_floor if plan.on_pixels else threshold)
    none, nothing = np.empty(0, np.int64), Candidates.joined([])
    searched = Searched(none, np.empty(0, np.float32), none, nothing, candidates, nothing)
    return decide(searched, StoredQueries(generations), images, threshold, plan, silent)
