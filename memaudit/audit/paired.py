"""The generations beside the images of their prompts, one to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.pairing import Prompted, paired_rows
from memaudit.audit.results import Scores
from memaudit.matching.candidates import Candidates
from memaudit.similarity import exact
from memaudit.statistics import rate_by_unit
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Rate, Status

_ROWS = 4096


class Paired(NamedTuple):
    """For each generation the training image of its prompt: its row (-1: none), its status (UNREADABLE: none), and its
    similarity (NaN: not measured)."""

    rows: Int64
    status: NDArray[np.object_]
    similarity: Float32

    def candidates(self, floor: float) -> Candidates:
        """Candidates whatever the search says, however low their similarity to the whole."""
        query = np.flatnonzero(self.similarity >= np.float32(floor))
        return Candidates.whole(query, self.rows[query], self.similarity[query])


def compare_pairs(generations: Store, references: Store, pairing: Mapping[str, Prompted]) -> Paired:
    count = len(generations)
    rows = np.full(count, -1, np.int64)
    status = np.full(count, Status.UNREADABLE, dtype=object)
    similarity = np.full(count, np.nan, np.float32)
    if not pairing:  # the ids of the whole training set need not be read
        return Paired(rows, status, similarity)
    rows = paired_rows(generations, references, pairing)
    status[rows >= 0] = references.columns(rows[rows >= 0]).status
    for block in generations.blocks(_ROWS):
        wanted = status[block.rows] == Status.OK
        partner = references.embeddings(rows[block.rows[wanted]])
        similarity[block.rows[wanted]] = exact(block.embeddings[wanted], partner)
    return Paired(rows, status, similarity)


def paired_rate(scores: Scores, paired: Paired, prompt: Int64, pairs: int) -> Rate:
    """A pair is measured if both images could be compared, on pixels as well where only these decide; one with a blank
    image is out of scope.

    prompt: the number of each row's prompt.
    """
    status = scores.status
    measured = (status == Status.OK) & (paired.status == Status.OK) & ~scores.paired_unread
    blank = int(((paired.rows >= 0) & ((status == Status.BLANK) | (paired.status == Status.BLANK))).sum())
    return rate_by_unit(scores.paired_match[measured], prompt[measured], Coverage(int(measured.sum()), pairs - blank))
