"""Dedup of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from memaudit.api.calibrated_options import by_calibration
from memaudit.api.page_choices import AS_IT_IS, how_to_show
from memaudit.api.page_choices import PageChoices as PageChoices
from memaudit.api.places import AnyStore, Files, files_of, store_at
from memaudit.api.runs import DedupRun, Place
from memaudit.api.several import Stores, as_one, without
from memaudit.dedup.effort import seconds_of
from memaudit.dedup.ignored import RuledOut, read_ruled_out
from memaudit.dedup.options import DedupOptions, require_possible
from memaudit.dedup.reviewed import Reviewed, read_reviewed
from memaudit.dedup.run import dedup, forget
from memaudit.embedding.run import require_outside
from memaudit.faces.uses import note_use
from memaudit.matching.kinds import COPIES, kinds_of
from memaudit.report.dedup import write_dedup
from memaudit.report.model import Report
from memaudit.report.pages import How
from memaudit.report.run_folder import keep_for_owner, remove_earlier_pictures
from memaudit.store import FACES, require_current, require_whole_set
from memaudit.tasks import beside, clear, executing
from memaudit.types import Progress, silent, unsaid


def run_dedup(
    store: Stores,
    out: str | Path | None = None,
    *,
    against: AnyStore | None = None,
    ignore: str | Path | None = None,
    reviews: Files = (),
    threshold: float | None = None,
    method: str = "auto",
    clusters: int | None = None,
    clusterings: int | None = None,
    probes: int | None = None,
    target_recall: float | None = None,
    backend: str = "auto",
    keep: str = "cleanest",
    groups: str = "cover",
    match: str = "auto",
    match_from: float | None = None,
    budget: str | float | None = None,
    calibration: str | Path | None = None,
    kinds: str | Sequence[str] = (),
    recall_sample: int = 1000,
    seed: int = 0,
    page: PageChoices = AS_IT_IS,
    max_unreadable: float = 0.01,
    executor: str | None = None,
    progress: Progress = silent,
    tell: Callable[[str], None] = unsaid,
) -> DedupRun:
    """Find the near-duplicates of a store, decide what to keep, and state the recall of finding them.

    store: or several, which become one beside `out`, OUT-store, as `merge_stores` makes it. out: folder of the run's
    files; None: a temporary one. against: another store, whose images are dropped first.
    ignore: CSV of left_id, right_id, pairs that are none. reviews: files of what people decided on pairs. threshold:
    cosine, None for the encoder's own. clusters: None: by cost, 0: all pairs; where neither these nor clusterings,
    probes or a method are named, as much is compared as a pilot asks for. keep: cleanest, largest, first or
    best:COLUMN. match: whether pixels decide pairs from `match_from` to the threshold: auto, pixels or none. budget:
    time for that, "2h" (s, m, h, d) or seconds; the most similar pairs come first. calibration: a file of `calibrate`.
    kinds: that count, with commas or as names (none: all but re-drawn): of copies below the threshold; with re-drawn,
    what is drawn anew from what stays is dropped as well. executor: "local:4", processes, or "slurm:100", a job array,
    or "ray:8", tasks of a Ray cluster at a time, that do what takes long: by files in a folder beside `out`, OUT-tasks,
    that all of them must see.
    page: where its pictures are, and what it says of the training set and who ran it. tell: is given an estimate of
    what takes long.

    Raises UsageError for impossible options, InputError for no images, InconclusiveError for a store that is not whole.

    >>> dedup = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"))
    >>> dedup.recall.by_pair.value, len(dedup.pairs)
    (1.0, 1)
    """
    options = DedupOptions(
        threshold=threshold,
        method=method,
        clusters=clusters,
        clusterings=clusterings,
        probes=probes,
        target_recall=target_recall,
        backend=backend,
        keep=keep,
        groups=groups,
        match=match,
        match_from=match_from,
        budget=seconds_of(budget),
        recall_sample=recall_sample,
        seed=seed,
        max_unreadable=max_unreadable,
        kinds=kinds_of(kinds, COPIES),
    )
    options = by_calibration(options, calibration)
    opened = as_one(store, out)
    decided, how, place = _Decided(ignore, files_of(reviews)), how_to_show(page, opened), Place(out)
    with executing(executor, beside(place.folder)) as workers:
        return _into(opened, against, decided, replace(options, executor=workers), how, place, progress, tell)


class _Decided(NamedTuple):
    """What people decided: a file of ignored pairs, and files of reviews."""

    ignore: str | Path | None
    reviews: list[Path]

    def read(self) -> tuple[RuledOut | None, Reviewed | None]:
        today = datetime.now(UTC).date()
        return (
            read_ruled_out(Path(self.ignore)) if self.ignore else None,
            read_reviewed(self.reviews, today) if self.reviews else None,
        )


def _into(
    store: AnyStore,
    against: AnyStore | None,
    decided: _Decided,
    options: DedupOptions,
    how: How,
    place: Place,
    progress: Progress,
    tell: Callable[[str], None],
) -> DedupRun:
    with place.running("dedup", how.about):
        if how.alter is not None:
            remove_earlier_pictures(place.folder)
        return place.run(DedupRun, _deduped(store, against, decided, options, place.folder, how, progress, tell))


def _deduped(
    store: AnyStore,
    against: AnyStore | None,
    decided: _Decided,
    options: DedupOptions,
    out: Path,
    how: How,
    progress: Progress,
    tell: Callable[[str], None],
) -> Report:
    """Measure and write."""
    require_possible(options)
    ruled_out, reviewed = decided.read()
    opened = require_whole_set(store_at(store))
    other = require_whole_set(store_at(against)) if against else None
    require_outside(out, (*opened.sources, *(other.sources if other is not None else ())))
    for line in without(opened):
        tell(line)
    if opened.manifest.kind == FACES:
        keep_for_owner(out)
        note_use(opened, out)
    result = dedup(
        opened,
        options,
        against=other,
        ruled_out=ruled_out,
        reviewed=reviewed,
        scratch=out,
        progress=progress,
        tell=tell,
    )
    require_current(opened, other)
    report = write_dedup(result, opened, out, other, how)
    if not (result.pixels and result.pixels.left):
        forget(out)
    if options.executor is not None:
        clear(options.executor.folder)
    return report
