"""Files of a filter that was applied: decisions.parquet, keep.txt, drop.txt, report.html, report.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from memaudit.files import whole_file
from memaudit.filters.apply import FATES, REASONS, Counts, Decided, Fate, decide, logit_at, no_counts
from memaudit.filters.estimate import Bounded, Estimate, Stratum
from memaudit.filters.filter_file import Filter
from memaudit.filters.joined import Joined
from memaudit.filters.shown import Shown
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.model import (
    Bounds,
    FilterDecided,
    FilterMeasured,
    FilterResults,
    FilterStratum,
    FilterTraining,
    Report,
    encoder_of,
)
from memaudit.report.page import percent, percent_down, percent_up
from memaudit.report.pages import PLAIN, How, write_report_page
from memaudit.report.pictures import Pictures
from memaudit.report.sides import sides_of
from memaudit.report.tables import as_line
from memaudit.store import Store
from memaudit.types import Coverage, Progress, silent

_GROUP_ROWS = 2**17
_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("decision", pa.dictionary(pa.int8(), pa.string())),
        ("score", pa.float64()),
        ("reason", pa.dictionary(pa.int8(), pa.string())),
    ]
)


def write_applied(
    found: Filter,
    joined: Joined,
    out: Path,
    cut: float | None = None,
    unscored: str | None = None,
    progress: Progress = silent,
    how: How = PLAIN,
) -> Report:
    """Apply a filter, write every file into `out` and return the report. report.json comes last.

    cut: a probability, None: the filter's own. unscored: keep or drop what could not be scored; None: neither, and the
    run is inconclusive where there is any. Memory: a block of the stores, and 131,072 rows of the table.
    """
    at, counts, shown = logit_at(found, cut), no_counts(), Shown()
    write_decisions(out, _seen(decide(found, joined, at, unscored, counts, progress), shown))
    for store in joined.stores:
        store.require_current()
    inputs = {f"store {number}": digest for number, digest in enumerate(joined.digests, start=1)}
    report = make_report(
        "filter",
        inputs={**inputs, "filter": found.digest},
        encoder=None,
        threshold=None,
        coverage=Coverage(counts.scored, counts.images),
        results=_with_pictures(
            _results(found, joined, counts, float(found.probe.probabilities(np.array([at]))[0]), cut, unscored),
            joined.stores[0],
            shown,
            Pictures(out, how.alter),
        ),
        findings=[],
        bound=bound_to(out, joined.stores, how.about),
    )
    write_report_page(out / "report.html", report, beside=how.beside)
    write_report(out / "report.json", report)
    return report


def _seen(decisions: Iterable[Decided], shown: Shown) -> Iterator[Decided]:
    """The same; what the page will show of them is chosen in passing."""
    drop, keep = FATES.index(Fate.DROP), FATES.index(Fate.KEEP)
    for part in decisions:
        shown.add(part.first, part.fate == drop, part.fate == keep, part.score)
        yield part


def _with_pictures(results: FilterResults, store: Store, shown: Shown, pictures: Pictures) -> FilterResults:
    return replace(
        results,
        dropped_shown=sides_of(store, pictures, shown.dropped),
        kept_shown=sides_of(store, pictures, shown.kept),
    )


def write_decisions(out: Path, decisions: Iterable[Decided]) -> None:
    """Write decisions.parquet, keep.txt and drop.txt as they come."""
    with ExitStack() as stack:
        table = stack.enter_context(whole_file(out / "decisions.parquet"))
        lists = [stack.enter_context(whole_file(out / name)) for name in ("keep.txt", "drop.txt")]
        writer = stack.enter_context(pq.ParquetWriter(table, _SCHEMA, use_dictionary=["decision", "reason"]))
        waiting, rows = list[pa.RecordBatch](), 0
        for part in decisions:
            waiting.append(_batch(part))
            rows += len(part.fate)
            for fate, file in enumerate(lists):
                _write_ids(file, part.image_id[part.fate == fate].tolist())
            if rows >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting, rows = [], 0
        writer.write_table(pa.Table.from_batches(waiting, _SCHEMA))


def _batch(part: Decided) -> pa.RecordBatch:
    columns = [
        pa.array(part.image_id, pa.string()),
        pa.DictionaryArray.from_arrays(pa.array(part.fate), pa.array([str(fate) for fate in FATES])),
        pa.array(part.score, mask=np.isnan(part.score)),
        pa.DictionaryArray.from_arrays(pa.array(part.reason), pa.array(REASONS)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _write_ids(file: IO[bytes], ids: list[str]) -> None:
    text = "\n".join(ids)
    plain = "\r" not in text and text.count("\n") == len(ids) - 1
    if ids:
        file.write((f"{text}\n" if plain else "".join(map(as_line, ids))).encode())


def _results(
    found: Filter, joined: Joined, counts: Counts, cut: float, given: float | None, unscored: str | None
) -> FilterResults:
    decided = FilterDecided(
        kept=counts.of(Fate.KEEP), dropped=counts.of(Fate.DROP), undecided=counts.of(Fate.UNDECIDED)
    )
    measured = None if given is not None else _measured(found, joined)
    reasons = []
    if decided.undecided:
        listed = ", ".join(f"{count:,} {reason}" for reason, count in counts.unscored.items())
        reasons.append(f"{decided.undecided:,} images could not be scored ({listed}): say --unscored keep or drop")
    return FilterResults(
        conclusive=not reasons,
        reasons=reasons,
        headline=_headline(found, decided, reasons, measured, cut),
        name=found.name,
        filter=found.digest,
        cut=cut,
        asked=None if measured is None else found.recall,
        decided=decided,
        unscored=counts.unscored,
        unscored_as=unscored or "",
        measured=measured,
        training=FilterTraining(
            rounds=found.rounds,
            positive=found.trained.positive,
            negative=found.trained.negative,
            presumed=found.trained.presumed,
            text=found.text,
        ),
        encoders=[encoder_of(encoder) for encoder in found.encoders],
    )


def _measured(found: Filter, joined: Joined) -> FilterMeasured | None:
    at, estimate = found.at_cut, found.estimate
    if at is None or estimate is None:
        return None
    return FilterMeasured(
        recall=_bounds(at.recall),
        precision=_bounds(at.precision),
        positives=_bounds(estimate.positives),
        confidence=estimate.confidence,
        bound_confidence=1 - estimate.error,
        looks=found.looks,
        same_store=joined.digests == list(found.stores),
        strata=_strata(found, estimate),
    )


def _bounds(of: Bounded) -> Bounds:
    return Bounds(value=of.value, low=of.low, high=of.high, lower=of.lower)


def _strata(found: Filter, estimate: Estimate) -> list[FilterStratum]:
    least = [*found.probe.probabilities(np.array(found.low)).tolist(), 0.0]
    return [_stratum(*each) for each in zip(least, estimate.strata, strict=True)]


def _stratum(least: float, of: Stratum) -> FilterStratum:
    return FilterStratum(
        least_score=least,
        known=of.known.rows,
        known_positive=of.known.positive,
        rows=of.rows,
        drawn=of.drawn,
        positive=of.positive,
        unsure=of.unsure,
    )


def _headline(
    found: Filter, decided: FilterDecided, reasons: list[str], measured: FilterMeasured | None, cut: float
) -> str:
    said = f"{decided.dropped:,} images are dropped as {found.name}, {decided.kept:,} are kept."
    if measured is None:
        known = f" The cut, a probability of {cut:.3g}, was given: what it finds was not measured."
    else:
        recall = measured.recall
        where = "" if measured.same_store else ", on the store that its sample was drawn from, which is another one"
        sure = percent_down(measured.bound_confidence)
        known = (
            f" The cut finds {percent(recall.value)} of the class, with {sure} confidence at "
            f"least {percent_down(recall.lower)}; {percent(measured.precision.value)} of what is dropped is of it "
            f"({percent_down(measured.precision.low)} to {percent_up(measured.precision.high)}){where}."
        )
    return (f"Inconclusive: {'; '.join(reasons)}. " if reasons else "") + said + known
