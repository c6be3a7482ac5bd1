"""Generations that are training images drawn anew: rates of their own, beside those of copies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.by_prompt import Asked, by_prompt
from memaudit.audit.repeats import Digests, draws_of, one_of_each, one_of_each_file, undecided_draws
from memaudit.audit.results import NearestHeldOut, Redrawn
from memaudit.matching.redrawn import RECALL, SOURCE, redrawn_model
from memaudit.matching.results import RedrawnPairs
from memaudit.similarity import top_k
from memaudit.statistics import rate_by_unit
from memaudit.store import Columns, Store
from memaudit.types import Coverage, Int64, Status


class Drawn(NamedTuple):
    """The generations. files: for each row that of its file; copies (rows,): that repeat a training image; lost: how
    many are known of, and have no row."""

    columns: Columns
    files: Int64
    pictures: Digests
    copies: NDArray[np.bool_]
    lost: int


def measure_redrawn(pairs: RedrawnPairs, floor: float, made: Drawn, asked: Asked) -> Redrawn:
    """Rates of generations and of prompts, counted as those of copies are: a file is one draw, and so is a picture that
    is saved again, unless it is a finding.

    A file with a copy is one of copies, whatever else is in it. Of a generation whose pairs could not be read, and of
    which none is re-drawn, nothing is known: it was not measured.
    """
    pairs = pairs.picked(~np.isin(made.files[pairs.query], made.files[made.copies]))
    findings = pairs.matches()
    found, unread = np.zeros(len(made.files), bool), np.zeros(len(made.files), bool)
    found[findings.query] = True
    unread[pairs.undecided()] = True
    draws = one_of_each_file(made.pictures, made.copies | found, made.files)
    undecided = undecided_draws(draws, unread, made.copies | found, made.files)
    drawn = draws_of(draws, made.copies | found)
    counted = drawn & ~undecided
    measured = int(counted.sum())
    unmeasured = int((drawn & undecided).sum() + (made.columns.status == Status.UNREADABLE).sum()) + made.lost
    # Of a prompt that has no other generation nothing is known either
    known = made.columns._replace(status=np.where(undecided, Status.UNREADABLE, made.columns.status))
    return Redrawn(
        floor=floor,
        cut=redrawn_model().cut,
        source=SOURCE,
        recall=RECALL,
        pairs=pairs,
        findings=findings,
        found=found,
        undecided=undecided,
        counted=counted,
        distinct=one_of_each(draws, made.copies | found),
        searched=rate_by_unit(found[counted], asked.prompt[counted], Coverage(measured, measured + unmeasured)),
        by_prompt=by_prompt(asked, known, counted, found),
    )


def nearest_held_out(redrawn: Redrawn, generations: Store, control: Store) -> NearestHeldOut:
    """Of each generation that is re-drawn the held-out image most similar to it: what likeness alone looks like."""
    rows = np.unique(redrawn.findings.query)
    near = top_k(generations.embeddings(rows), control.blocks(), 1, 1.0)
    there = near.rows[:, 0] >= 0
    held_out = near.rows[there, 0]
    columns = control.columns(held_out)
    return NearestHeldOut(
        rows[there], held_out, columns.image_id, columns.uri, columns.sha256, near.similarity[there, 0]
    )
