"""Memorization metrics of the literature, on embeddings. They are reported with their convention, never judged by."""

from __future__ import annotations

from typing import NamedTuple

from memaudit.audit.metric_authenticity import authenticity
from memaudit.audit.metric_copying import Copying, copying
from memaudit.audit.metric_likelihood import Gap, generalisation_gap
from memaudit.audit.results import Metrics, Scores
from memaudit.index import Searcher, sample_rows
from memaudit.store import Store
from memaudit.types import Float32

SAMPLE = 2000  # images of each side at most: bounds the memory, and distances are all pairs of two samples
LEAST = 20  # images of each side, or nothing is computed
_SEED = 0


class Sides(NamedTuple):
    """Embeddings (n, dim) of samples of the training set, of the held-out images and of the generations."""

    training: Float32
    control: Float32
    generations: Float32


def measure_metrics(generations: Store, references: Searcher, control: Store, scores: Scores) -> Metrics:
    """C_T, AuthPct and the FLD gap (docs/protocols/metrics.md). Memory: SAMPLE x SAMPLE numbers, a few times."""
    stores = (references.store, control, generations)
    sides = Sides._make(store.embeddings(sample_rows(store, SAMPLE, _SEED)) for store in stores)
    sizes = [len(side) for side in sides]
    authentic = authenticity(scores, references)
    if min(sizes) < LEAST:
        note = f"C_T and the FLD gap need at least {LEAST} images of each side: {', '.join(map(str, sizes))} are there"
        copied, gap = Copying(None, 0, 0, note), Gap(None)
    else:
        copied, gap = copying(*sides), generalisation_gap(*sides)
    notes = [note for note in (copied.note, gap.note, authentic.note, _sampled(stores, sizes)) if note]
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


def _sampled(stores: tuple[Store, ...], sizes: list[int]) -> str:
    if all(store.comparable == size for store, size in zip(stores, sizes, strict=True)):
        return ""
    return (
        "C_T and the FLD gap look at random samples: a few copies of a large training set can be missed by both"
        if stores[0].comparable > sizes[0]
        else "C_T and the FLD gap look at random samples of the generations or held-out images"
    )
