"""The generations beside the images of their prompts, one to one; a file is one, whatever it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.pairing import Prompted, lines_of, paired_rows
from memaudit.audit.results import Scores
from memaudit.matching.candidates import Candidates
from memaudit.similarity import exact
from memaudit.statistics import rate_by_unit
from memaudit.store import Store
from memaudit.types import Coverage, Float32, Int64, Rate, Status

_ROWS = 4096


class Paired(NamedTuple):
    """For each generation the training image of its prompt: its row (-1: none), its status (UNREADABLE: none), and its
    similarity (NaN: not measured). line: of the pairing, -1 for none: the pictures of a file share one. lines: that it
    has."""

    line: Int64
    lines: int
    rows: Int64
    status: NDArray[np.object_]
    similarity: Float32

    def any_of_line(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For each line of the pairing whether any of its rows is among these."""
        found = np.zeros(self.lines, bool)
        found[self.line[rows & (self.line >= 0)]] = True
        return found

    def candidates(self, floor: float) -> Candidates:
        """Candidates whatever the search says, however low their similarity to the whole."""
        query = np.flatnonzero(self.similarity >= np.float32(floor))
        return Candidates.whole(query, self.rows[query], self.similarity[query])


def compare_pairs(generations: Store, references: Store, pairing: Mapping[str, Prompted]) -> Paired:
    count = len(generations)
    line, rows = np.full((2, count), -1, np.int64)
    status = np.full(count, Status.UNREADABLE, dtype=object)
    similarity = np.full(count, np.nan, np.float32)
    if not pairing:  # the ids of the whole training set need not be read
        return Paired(line, 0, rows, status, similarity)
    line = lines_of(generations, pairing)
    rows = paired_rows(line, references, pairing)
    status[rows >= 0] = references.columns(rows[rows >= 0]).status
    for block in generations.blocks(_ROWS):
        wanted = status[block.rows] == Status.OK
        partner = references.embeddings(rows[block.rows[wanted]])
        similarity[block.rows[wanted]] = exact(block.embeddings[wanted], partner)
    return Paired(line, len(pairing), rows, status, similarity)


class Pairs(NamedTuple):
    """Of each line of the pairing, (lines,), what the generation that it names gave in all the pictures of its file:
    whether it was measured, whether the prompt's own image came back, whether only pixels could have told so and were
    not compared, and whether there was nothing to compare, one side being blank. line: of each row, -1 for none."""

    line: Int64
    measured: NDArray[np.bool_]
    returned: NDArray[np.bool_]
    unread: NDArray[np.bool_]
    blank: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Scores, paired: Paired) -> Pairs:
        """A pair was measured if the image came back, or if all could be compared that is not blank, on pixels as well
        where only these decide."""
        both = (scores.status == Status.OK) & (paired.status == Status.OK)
        returned = paired.any_of_line(scores.paired_match)
        unread = paired.any_of_line(scores.paired_unread) & ~returned
        lost = paired.any_of_line(scores.status == Status.UNREADABLE)
        drawn = paired.any_of_line((scores.status != Status.BLANK) & (paired.status != Status.BLANK))
        measured = returned | (paired.any_of_line(both) & ~unread & ~lost)
        return cls(paired.line, measured, returned, unread, paired.any_of_line(paired.rows >= 0) & ~drawn)


def of_rows(line: Int64, of_line: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For each row what is said of its line; False where there is none."""
    return np.append(of_line, np.zeros(1, bool))[line]


def paired_rate(pairs: Pairs, prompt: Int64) -> Rate:
    """Of the pairs whose image came back; one with a blank image is out of scope. prompt: the number of each row's."""
    of_line = np.zeros(len(pairs.measured), np.int64)
    of_line[pairs.line[pairs.line >= 0]] = prompt[pairs.line >= 0]
    measured = pairs.measured
    coverage = Coverage(int(measured.sum()), len(measured) - int(pairs.blank.sum()))
    return rate_by_unit(pairs.returned[measured], of_line[measured], coverage)
