"""A dedup run that another command is given: it must be of the store that the command is about."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.runs import DedupRun
from memaudit.errors import InconclusiveError, InputError
from memaudit.report.bindings import require_bound
from memaudit.report.document import read_report
from memaudit.store import Store


def table_of(dedup: str | Path | DedupRun, store: Store, name: str) -> Path:
    """A table of a dedup run. Raises InputError if there is no run, InconclusiveError if it was made of another store,
    or of another state of it: image_ids that both have would get answers that mean nothing; or if the table is not the
    one that the run wrote."""
    folder = dedup.folder if isinstance(dedup, DedupRun) else Path(dedup)
    report = read_report(folder / "report.json")
    if report.kind != "dedup":
        raise InputError(f"{folder} holds a report of kind {report.kind}, --dedup takes a run of memaudit dedup")
    if report.inputs.get("store") != store.digest:
        raise InconclusiveError(
            f"dedup run {folder} was made of another state of store {store.folder}, or of another store: run memaudit "
            "dedup again"
        )
    return require_bound(report, folder / name)
