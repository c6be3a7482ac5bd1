"""Who stands for exact duplicates where the file of the one that is preferred is gone: nobody can train on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.store import Store
from memaudit.types import Int64


class StandIns(NamedTuple):
    """stands_for (n,): for each row the one that stands for it; in_doubt (n,): rows that stand for others, of which one
    may be there should their own file turn out to be gone."""

    stands_for: Int64
    in_doubt: NDArray[np.bool_]


def stand_ins(store: Store, with_file: NDArray[np.bool_], rank: Int64, stands_for: Int64) -> StandIns:
    """Where the file of a row that stands for others is gone, the first of these whose file is there stands for all
    instead, by `rank`; who does not say where it is (with_file) comes after them. Nothing changes where all are gone.

    Looked for are the files of those that stand for others, and where one is gone those of its duplicates: a `stat`
    each. Memory: 20 bytes a row.
    """
    in_doubt = np.bincount(stands_for, minlength=len(stands_for)) > 1
    asked = np.flatnonzero(in_doubt)
    gone = asked[store.are_lost(asked)]
    in_doubt[gone] = False
    members = np.flatnonzero(np.isin(stands_for, gone))
    there = members[~store.are_lost(members)]
    there = there[np.lexsort((rank[there], ~with_file[there], stands_for[there]))]
    before, first, count = np.unique(stands_for[there], return_index=True, return_counts=True)
    now = np.arange(len(stands_for))
    now[before] = there[first]
    in_doubt[there[first]] = count > 1
    return StandIns(now[stands_for], in_doubt)
