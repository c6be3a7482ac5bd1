"""Memorization metrics of the literature, on embeddings. They are reported with their convention, never judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memaudit.audit.metric_authenticity import authenticity
from memaudit.audit.metric_copying import Copying, copying
from memaudit.audit.metric_likelihood import Gap, generalisation_gap
from memaudit.audit.repeats import files_of
from memaudit.audit.results import Metrics, Scores
from memaudit.index import Searcher, drawn
from memaudit.store import Store
from memaudit.types import Float32, Int64

SAMPLE = 2000  # images of each side at most: bounds the memory, and distances are all pairs of two samples
LEAST = 20  # images of each side, or nothing is computed
_SEED = 0


class Sides(NamedTuple):
    """Embeddings (n, dim) of samples of the training set, of the held-out images and of the generations."""

    training: Float32
    control: Float32
    generations: Float32


def measure_metrics(generations: Store, references: Searcher, control: Store, scores: Scores) -> Metrics:
    """C_T, AuthPct and the FLD gap (docs/protocols/metrics.md). Of a film, or a sheet, they
    take one picture. Memory: SAMPLE x SAMPLE numbers, a few times, and the names of generations and controls."""
    stores = (references.store, control, generations)
    own = references.store.comparable_rows(), *(_one_of_each_file(store) for store in stores[1:])
    sides = Sides._make(store.embeddings(drawn(rows, SAMPLE, _SEED)) for store, rows in zip(stores, own, strict=True))
    sizes = [len(side) for side in sides]
    of_files = np.isin(np.arange(len(scores.best)), own[2])
    authentic = authenticity(scores._replace(best=np.where(of_files, scores.best, -1)), references)
    if min(sizes) < LEAST:
        note = f"C_T and the FLD gap need at least {LEAST} images of each side: {', '.join(map(str, sizes))} are there"
        copied, gap = Copying(None, 0, 0, note), Gap(None)
    else:
        copied, gap = copying(*sides), generalisation_gap(*sides)
    notes = [
        note for note in (copied.note, gap.note, authentic.note, _sampled([len(rows) for rows in own], sizes)) if note
    ]
    return Metrics(
        c_t=copied.value,
        cells=copied.cells,
        cells_used=copied.used,
        auth_pct=authentic.percent,
        zero_radius=authentic.zero_radius,
        fld_gap=gap.value,
        training=sizes[0],
        control=sizes[1],
        generations=sizes[2],
        notes=tuple(notes),
    )


def _one_of_each_file(store: Store) -> Int64:
    """Rows that can be compared, the first of each file: the frames of a film are no independent draws."""
    rows, columns = store.comparable_rows(), store.all_columns()
    _, first = np.unique(files_of(columns.image_id)[rows], return_index=True)
    return rows[np.sort(first)]


def _sampled(there: Sequence[int], sizes: Sequence[int]) -> str:
    if all(rows == size for rows, size in zip(there, sizes, strict=True)):
        return ""
    return (
        "C_T and the FLD gap look at random samples: a few copies of a large training set can be missed by both"
        if there[0] > sizes[0]
        else "C_T and the FLD gap look at random samples of the generations or held-out images"
    )
