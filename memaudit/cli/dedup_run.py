"""The --dedup of other commands: a dedup run of the store that they are about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memaudit.store import Store


def require_run_of(dedup: Path, store: Store) -> None:
    """Raise InputError if `dedup` holds no dedup run, InconclusiveError if it was made of another store, or of another
    state of it: image_ids that both have would get answers that mean nothing."""
    from memaudit.errors import InconclusiveError, InputError
    from memaudit.report.document import read_report

    report = read_report(dedup / "report.json")
    if report.kind != "dedup":
        raise InputError(f"{dedup} holds a report of kind {report.kind}, --dedup takes a run of memaudit dedup")
    if report.inputs.get("store") != store.digest:
        raise InconclusiveError(
            f"dedup run {dedup} was made of another state of store {store.folder}, or of another store: run memaudit "
            "dedup again"
        )
