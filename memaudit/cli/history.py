"""memaudit history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.api.history import History

SHOWN = 20
Reports = Annotated[list[Path], typer.Argument(metavar="REPORT.json...", help="Reports of audits, or folders of them.")]
Page = Annotated[Path, typer.Option("--out", help="The page, an .html file.")]


def history(
    reports: Reports,
    out: Page = Path("history.html"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Put audits in the order of their days: a chart of their rates, and what is new since the last. Exit code 3: the
    newest two are not comparable, or inconclusive."""
    from memaudit.api.history import history as run

    found = run(list(reports), out)
    Console(as_json, quiet).result(found.as_dict(), "\n".join(_lines(found)), conclusive=found.conclusive)


def _lines(found: History) -> Iterator[str]:
    from memaudit.api.gating import plain

    rows = [("day", found.unit, "rate", "95 % interval", "training set", "report")]
    for each in found.entries:
        count = f"{each.found:,} of {each.measured:,}"
        rows.append((each.created, count, each.rate, each.interval, each.training_set[:12], plain(each.name)))
    yield table(rows)
    for each in found.entries:
        if each.break_:
            yield f"\n{plain(each.name)} cannot be compared with the one before: {plain(each.break_)}."
    since = found.since
    if since and not since.why:
        yield f"\nSince the last one: {since.sentence}"
        yield from (f"Inconclusive: {plain(line)}." for line in since.warnings)
        yield from (f"Caveat: {line}." for line in (since.caveat,) if line)
        yield from (line for line in (since.sets,) if line)
        for title, pairs in since.lists:
            yield f"{title}: {len(pairs):,}"
            yield from (f"  {plain(pair)}" for pair in pairs[:SHOWN])
            if len(pairs) > SHOWN:
                yield f"  and {len(pairs) - SHOWN:,} more"
    yield f"\nPage: {found.path}"
