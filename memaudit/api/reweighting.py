"""Weights that undo what a filter shifts."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.page_choices import AS_IT_IS, PageChoices, how_to_show
from memaudit.api.places import AnyStore, store_at
from memaudit.api.runs import DedupRun, Place, ReweightRun, Run
from memaudit.api.runs_given import table_of
from memaudit.files import sha256_as_it_is
from memaudit.filters.results import ReweightOptions
from memaudit.filters.reweight import reweight
from memaudit.filters.selection import read_names, select
from memaudit.report.model import Report
from memaudit.report.pages import How
from memaudit.report.reweighting import write_reweight
from memaudit.report.run_folder import remove_earlier_pictures
from memaudit.store import require_current
from memaudit.types import Progress, silent

KEEP = "keep.txt"


def run_reweight(
    store: AnyStore,
    kept: str | Path | Run,
    out: str | Path | None = None,
    *,
    of: str | Path | Run | None = None,
    dedup: str | Path | DedupRun | None = None,
    max_weight: float = 10.0,
    clusters: int | None = None,
    seed: int = 0,
    page: PageChoices = AS_IT_IS,
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> ReweightRun:
    """Weigh what a filter left so that words, metadata and clusters have the shares that all images had.

    kept: keep.txt, an image_id a line, or the run or folder that has one. out: folder of the run's files; None: a
    temporary one. of: the same for what the filter had before it; None: all images. dedup: a run of the store, of which
    each group is one observation in the intervals. max_weight: the most that an image may count for, in multiples of
    the mean. clusters: of what images show, None: by their number.

    Raises UsageError for impossible options, or where nothing was removed; InputError for names that the store does not
    have; InconclusiveError where nothing that is left has an embedding.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> weighted = ma.run_reweight(store, ma.run_dedup(store))
    >>> weighted.results.kept, weighted.conclusive
    (11, False)
    """
    options = ReweightOptions(max_weight, clusters, seed, max_unreadable)
    place, how = Place(out), how_to_show(page, store)
    with place.running("reweight", how.about):
        if how.alter is not None:
            remove_earlier_pictures(place.folder)
        report = _weighted(
            store, _list_of(kept), None if of is None else _list_of(of), dedup, options, place, how, progress
        )
        return place.run(ReweightRun, report)


def _list_of(given: str | Path | Run) -> Path:
    path = given.folder if isinstance(given, Run) else Path(given)
    return path / KEEP if path.is_dir() else path


def _weighted(
    store: AnyStore,
    kept: Path,
    of: Path | None,
    dedup: str | Path | DedupRun | None,
    options: ReweightOptions,
    place: Place,
    how: How,
    progress: Progress,
) -> Report:
    """Measure and write."""
    opened = store_at(store)
    groups = None if dedup is None else table_of(dedup, opened, "groups.parquet")
    files = {"kept": kept, "of": of, "dedup groups": groups}
    left, before = read_names(kept), None if of is None else read_names(of)
    inputs = {name: sha256_as_it_is(path) for name, path in files.items() if path is not None}
    result = reweight(opened, select(opened, left, before, groups), options, progress)
    require_current(opened)
    return write_reweight(result, opened, place.folder, inputs, how)
