"""Files of a run of `memaudit reweight`: weights, shares, thumbnails, report.html, report.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.files import whole_file
from memaudit.filters.results import Reweighted, Shares
from memaudit.filters.selection import in_batches
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.model import Report, ReweightResults, ShareRow, ToldApart, Weighed
from memaudit.report.page import percent
from memaudit.report.pages import PLAIN, How, write_report_page
from memaudit.report.pictures import Pictures
from memaudit.report.sides import sides_of
from memaudit.report.tables import write_table
from memaudit.store import Store
from memaudit.types import Int64

ROWS, FINDINGS = 200, 1000
REMOVED_SHOWN, HEAVIEST_SHOWN = 24, 12
TELLING = 0.05  # q up to which a change is more than chance gives
SCHEMA = pa.schema([("image_id", pa.string()), ("weight", pa.float64()), ("measured", pa.bool_())])


def write_reweight(result: Reweighted, store: Store, out: Path, inputs: Mapping[str, str], how: How = PLAIN) -> Report:
    """Write every file into `out` and return the report. report.json comes last."""
    _write_weights(result, store, out / "weights.parquet")
    shares = result.shares
    write_table(out / "shares.parquet", {**shares._asdict(), "restored": shares.restored})
    pictures = Pictures(out, how.alter)
    lost = np.flatnonzero(shares.gone | ~shares.restored)[:FINDINGS]
    report = make_report(
        "reweight",
        inputs={"store": result.store_digest, **inputs},
        encoder=result.encoder,
        threshold=None,
        coverage=result.chosen.coverage,
        results=_results(result, store, pictures),
        findings=list(_rows(shares, lost)),
        bound=bound_to(out, (store,), how.about),
    )
    write_report_page(out / "report.html", report, beside=how.beside)
    write_report(out / "report.json", report)
    return report


def _write_weights(result: Reweighted, store: Store, path: Path) -> None:
    """One row for each image that is left, in the order of the store but for those without an embedding, which come
    last and weigh as much as the mean."""
    chosen = result.chosen
    with whole_file(path) as file, pq.ParquetWriter(file, SCHEMA) as writer:
        for rows, weights in (
            (chosen.rows[chosen.kept], result.weight[chosen.kept]),
            (chosen.others, np.ones(len(chosen.others))),
        ):
            for part, ids in in_batches(store, rows):
                measured = np.full(len(ids), rows is not chosen.others)
                writer.write_table(pa.table([pa.array(ids, pa.string()), weights[part], measured], schema=SCHEMA))


def _results(result: Reweighted, store: Store, pictures: Pictures) -> ReweightResults:
    chosen, shares = result.chosen, result.shares
    return ReweightResults(
        conclusive=not result.inconclusive,
        reasons=list(result.inconclusive),
        headline=_headline(result),
        images=len(chosen.rows),
        kept=int(chosen.kept.sum()),
        unmeasured=len(chosen.others),
        effective=round(result.effective, 1),
        max_weight=result.options.max_weight,
        heaviest=round(float(result.weight.max()), 4),
        at_limit=result.at_limit,
        beyond=result.beyond,
        told=ToldApart(before=result.told[0], after=result.told[1]) if result.told else None,
        tested=len(shares.value),
        restored=int(shares.restored.sum()),
        gone=int(shares.gone.sum()),
        left_out=result.left_out,
        note=result.note,
        rows=list(_rows(shares, np.arange(min(ROWS, len(shares.value))))),
        removed_shown=sides_of(store, pictures, _removed(result)),
        heaviest_shown=_heaviest(result, store, pictures),
    )


def _rows(shares: Shares, places: Int64) -> Iterator[ShareRow]:
    columns = {name: column[places].tolist() for name, column in shares._asdict().items() if name != "p"}
    columns["restored"] = shares.restored[places].tolist()
    for values in zip(*columns.values(), strict=True):
        yield ShareRow(**dict(zip(columns, values, strict=True)))


def _removed(result: Reweighted) -> Int64:
    removed = result.chosen.rows[~result.chosen.kept]
    drawn = np.random.default_rng(result.options.seed).choice(removed, min(REMOVED_SHOWN, len(removed)), replace=False)
    return np.sort(drawn)


def _heaviest(result: Reweighted, store: Store, pictures: Pictures) -> list[Weighed]:
    places = np.argsort(-result.weight, kind="stable")[: min(HEAVIEST_SHOWN, int(result.chosen.kept.sum()))]
    sides = sides_of(store, pictures, result.chosen.rows[places])
    return [Weighed(weight=round(float(result.weight[at]), 4), side=s) for at, s in zip(places, sides, strict=True)]


def _headline(result: Reweighted) -> str:
    chosen, shares = result.chosen, result.shares
    kept, moved = int(chosen.kept.sum()), int((shares.q <= TELLING).sum())
    text = (
        f"The filter left {kept:,} of {len(chosen.kept):,} images and changed {moved:,} of {len(shares.value):,} "
        f"shares by more than chance. Weighted, {int(shares.restored.sum()):,} are what they were, within their "
        f"intervals; the images count as {result.effective:,.0f} of equal weight ({percent(result.effective / kept)})."
    )
    if shares.gone.any():
        text += f" Of {int(shares.gone.sum()):,} words or values nothing is left: no weight brings them back."
    if result.inconclusive:
        return f"Inconclusive: {'; '.join(result.inconclusive)}. {text}"
    return text
