"""A run that another command is given: it must be of the store that the command is about."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.runs import Run
from memaudit.errors import InconclusiveError, InputError
from memaudit.report.bindings import require_bound
from memaudit.report.document import read_report
from memaudit.store import Store


def table_of(run: str | Path | Run, store: Store, name: str, kind: str = "dedup", option: str = "--dedup") -> Path:
    """A table of a dedup run, or of one of another kind. Raises InputError if there is no run, InconclusiveError if it
    was made of another store, or of another state of it: image_ids that both have would get answers that mean nothing;
    or if the table is not the one that the run wrote."""
    folder = run.folder if isinstance(run, Run) else Path(run)
    report = read_report(folder / "report.json")
    if report.kind != kind:
        raise InputError(f"{folder} holds a report of kind {report.kind}, {option} takes a run of memaudit {kind}")
    if report.inputs.get("references" if kind == "audit" else "store") != store.digest:
        raise InconclusiveError(
            f"{kind} run {folder} was made of another state of store {store.folder}, or of another store: run memaudit "
            f"{kind} again"
        )
    return require_bound(report, folder / name)
